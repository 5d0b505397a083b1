/* What wsrecv is told on its command line. */
#ifndef WS_CLIENT_OPTIONS_CLIENT_OPTIONS_H
#define WS_CLIENT_OPTIONS_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connect/header_fields.h"
#include "client/connect/route.h"
#include "client/options/message_list.h"
#include "client/options/string_list.h"
#include "client/output/render.h"
#include "common/base/error.h"
#include "common/cli/options.h"
#include "common/websocket/event_id.h"

/* What the end of standard input means, and a command that fails. */
enum client_input_eof { CLIENT_EOF_CLOSE, CLIENT_EOF_KEEP };
enum client_exec_fail { CLIENT_EXEC_IGNORE, CLIENT_EXEC_STOP };

/* Whether JSON is coloured: by the environment, on a terminal. */
enum client_colour { CLIENT_COLOUR_AUTO, CLIENT_COLOUR_ALWAYS, CLIENT_COLOUR_NEVER };

/* What --cert is: as it looks, or as it is said. */
enum client_cert_type { CLIENT_CERT_ANY, CLIENT_CERT_PEM, CLIENT_CERT_P12 };

/* Where the first connection begins to hear. */
struct client_since {
    enum {
        CLIENT_SINCE_NOW,
        CLIENT_SINCE_ALL,  /* at the first message that the server has */
        CLIENT_SINCE_LAST, /* at the last `count` of them */
        CLIENT_SINCE_ID,   /* behind the message `id` */
    } kind;
    bool implied; /* by --until-live */
    uint64_t count;
    struct event_id id;
};

struct client_options {
    const char *url;
    struct message_list messages; /* sent, in order, after connecting */
    bool message_binary;          /* and binary */
    const char *stdin_for;        /* the option that has read standard input, or NULL */
    uint64_t count;               /* messages to receive before closing; 0: no end */
    uint64_t max_message;         /* bytes; 0: no limit */
    uint64_t timeout;             /* milliseconds for everything; 0: none */
    bool raw;                     /* at most one of these; `mode` says which */
    bool json;
    bool hex;
    bool base64;
    bool bytes;
    const char *format;     /* or NULL */
    enum render_mode mode;  /* as these have it */
    enum stamp_kind stamps; /* before each message */
    bool null;              /* NULs in place of newlines, in and out */
    bool pretty;            /* JSON is indented */
    enum client_colour colour;
    const char *until;     /* a regular expression, or NULL */
    const char *command;   /* of --exec, or NULL */
    uint64_t jobs;         /* commands at once */
    uint64_t exec_timeout; /* milliseconds for each; 0: none */
    enum client_exec_fail exec_fail;

    /* staying connected; all times in milliseconds, 0: none */
    bool reconnect;
    bool retry_all_errors;
    uint64_t retries; /* in a row; 0: no end */
    uint64_t retry_max_delay;
    uint64_t ping_interval;
    uint64_t ping_timeout;
    uint64_t connect_timeout;
    uint64_t idle_timeout;

    /* missing nothing */
    struct client_since since;
    const char *state_file; /* its name, or NULL */
    bool until_live;
    bool fail_on_gap;

    /* the request */
    struct string_list headers;  /* arguments of -H, which may change: see header_fields_load */
    struct header_fields fields; /* what they said at the start */
    bool sse;                    /* an event stream, whatever the URL's scheme */
    struct string_list events;   /* types that are wanted; none: all */
    struct string_list queries;  /* "NAME=VALUE", percent-encoded */
    struct string_list subprotocols;
    struct string_list public_subprotocols; /* of these, what does not look like a credential */
    const char *origin;
    const char *user; /* "USER:PASSWORD" */
    const char *user_file;
    const char *bearer_file;
    const char *token_command; /* or NULL */
    const char *user_agent;
    uint64_t max_redirs;

    /* the network */
    const char *proxy;   /* NULL: the environment's; "": none */
    const char *noproxy; /* NULL: the environment's */
    const char *unix_socket;
    struct route_rules routes;
    const char *sni; /* or NULL */
    bool ipv4;       /* both or none: either family */
    bool ipv6;

    /* the end, and the beginning */
    unsigned close_code; /* of our own Close; 0: 1000 */
    const char *close_reason;
    uint64_t ready_fd;      /* 0: none */
    const char *ready_file; /* or NULL */

    bool send;
    bool send_binary; /* and lines are binary messages; implies `send` */
    enum client_input_eof input_eof;
    bool echo;
    bool no_compression;
    const char *cacert; /* names of PEM files, or NULL */
    const char *cert;
    const char *key;
    const char *capath; /* directories and files, or NULL */
    const char *key_pass_file;
    enum client_cert_type cert_type;
    bool insecure;
    bool quiet;
    bool verbose;
    bool stats;
    bool help;
    bool version;
};

/* wsrecv's exit status. */
enum client_exit {
    CLIENT_OK = 0,         /* closed cleanly, and all that was asked for has happened */
    CLIENT_OUTPUT = 1,     /* standard output cannot be written */
    CLIENT_INCOMPLETE = 1, /* what -n, --until or --input-eof close ask for has not happened */
    CLIENT_USAGE = 2,
    CLIENT_CONNECT = 3, /* cannot resolve or connect */
    CLIENT_TLS = 4,
    CLIENT_REFUSED = 5,   /* the opening handshake was refused */
    CLIENT_LOST = 6,      /* the connection ended without a Close */
    CLIENT_PROTOCOL = 7,  /* the server broke the protocol */
    CLIENT_CLOSED = 8,    /* the server closed with another code than 1000 or 1001 */
    CLIENT_RETRIES = 9,   /* --reconnect: the last of --retries has failed */
    CLIENT_GAP = 10,      /* --fail-on-gap: messages were lost */
    CLIENT_TIMEOUT = 124, /* --timeout or --idle-timeout passed */
};

extern const struct option_table client_options_table;

/* Fills in the defaults, then what the arguments say; strings are borrowed from `argv`. Returns 0,
 * UV_EINVAL with a text for the user, or UV_ENOMEM. */
int client_options_init(struct client_options *options, int argc, char **argv, struct error *error);
void client_options_deinit(struct client_options *options);

#endif
