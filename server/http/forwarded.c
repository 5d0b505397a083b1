#include "server/http/forwarded.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/authority.h"
#include "common/base/decimal.h"

enum {
    NODE_SIZE = 64, /* of an address with brackets and port, as text */
    MOST_HOPS = 32, /* proxies in a row; reading costs more the longer the list is */
};

/* One element of the list: what one proxy has said. */
struct element {
    char node[NODE_SIZE]; /* "": it is not said, or longer than an address can be */
    char proto[8];
};

/* ---- the fields as one list, from its end ---- */

/* A position in all fields of one name, read backwards. */
struct list_end {
    const struct http_head *head;
    const char *name;
    size_t fields; /* that are left, */
    const char *text;
    size_t len; /* and of the text of the last of these, what is left */
};

static const char *field_at(const struct http_head *head, const char *name, size_t index)
{
    size_t cursor = 0;
    const char *value = NULL;

    for (size_t i = 0; i <= index; i++)
        value = http_head_next(head, name, &cursor);
    return value;
}

static bool previous_field(struct list_end *end)
{
    if (end->fields == 0)
        return false;
    end->fields--;
    end->text = field_at(end->head, end->name, end->fields);
    end->len = end->text != NULL ? strlen(end->text) : 0;
    return true;
}

/* Where the last member of the text begins: behind the last comma that is outside quotes. A
 * backslash within quotes takes the next byte with it (RFC 9110, 5.6.4). */
static size_t last_member(const char *text, size_t len)
{
    size_t start = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == ',')
            start = i + 1;
    }
    return start;
}

/* Takes the list's last member off. False when there is none. Empty members are passed over
 * (RFC 9110, 5.6.1.2). */
static bool take_last(struct list_end *end, const char **member, size_t *len)
{
    for (;;) {
        size_t start;

        if (end->len == 0 && !previous_field(end))
            return false;
        start = last_member(end->text, end->len);
        *member = end->text + start;
        *len = end->len - start;
        end->len = start > 0 ? start - 1 : 0;
        while (*len > 0 && strchr(" \t", **member) != NULL)
            (*member)++, (*len)--;
        while (*len > 0 && strchr(" \t", (*member)[*len - 1]) != NULL)
            (*len)--;
        if (*len > 0)
            return true;
    }
}

/* ---- one element ---- */

/* Copies a token or a quoted string (RFC 7239, 4) up to its end, which it returns; NULL where it is
 * malformed. What does not fit into `out` becomes "". */
static const char *copy_value(const char *from, const char *end, char *out, size_t size)
{
    bool quoted = from < end && *from == '"';
    size_t len = 0;

    for (from += quoted ? 1 : 0; from < end && *from != (quoted ? '"' : ';'); from++) {
        if (quoted && *from == '\\' && ++from == end)
            return NULL;
        if (len < size)
            out[len++] = *from;
    }
    if (quoted && from == end)
        return NULL;
    out[len < size ? len : 0] = '\0';
    from += quoted ? 1 : 0;
    return from == end || *from == ';' ? from : NULL;
}

static bool name_is(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

/* The pairs of one element of Forwarded: for=…;proto=…, in any order, others ignored. */
static bool parse_element(const char *text, size_t len, struct element *element)
{
    const char *end = text + len;
    char ignored[2];

    while (text < end) {
        const char *equals = memchr(text, '=', (size_t) (end - text));
        size_t name_len = equals != NULL ? (size_t) (equals - text) : 0;

        if (equals == NULL)
            return false;
        if (name_is(text, name_len, "for"))
            text = copy_value(equals + 1, end, element->node, sizeof element->node);
        else if (name_is(text, name_len, "proto"))
            text = copy_value(equals + 1, end, element->proto, sizeof element->proto);
        else
            text = copy_value(equals + 1, end, ignored, sizeof ignored);
        if (text == NULL)
            return false;
        while (text < end && strchr("; \t", *text) != NULL)
            text++;
    }
    return true;
}

/* 0 for an obfuscated port ("_x"; RFC 7239, 6), which says nothing. */
static int parse_port(const char *text)
{
    uint64_t port;

    return decimal_parse(text, strlen(text), UINT16_MAX, &port) ? (int) port : 0;
}

/* "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443". */
static bool parse_node(const char *node, struct sockaddr_storage *address)
{
    char host[NODE_SIZE];
    struct authority parts;
    int number;

    if (!authority_split(node, strlen(node), &parts)) {
        if (*node == '[')
            return false;
        parts = (struct authority){.host = node, .host_len = strlen(node)};
    }
    memcpy(host, parts.host, parts.host_len);
    host[parts.host_len] = '\0';
    if (strchr(host, '%') != NULL)
        return false;
    number = parts.port != NULL ? parse_port(parts.port) : 0;
    memset(address, 0, sizeof *address);
    return uv_ip4_addr(host, number, (struct sockaddr_in *) (void *) address) == 0 ||
           uv_ip6_addr(host, number, (struct sockaddr_in6 *) (void *) address) == 0;
}

static bool is_secure(const char *proto)
{
    return strcasecmp(proto, "https") == 0 || strcasecmp(proto, "wss") == 0;
}

/* ---- all of it ---- */

/* Reads the next element from the end. */
static bool next_element(struct list_end *end, bool standard, struct element *element, bool *valid)
{
    const char *member;
    size_t len;

    *element = (struct element){.node = ""};
    if (!take_last(end, &member, &len))
        return false;
    *valid = true;
    if (standard)
        *valid = parse_element(member, len, element);
    else if (len < sizeof element->node)
        (void) snprintf(element->node, sizeof element->node, "%.*s", (int) len, member);
    return true;
}

enum forwarded_result forwarded_find(const struct http_head *request,
                                     const struct trusted_proxies *proxies,
                                     const struct sockaddr *peer, struct forwarded *forwarded)
{
    bool standard = http_head_count(request, "Forwarded") > 0;
    struct list_end end = {.head = request, .name = standard ? "Forwarded" : "X-Forwarded-For"};
    const char *proto = http_head_get(request, "X-Forwarded-Proto");
    struct element element;
    bool valid;

    forwarded->secure = false;
    if (!trusted_proxies_has(proxies, peer))
        return FORWARDED_NOT;
    end.fields = http_head_count(request, end.name);
    if (end.fields == 0)
        return FORWARDED_NOT;
    if (!standard && http_head_count(request, "X-Forwarded-Proto") == 1)
        forwarded->secure = is_secure(proto);
    for (unsigned hops = 0; next_element(&end, standard, &element, &valid); hops++) {
        if (!valid || hops == MOST_HOPS || !parse_node(element.node, &forwarded->client))
            return FORWARDED_UNKNOWN;
        if (standard)
            forwarded->secure = is_secure(element.proto);
        if (!trusted_proxies_has(proxies, (const struct sockaddr *) &forwarded->client))
            return FORWARDED_CLIENT;
    }
    return FORWARDED_CLIENT; /* all of them are trusted: the first is where it began */
}
