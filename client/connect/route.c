#include "client/connect/route.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/authority.h"
#include "common/base/decimal.h"

struct route_rule {
    char *host;    /* "" or "*": any */
    uint16_t port; /* 0: any */
    char *to_host; /* of --connect-to; NULL: of --resolve */
    uint16_t to_port;
    size_t count;
    struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES];
};

/* ---- parsing ---- */

/* Cuts a host off at the colon behind it, and takes its brackets off. Returns 0, UV_EINVAL at the
 * end of the text, or UV_ENOMEM. */
static int cut_host(const char **text, char **host)
{
    size_t len = authority_host_len(*text, strlen(*text));
    struct authority authority;

    if ((*text)[len] != ':' || !authority_split(*text, len, &authority))
        return UV_EINVAL;
    *text += len + 1;
    *host = strndup(authority.host, authority.host_len);
    return *host != NULL ? 0 : UV_ENOMEM;
}

/* A port, up to `end` or the end of the text; an empty one is 0. */
static int cut_port(const char **text, char end, uint16_t *port)
{
    uint64_t number;
    size_t digits = decimal_read(*text, strlen(*text), &number);

    if (digits > 5 || (*text)[digits] != end)
        return UV_EINVAL;
    if (number > UINT16_MAX || (digits > 0 && number == 0))
        return UV_EINVAL;
    *port = (uint16_t) number;
    *text += digits + (end != '\0');
    return 0;
}

static int parse_address(const char *text, size_t len, uint16_t port,
                         struct sockaddr_storage *address)
{
    char copy[INET6_ADDRSTRLEN + 2];

    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof copy)
        return UV_EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *address = (struct sockaddr_storage){0};
    if (uv_ip4_addr(copy, port, (struct sockaddr_in *) address) == 0)
        return 0;
    return uv_ip6_addr(copy, port, (struct sockaddr_in6 *) address);
}

static int parse_addresses(struct route_rule *rule, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ",");

        if (rule->count == ROUTE_MAX_ADDRESSES ||
            parse_address(text, len, rule->port, &rule->addresses[rule->count++]) != 0)
            return UV_EINVAL;
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

static int parse_resolve(struct route_rule *rule, const char *text)
{
    int status = cut_host(&text, &rule->host);

    if (status == 0)
        status = *rule->host != '\0' ? cut_port(&text, ':', &rule->port) : UV_EINVAL;
    if (status == 0)
        status = rule->port != 0 ? parse_addresses(rule, text) : UV_EINVAL;
    return status;
}

static int parse_connect_to(struct route_rule *rule, const char *text)
{
    int status = cut_host(&text, &rule->host);

    if (status == 0)
        status = cut_port(&text, ':', &rule->port);
    if (status == 0)
        status = cut_host(&text, &rule->to_host);
    if (status == 0)
        status = cut_port(&text, '\0', &rule->to_port);
    return status;
}

static void rule_deinit(struct route_rule *rule)
{
    free(rule->host);
    free(rule->to_host);
}

static int add(struct route_rules *rules, int (*parse)(struct route_rule *rule, const char *text),
               const char *argument, const char *form, struct error *error)
{
    struct route_rule *grown = realloc(rules->_rules, (rules->_count + 1) * sizeof *grown);
    int status = UV_ENOMEM;

    if (grown != NULL) {
        rules->_rules = grown;
        grown[rules->_count] = (struct route_rule){0};
        status = parse(&grown[rules->_count], argument);
    }
    if (status == 0) {
        rules->_count++;
        return 0;
    }
    if (grown != NULL)
        rule_deinit(&grown[rules->_count]);
    if (status == UV_ENOMEM)
        return error_set(error, status, "out of memory");
    return error_set(error, status, "'%s' is not %s", argument, form);
}

int route_add_resolve(struct route_rules *rules, const char *argument, struct error *error)
{
    return add(rules, parse_resolve, argument, "HOST:PORT:ADDRESS[,ADDRESS]...", error);
}

int route_add_connect_to(struct route_rules *rules, const char *argument, struct error *error)
{
    return add(rules, parse_connect_to, argument, "HOST1:PORT1:HOST2:PORT2", error);
}

void route_deinit(struct route_rules *rules)
{
    for (size_t i = 0; i < rules->_count; i++)
        rule_deinit(&rules->_rules[i]);
    free(rules->_rules);
    *rules = (struct route_rules){0};
}

/* ---- use ---- */

static bool fits(const struct route_rule *rule, const char *host, uint16_t port)
{
    bool any = *rule->host == '\0' || strcmp(rule->host, "*") == 0;

    return (any || strcasecmp(rule->host, host) == 0) && (rule->port == 0 || rule->port == port);
}

void route_redirect(const struct route_rules *rules, const char **host, uint16_t *port)
{
    for (size_t i = 0; i < rules->_count; i++) {
        const struct route_rule *rule = &rules->_rules[i];

        if (rule->to_host == NULL || !fits(rule, *host, *port))
            continue;
        if (*rule->to_host != '\0')
            *host = rule->to_host;
        if (rule->to_port != 0)
            *port = rule->to_port;
        return;
    }
}

size_t route_addresses(const struct route_rules *rules, const struct resolution_query *query,
                       struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES], bool *found)
{
    size_t count = 0;

    *found = false;
    for (size_t i = 0; i < rules->_count && !*found; i++) {
        const struct route_rule *rule = &rules->_rules[i];

        if (rule->to_host != NULL || !fits(rule, query->host, query->port))
            continue;
        *found = true;
        for (size_t k = 0; k < rule->count; k++) {
            if (query->family == AF_UNSPEC || rule->addresses[k].ss_family == query->family)
                addresses[count++] = rule->addresses[k];
        }
    }
    return count;
}
