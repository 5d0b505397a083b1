#include "server/syntax/listen_address.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/authority.h"
#include "common/cli/options.h"

enum { HIGHEST_MODE = 0777 };

static int not_an_address(const char *text, struct error *error)
{
    return error_set(error, UV_EINVAL,
                     "'%s' is not PORT, HOST:PORT or [IPV6-ADDRESS]:PORT with a port from 0 to "
                     "65535, unix:PATH or fd:N",
                     text);
}

/* ---- where ---- */

static int parse_inherited(struct listen_address *where, const char *number, struct error *error)
{
    struct error why;
    uint64_t fd;

    where->kind = LISTEN_ADDRESS_INHERITED;
    if (options_parse_count(number, 3, INT32_MAX, &fd, &why) != 0)
        return error_set(error, UV_EINVAL,
                         "'%s' is not fd:N with the number of a descriptor from 3", where->text);
    where->fd = (int) fd;
    return 0;
}

static int parse_unix(struct listen_address *where, const char *path, size_t len,
                      struct error *error)
{
    where->kind = LISTEN_ADDRESS_UNIX;
    if (len == 0)
        return error_set(error, UV_EINVAL, "'%s' is not unix:PATH: there is no path", where->text);
    if (len >= sizeof where->path)
        return error_set(error, UV_EINVAL,
                         "the path of '%s' has %zu bytes, and that of a Unix socket has %zu at "
                         "most: choose a shorter one",
                         where->text, len, sizeof where->path - 1);
    memcpy(where->path, path, len);
    return 0;
}

/* "HOST:PORT", or what leaves out the host. */
static int parse_tcp(struct listen_address *where, const char *text, struct error *error)
{
    static const char this_machine[] = "localhost";
    struct authority parts;
    struct error unused;
    uint64_t number;

    /* An IPv6 address without brackets is none: where does it end? */
    if (!authority_split(text, strlen(text), &parts))
        return not_an_address(where->text, error);
    if (parts.port == NULL && !parts.brackets) {
        parts.port = parts.host;
        parts.host_len = 0;
    }
    if (parts.host_len == 0 && !parts.brackets) {
        parts.host = this_machine;
        parts.host_len = sizeof this_machine - 1;
    }
    if (parts.port == NULL || strlen(parts.port) > 5 ||
        options_parse_count(parts.port, 0, 65535, &number, &unused) != 0 || parts.host_len == 0 ||
        parts.host_len >= sizeof where->host)
        return not_an_address(where->text, error);
    memcpy(where->host, parts.host, parts.host_len);
    memcpy(where->port, parts.port, strlen(parts.port) + 1);
    return 0;
}

/* ---- how ---- */

static int parse_tls(struct listen_address *where, const char *value, struct error *error)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return error_set(error, UV_EINVAL, "'tls=%s' of '%s' is neither tls=on nor tls=off", value,
                         where->text);
    where->tls = strcmp(value, "on") == 0 ? LISTEN_ADDRESS_TLS_ON : LISTEN_ADDRESS_TLS_OFF;
    return 0;
}

static int parse_proxy(struct listen_address *where, const char *value, struct error *error)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return error_set(error, UV_EINVAL, "'proxy=%s' of '%s' is neither proxy=on nor proxy=off",
                         value, where->text);
    where->proxy = strcmp(value, "on") == 0;
    return 0;
}

static int parse_mode(struct listen_address *where, const char *value, struct error *error)
{
    char *end;
    unsigned long mode = strtoul(value, &end, 8);

    if (*value < '0' || *value > '7' || *end != '\0' || mode > HIGHEST_MODE)
        return error_set(error, UV_EINVAL,
                         "'mode=%s' of '%s' is not an octal number from 0 to 0777, as in mode=0660",
                         value, where->text);
    where->mode = (mode_t) mode;
    return 0;
}

static int parse_group(struct listen_address *where, const char *value, struct error *error)
{
    size_t len = strlen(value);

    if (len == 0 || len >= sizeof where->group)
        return error_set(error, UV_EINVAL, "'group=%s' of '%s' is not the name of a group", value,
                         where->text);
    memcpy(where->group, value, len + 1);
    return 0;
}

static int parse_setting(struct listen_address *where, const char *setting, struct error *error)
{
    static const struct {
        const char *name;
        bool of_unix;
        int (*parse)(struct listen_address *where, const char *value, struct error *error);
    } known[] = {
        {"tls=", false, parse_tls},
        {"proxy=", false, parse_proxy},
        {"mode=", true, parse_mode},
        {"group=", true, parse_group},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i].name);

        if (strncmp(setting, known[i].name, len) != 0)
            continue;
        if (known[i].of_unix && where->kind != LISTEN_ADDRESS_UNIX)
            return error_set(error, UV_EINVAL, "'%s': %s is for Unix sockets that are made here",
                             where->text, known[i].name);
        return known[i].parse(where, setting + len, error);
    }
    return error_set(
        error, UV_EINVAL,
        "'%s' of '%s' is none of tls=on, tls=off, proxy=on, proxy=off, mode=OCTAL, group=NAME",
        setting, where->text);
}

/* The settings, from a comma on. */
static int parse_settings(struct listen_address *where, const char *text, struct error *error)
{
    int status = 0;

    while (*text == ',' && status == 0) {
        char setting[128];
        size_t len = strcspn(++text, ",");

        if (len >= sizeof setting)
            return error_set(error, UV_EINVAL, "'%s' is too long", text);
        memcpy(setting, text, len);
        setting[len] = '\0';
        status = parse_setting(where, setting, error);
        text += len;
    }
    return status;
}

int listen_address_parse(const char *text, struct listen_address *where, struct error *error)
{
    char address[sizeof where->host + sizeof where->port + 8];
    size_t len = strcspn(text, ",");
    int status;

    *where = (struct listen_address){
        .kind = LISTEN_ADDRESS_TCP,
        .text = text,
        .mode = LISTEN_ADDRESS_MODE,
    };
    if (strncmp(text, "unix:", 5) == 0) {
        status = parse_unix(where, text + 5, len - 5, error);
    } else if (len >= sizeof address) {
        status = not_an_address(text, error);
    } else {
        memcpy(address, text, len);
        address[len] = '\0';
        status = strncmp(address, "fd:", 3) == 0 ? parse_inherited(where, address + 3, error)
                                                 : parse_tcp(where, address, error);
    }
    return status == 0 ? parse_settings(where, text + len, error) : status;
}

bool listen_address_is_local(const struct listen_address *where)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    switch (where->kind) {
    case LISTEN_ADDRESS_UNIX:
        return true;
    case LISTEN_ADDRESS_INHERITED:
        return false;
    case LISTEN_ADDRESS_TCP:
        break;
    }
    if (uv_ip4_addr(where->host, 0, &v4) == 0)
        return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (uv_ip6_addr(where->host, 0, &v6) == 0)
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    return strcasecmp(where->host, "localhost") == 0;
}
