/* An address to listen on, as it is written:
 *
 *     PORT, :PORT, localhost:PORT    this machine only, over IPv4 and IPv6
 *     HOST:PORT, [IPV6-ADDRESS]:PORT
 *     unix:PATH
 *     fd:N                           a listening socket that is inherited
 *
 * and behind it, each with a comma before it: tls=on|off; proxy=on|off; mode=OCTAL and group=NAME
 * of a Unix socket. */
#ifndef WS_SERVER_SYNTAX_LISTEN_ADDRESS_H
#define WS_SERVER_SYNTAX_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/base/error.h"

enum listen_address_kind {
    LISTEN_ADDRESS_TCP,
    LISTEN_ADDRESS_UNIX,
    LISTEN_ADDRESS_INHERITED,
};

enum listen_address_tls {
    LISTEN_ADDRESS_TLS_DEFAULT, /* as the server has a certificate or has none */
    LISTEN_ADDRESS_TLS_ON,
    LISTEN_ADDRESS_TLS_OFF,
};

enum { LISTEN_ADDRESS_MODE = 0660 }; /* of a Unix socket, where nothing else is said */

struct listen_address {
    enum listen_address_kind kind;
    const char *text; /* all of it, as given; borrowed */
    char host[256];
    char port[6];
    char path[sizeof((struct sockaddr_un *) NULL)->sun_path];
    int fd;
    enum listen_address_tls tls;
    bool proxy; /* each connection begins with a header of the PROXY protocol */
    mode_t mode;
    char group[64]; /* name or number; "": the process's own */
};

/* Returns 0, or UV_EINVAL with a text. */
int listen_address_parse(const char *text, struct listen_address *where, struct error *error);

/* True if only this machine can reach it, as far as that is known without asking a resolver. */
bool listen_address_is_local(const struct listen_address *where);

#endif
