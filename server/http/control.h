/* What requests may ask of the server as a whole, and what it says of itself: shared by all
 * threads. The main thread does what is asked for, through an inbox of its own; who asks is told on
 * their own thread, through theirs. */
#ifndef WS_SERVER_HTTP_CONTROL_H
#define WS_SERVER_HTTP_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/thread/inbox.h"

enum control_phase {
    CONTROL_STARTING,
    CONTROL_READY,
    CONTROL_DRAINING, /* it is about to end */
};

enum control_wish {
    CONTROL_RELOAD,
    CONTROL_DRAIN,
};

enum { CONTROL_TEXT = 600 };

/* One that has asked. */
struct control_ask {
    struct control *_control;
    struct list _node;        /* of all that are under way */
    struct inbox_item _asked; /* on its way to the main thread, */
    struct inbox_item _told;  /* and back */
    struct inbox *_inbox;
    enum control_wish wish;
    void *_asker; /* NULL: forgotten */
    void (*_answered)(void *asker, int status, const char *text);
    int _status;
    char _text[CONTROL_TEXT];
};

struct control {
    _Atomic int phase;
    struct inbox _inbox; /* of the main thread's loop */
    uv_mutex_t _lock;    /* guards the list */
    struct list _asks;
    void (*_on_ask)(struct control *control, struct control_ask *ask);
};

/* `on_ask` runs on the loop's thread; control_answer has to follow, at once or later. Returns 0 or
 * a negative UV_E* code. */
int control_init(struct control *control, uv_loop_t *loop,
                 void (*on_ask)(struct control *control, struct control_ask *ask));

/* No thread is left that asks: closes the handle. Run the loop once more then, and deinit. */
void control_close(struct control *control);
void control_deinit(struct control *control);

/* From a thread with an inbox: `answered` runs there, later, never within. Returns 0 or UV_ENOMEM.
 */
int control_ask(struct control *control, enum control_wish wish, struct inbox *inbox, void *asker,
                void (*answered)(void *asker, int status, const char *text),
                struct control_ask **ask);

/* On the asker's thread, until `answered` runs: it will not. */
void control_forget(struct control_ask *ask);

/* On the main thread: what came of it, in one line. `status` is 0, or a negative UV_E* code where
 * nothing was done. */
void control_answer(struct control_ask *ask, int status, const char *text);

#endif
