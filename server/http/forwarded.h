/* For whom a request was forwarded, as trusted proxies say in Forwarded (RFC 7239) or, where that
 * field is missing, in X-Forwarded-For and X-Forwarded-Proto.
 *
 * Each proxy appends the address that it was connected from, so the list is read from its end: the
 * connection's own address must be that of a trusted proxy, and so must each address that is passed
 * over; the first that is not is the client's. What stands before it may be forged. */
#ifndef WS_SERVER_HTTP_FORWARDED_H
#define WS_SERVER_HTTP_FORWARDED_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/http/http_head.h"
#include "server/syntax/trusted_proxies.h"

enum forwarded_result {
    FORWARDED_NOT,     /* it comes from the connection's own address */
    FORWARDED_CLIENT,  /* `client` says for whom */
    FORWARDED_UNKNOWN, /* a trusted proxy does not say, or says it in a form that has no address
                          ("unknown", "_hidden", RFC 7239, 6.2 and 6.3) */
};

struct forwarded {
    struct sockaddr_storage client; /* AF_INET or AF_INET6; its port is 0 where it is not said */
    bool secure;                    /* the client spoke https or wss with the outermost proxy */
};

/* `peer` is the address at the other end of the connection, or what the PROXY protocol said. A
 * member of the list that is malformed ends the reading: then the last trusted one before it is
 * FORWARDED_UNKNOWN. */
enum forwarded_result forwarded_find(const struct http_head *request,
                                     const struct trusted_proxies *proxies,
                                     const struct sockaddr *peer, struct forwarded *forwarded);

#endif
