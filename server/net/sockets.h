/* The sockets that the server listens on, opened before any worker starts, where failing can still
 * be reported to the user.
 *
 *     HOST:PORT    TCP: a socket for each worker, among which the kernel spreads connections
 *                  (SO_REUSEPORT)
 *     unix:PATH    a Unix socket: one, which the workers share
 *     fd:N         inherited, as from systemd (LISTEN_FDS): one, which the workers share */
#ifndef WS_SERVER_NET_SOCKETS_H
#define WS_SERVER_NET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

#include "common/base/error.h"
#include "server/config/server_options.h"

struct sockets_socket {
    int fd;      /* -1 once taken */
    unsigned id; /* of the argument of --listen that it was opened for; each has its own */
    size_t worker;
    bool shared; /* its connections are for all workers */
    bool tls;    /* is spoken on them */
    bool proxy;  /* they begin with a header of the PROXY protocol */
    bool admin;  /* they are the operator's: --admin */
};

/* Where clients find the server. */
struct sockets_address {
    unsigned id;
    char name[160];                                           /* for the log */
    char path[sizeof((struct sockaddr_un *) NULL)->sun_path]; /* of a Unix socket that we made */
    bool tls;
    bool admin;
    struct stat file; /* what it was when we made it */
};

/* An argument of --listen (or --admin) that is being listened on. */
struct sockets_argument {
    unsigned id;
    bool admin;
    bool wanted; /* while what changes is found out */
    char *text;  /* "": nothing was said */
};

struct sockets {
    struct sockets_socket *list;
    size_t count;
    size_t _capacity;
    size_t _workers;
    bool _has_certificate; /* TLS is spoken where nothing else is said, */
    bool _tls;             /* and on what is being opened */
    bool _proxy;           /* which expects headers of the PROXY protocol, */
    bool _admin;           /* or is the operator's */
    struct sockets_argument *_arguments;
    size_t _argument_count;
    unsigned _last_id;
    bool _has_passed; /* by systemd: what nothing was said for */
    struct sockets_address *_addresses;
    size_t _address_count;
    bool _reachable; /* by other machines, over TCP and without TLS */
};

/* Opens all that the options ask for, for a number of workers; without any --listen, what systemd
 * passes on, or else the default address. The loop, which is not run, is for resolving names.
 * Returns 0, or a negative UV_E* code with a text; in either case sockets_deinit must follow. */
int sockets_init(struct sockets *sockets, const struct server_options *options, size_t workers,
                 uv_loop_t *loop, struct error *error);

enum { SOCKETS_MAX_ARGUMENTS = SERVER_OPTIONS_MAX_LISTENS + 1 };

/* How what is listened on changes. */
struct sockets_change {
    struct sockets_socket *opened; /* in the list */
    size_t opened_count;
    unsigned closed[SOCKETS_MAX_ARGUMENTS]; /* IDs; they are served until their listeners close */
    size_t closed_count;
    size_t first_address; /* of what is new */
};

/* Opens what the options ask for now and what was not asked for before, and says what is not asked
 * for any more. Returns 0, or a negative UV_E* code with a text, and nothing has changed. */
int sockets_change(struct sockets *sockets, const struct server_options *options, uv_loop_t *loop,
                   struct sockets_change *change, struct error *error);

/* Hands out the descriptor, which the caller owns from then on. */
int sockets_take(struct sockets_socket *one);

/* Logs where clients find the server, from the address `first` on; and a warning, where pages could
 * come by DNS rebinding. */
void sockets_announce(const struct sockets *sockets, const struct server_options *options,
                      size_t first);

/* Closes what was not taken, and removes the Unix sockets that were made, if they are still ours.
 */
void sockets_deinit(struct sockets *sockets);

#endif
