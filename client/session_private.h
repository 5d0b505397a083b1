/* What the files of a session share: session.c (its life), session_attempt.c (attempts to connect,
 * connections, and what follows their end) and session_end.c (what the run comes to). For them
 * alone. */
#ifndef WS_CLIENT_SESSION_PRIVATE_H
#define WS_CLIENT_SESSION_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "client/connect/backoff.h"
#include "client/connect/connection.h"
#include "client/connect/connector.h"
#include "client/connect/outcome.h"
#include "client/connect/token_command.h"
#include "client/monitor/monitor.h"
#include "client/ready.h"
#include "client/resume/resume.h"
#include "client/session.h"
#include "client/signals.h"
#include "client/target.h"
#include "client/wire/traffic.h"
#include "common/base/list.h"

enum session_next {
    NEXT_NOTHING,
    NEXT_REDIRECT, /* go where the server says */
    NEXT_RETRY,    /* wait, and begin again */
    NEXT_AGAIN,    /* begin again at once */
};

/* What the connection is for. */
enum session_goal {
    SESSION_RECEIVE,
    SESSION_RENEW,       /* it is being closed, to be followed by another one */
    SESSION_CLOSE_ON_EOF /* all that --input-eof close waits for is sent: the server's Close is the
                            answer */
};

enum session_state {
    SESSION_RUNS,
    SESSION_DECIDED, /* `exit` or `signal` stands, and what is left is brought to its end */
    SESSION_EMPTIED, /* the handles are closed, and the loop runs empty */
};

struct session {
    const struct client_options *options;
    struct target target;
    struct resume resume;
    uv_loop_t loop;
    struct tls_context *tls; /* made when a wss: URL is first met */
    uv_prepare_t turn_end;
    uv_timer_t timeout;
    uv_timer_t attempt; /* --connect-timeout */
    uv_timer_t pause;   /* between two attempts */
    struct signals signals;
    struct ready ready;
    struct token_command token_command;
    struct connector connector;
    struct connection connection;
    struct traffic traffic;
    struct monitor monitor;

    enum session_next next; /* when the connection has closed, unless it is decided */
    char *location;         /* NEXT_REDIRECT */
    uint64_t delay;         /* NEXT_RETRY: milliseconds */
    struct error why;
    char *said; /* lines of the server's about it, or NULL */
    struct backoff backoff;

    enum session_goal goal; /* of the connection */
    enum session_state state;
    bool hurried; /* by a signal or --timeout: a slow reader of our output is not waited for */
    enum client_exit exit;
    int signal; /* that has ended it before it was done; 0: none */
};

/* ---- session_attempt.c ---- */

extern const struct connection_ops session_connection_ops;
extern const struct connector_ops session_connector_ops;
extern const struct token_command_ops session_token_ops;

/* Begins an attempt to connect, which may lead from server to server. */
void session_attempt_begin(struct session *session);

/* ---- session_end.c ---- */

extern const struct traffic_ops session_traffic_ops;
extern const struct signals_ops session_signals_ops;

/* Decides the exit status and says why, unless it is decided. The precedence: a signal or --timeout
 * that comes while something is left to do, then what went wrong with the output, then the first
 * outcome. */
void session_end_decide(struct session *session, enum client_exit status, const char *why);

/* Ends when what the connection brought is printed and commands have come to their end. */
void session_end_when_printed(struct session *session);

void session_end_on_timeout(uv_timer_t *timer);
void session_end_on_turn_end(uv_prepare_t *prepare);

#endif
