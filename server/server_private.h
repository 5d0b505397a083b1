/* What the files of the server share: server.c (its life), server_reload.c (a new configuration
 * while it runs), server_drain.c (its end, in steps) and server_log.c (its log). For them alone. */
#ifndef WS_SERVER_SERVER_PRIVATE_H
#define WS_SERVER_SERVER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/log_queue.h"
#include "common/tls/tls_context.h"
#include "server/broadcast/channels.h"
#include "server/config/config.h"
#include "server/http/control.h"
#include "server/journal/journal.h"
#include "server/journal/journal_sqlite.h"
#include "server/net/fd_shortage.h"
#include "server/net/limits.h"
#include "server/net/sockets.h"
#include "server/notify.h"
#include "server/server.h"
#include "server/stdio/sink.h"
#include "server/stdio/source.h"
#include "server/thread/signals.h"
#include "server/worker.h"

struct server {
    struct server_arguments arguments;
    struct log_queue *log; /* NULL: it has not started */
    struct config *first;  /* configuration, of the start, from which much is borrowed for good; */
    struct config *config; /* that holds now; */
    struct config *old;    /* that some workers may still use; NULL: none does */
    struct worker_change change; /* while there is an old one */
    struct sockets_change listeners;
    bool reload_again; /* when all have taken that over */
    uv_async_t changed;
    uv_loop_t loop; /* the main thread's: signals, and standard input and output */
    uv_async_t workers_done;
    struct control control;
    struct control_ask *reload_ask; /* that a reload under way is for, or NULL */
    bool stopping;                  /* a signal has said so, */
    bool stopped;                   /* and the workers have been told */
    uv_timer_t drain;
    struct signals signals;
    struct tls_context *tls; /* NULL: ws:// */
    struct channels channels;
    struct journal memory;
    struct journal_sqlite *store; /* NULL: the journal is that of memory */
    struct journal *journal;
    const char *listed[2]; /* channels that can be made, if that is not up to anyone, */
    size_t listed_count;
    uv_timer_t expiry;    /* of history, if its age matters */
    uv_timer_t trim;      /* of the heap: */
    uint64_t peak;        /* bytes that were held at most since then */
    struct source source; /* these two if they are asked for */
    struct sink sink;
    struct limits limits;
    struct fd_shortage shortage;
    struct sockets sockets;
    struct notify notify; /* the service manager */
    struct worker_shared shared;
    struct worker **workers; /* shared.worker_count of them; NULL: not made */
    size_t started;          /* of them */
    _Atomic size_t running;  /* of those, have not ended */
};

/* ---- server.c ---- */

/* What the main thread does as the configuration of now says: the log, the bounds on memory, which
 * channels can be made, and the timer of what expires. */
void server_configure(struct server *server);

/* The files of TLS, and warnings of certificates that clients will not accept. */
struct tls_files server_tls_files(const struct server_options *options);
void server_warn_of_certificates(const struct server *server);

/* ---- server_log.c (see also server.h) ---- */

/* From here on nothing waits for stderr, and lines go where the options say. Returns 0, or a
 * negative UV_E* code with a text. */
int server_log_start(struct server *server, struct error *error);

/* Ends it, which takes no longer than `milliseconds`; from here on lines go to stderr. `why` the
 * server could not start (NULL: it could) is told there, and in the log file before. */
void server_log_stop(struct server *server, uint64_t milliseconds, const char *why);

/* Opens the log file anew, if there is one. If that fails, the log goes on as before and says so.
 */
void server_log_reopen(struct server *server);

/* For a reload: opens the log file of `next` where that is another one: `*fd`, else -1. Returns 0,
 * or a negative UV_E* code with a text. */
int server_log_prepare(const struct server *server, const struct server_options *next, int *fd,
                       struct error *error);

/* Takes over what server_log_prepare has opened, and the form of `next`, which is not the
 * configuration yet. */
void server_log_change(struct server *server, const struct server_options *next, int fd);

/* ---- server_store.c ---- */

/* Opens the store, if there is to be one, and reads from it what channels retain. Returns 0, or a
 * negative UV_E* code with a text. */
int server_store_open(struct server *server, struct error *error);

/* The configuration, and the channels' settings, are others. */
void server_store_configure(struct server *server);

/* The workers have ended, and are not freed yet: stores and delivers what is left. Harmless when
 * there is none. */
void server_store_close(struct server *server);

/* ---- server_drain.c ---- */

/* Begins the end; a second time, ends at once. `why` is the signal, or what else asked for it. */
void server_terminate(struct server *server, const char *why);

/* Those that have been started are to end; a second time, at once. */
void server_stop_workers(struct server *server);

/* ---- server_reload.c ---- */

/* The handle by which workers say that they have taken a configuration over. Returns 0 or a
 * negative UV_E* code. */
int server_reload_init(struct server *server);

/* Reads everything anew; what is wrong is logged, and changes nothing. */
void server_reload(struct server *server);

/* The same for one that has asked for it, who is told what came of it. */
void server_reload_for(struct server *server, struct control_ask *ask);

#endif
