/* A question to all workers. Each gives its share of the answer on its own thread, a bounded piece
 * of work in a turn; when the last has, the asker is told, on the thread that it asked from.
 *
 *     question_ask ──► inbox of each worker ──► its desk: so much work in each turn
 *          ▲                                        │ the last of them
 *          └────────── inbox of the asker's ◄───────┘
 *
 * Questions for the same that come while a worker is at one share the next answer: however many
 * come, a worker is busy with two answers at most.
 *
 * A question belongs to the desk that it was asked at until it has been answered. The asker may be
 * gone by then (question_forget). What is on its way when the workers stop is freed with the desk.
 */
#ifndef WS_SERVER_THREAD_QUESTION_H
#define WS_SERVER_THREAD_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"
#include "server/thread/inbox.h"

struct question;

/* What can be asked. */
struct question_kind {
    size_t share_size; /* bytes of a worker's share, which begins as zeros */
    /* On each worker's thread, with the context of its desk: fills in the share, in one call or in
     * several, each of which takes from `*budget` what it has done. True when it is complete. */
    bool (*work)(void *context, void *subject, void *share, unsigned *budget);
    /* On the asker's thread: the question does not need its subject any more. */
    void (*release)(void *context, void *subject);
    /* The same for what a share refers to, which must not be asked for by several questions then.
     * May be NULL. */
    void (*drop)(void *share);
};

/* Where a worker's questions come from and go to. */
struct question_desk {
    struct inbox *inbox;
    void *context;
    size_t count; /* of the desks of all workers, */
    struct question_desk *(*at)(void *context, size_t i);
    struct list _shares; /* that are asked of this worker */
    struct list _asked;  /* questions that were asked here */
};

/* All is borrowed. `at` gives the desk of the i-th of `count` workers, this one among them. */
void question_desk_init(struct question_desk *desk, struct inbox *inbox, void *context,
                        struct question_desk *(*at)(void *context, size_t i), size_t count);

/* No worker runs any more. */
void question_desk_deinit(struct question_desk *desk);

/* Works on what is asked of this worker, to be called once in each turn: `budget` is for all
 * questions together. True when nothing is left; else a turn should come without waiting. */
bool question_desk_work(struct question_desk *desk, unsigned budget);

/* True when nothing is asked of this worker. */
bool question_desk_is_idle(const struct question_desk *desk);

/* Asks all workers, on the thread of the desk. The subject is the question's until it is released,
 * also on failure. `answered` runs later, never within. Returns 0 or UV_ENOMEM. */
int question_ask(struct question **question, struct question_desk *desk,
                 const struct question_kind *kind, void *subject, void *asker,
                 void (*answered)(void *asker, const struct question *question));

/* The answer is no longer wanted: `answered` will not run. Harmless with NULL. */
void question_forget(struct question *question);

/* ---- within `answered`: the question is gone afterwards ---- */

void *question_subject(const struct question *question);

/* The share of the i-th worker, of question_count. */
size_t question_count(const struct question *question);
const void *question_share(const struct question *question, size_t i);

#endif
