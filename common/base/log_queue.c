#include "common/base/log_queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"

enum {
    ROOM = 256 * 1024,
    BATCH = 4096, /* bytes that one system call writes: a pipe takes them whole (PIPE_BUF) */
};

struct log_queue {
    const char *program;
    uv_thread_t thread;
    uv_mutex_t lock;   /* guards what follows */
    uv_cond_t changed; /* there is something to write, or the end has come */
    uv_cond_t ended;
    bool ending;
    bool has_ended;
    bool is_left;     /* log_queue_stop has given up waiting: the thread frees the queue */
    uint64_t dropped; /* lines, since the last that found room */
    size_t begin;     /* of the lines in `ring`, */
    size_t len;       /* and their bytes */
    struct log_rate rate;
    char ring[ROOM];
};

static uint64_t now(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- the ring, with the lock held ---- */

static bool has_room(const struct log_queue *queue, size_t len)
{
    return ROOM - queue->len >= len;
}

static void append(struct log_queue *queue, const char *line, size_t len)
{
    size_t end = (queue->begin + queue->len) % ROOM;
    size_t first = len < ROOM - end ? len : ROOM - end;

    memcpy(queue->ring + end, line, first);
    memcpy(queue->ring, line + first, len - first);
    queue->len += len;
}

/* Appends a line of the queue's own. There is room for it. */
static void append_text(struct log_queue *queue, const char *text)
{
    char line[LOG_MAX_LINE];
    int len = snprintf(line, sizeof line, "%s: %s\n", queue->program, text);

    append(queue, line, (size_t) len);
}

static void append_dropped(struct log_queue *queue)
{
    char text[128];

    (void) snprintf(text, sizeof text,
                    "%llu log line%s dropped here: standard error was not read in time",
                    (unsigned long long) queue->dropped, queue->dropped == 1 ? "" : "s");
    queue->dropped = 0;
    append_text(queue, text);
}

/* Takes whole lines out, as many as one system call may write; returns their bytes. */
static size_t take_batch(struct log_queue *queue, char batch[BATCH])
{
    size_t len = queue->len < BATCH ? queue->len : BATCH;
    size_t first = len < ROOM - queue->begin ? len : ROOM - queue->begin;

    memcpy(batch, queue->ring + queue->begin, first);
    memcpy(batch + first, queue->ring, len - first);
    while (len > 0 && batch[len - 1] != '\n')
        len--;
    queue->begin = (queue->begin + len) % ROOM;
    queue->len -= len;
    return len;
}

/* ---- the thread ---- */

/* Writes it all, however long that takes. What stderr refuses is lost. */
static void write_all(const char *data, size_t len)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);

        if (n >= 0) {
            data += n;
            len -= (size_t) n;
        } else if (errno == EAGAIN) { /* another process has made it so */
            (void) poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

/* Moves what is to be told of lines that were left out into the ring, which is empty. */
static void tell(struct log_queue *queue)
{
    char text[256];

    if (queue->dropped > 0)
        append_dropped(queue);
    while (has_room(queue, ROOM / 2) &&
           log_rate_tell(&queue->rate, queue->ending ? UINT64_MAX : now(), text, sizeof text))
        append_text(queue, text);
}

/* Until there may be something to do. */
static void wait_for_more(struct log_queue *queue)
{
    uint64_t due = log_rate_due(&queue->rate), time = now();

    if (due == UINT64_MAX)
        uv_cond_wait(&queue->changed, &queue->lock);
    else if (due > time)
        (void) uv_cond_timedwait(&queue->changed, &queue->lock, (due - time) * 1000000);
}

static void free_queue(struct log_queue *queue)
{
    uv_cond_destroy(&queue->ended);
    uv_cond_destroy(&queue->changed);
    uv_mutex_destroy(&queue->lock);
    free(queue);
}

static void run(void *argument)
{
    struct log_queue *queue = argument;
    char batch[BATCH];
    bool is_left;

    uv_mutex_lock(&queue->lock);
    for (;;) {
        size_t len;

        if (queue->len == 0)
            tell(queue);
        len = take_batch(queue, batch);
        if (len > 0) {
            uv_mutex_unlock(&queue->lock);
            write_all(batch, len);
            uv_mutex_lock(&queue->lock);
        } else if (queue->ending) {
            break;
        } else {
            wait_for_more(queue);
        }
    }
    is_left = queue->is_left;
    queue->has_ended = true;
    uv_cond_signal(&queue->ended);
    uv_mutex_unlock(&queue->lock);
    if (is_left)
        free_queue(queue);
}

/* ---- the program's side ---- */

static bool admits(void *owner, const char *kind, const char *address)
{
    struct log_queue *queue = owner;
    unsigned pending;
    bool may;

    uv_mutex_lock(&queue->lock);
    pending = log_rate_pending(&queue->rate);
    may = log_rate_admits(&queue->rate, kind, address, now());
    if (log_rate_pending(&queue->rate) > pending)
        uv_cond_signal(&queue->changed); /* there is one more time to wait for */
    uv_mutex_unlock(&queue->lock);
    return may;
}

/* Once lines are dropped, all are until there is much room again: so that the reader gets runs of
 * lines, and the count of what is missing between them. */
static void take_line(void *owner, const char *line, size_t len)
{
    struct log_queue *queue = owner;

    uv_mutex_lock(&queue->lock);
    if (queue->dropped > 0 && has_room(queue, ROOM / 2))
        append_dropped(queue);
    if (queue->dropped == 0 && has_room(queue, len)) {
        append(queue, line, len);
    } else {
        queue->dropped++;
        log_count_dropped();
    }
    uv_cond_signal(&queue->changed);
    uv_mutex_unlock(&queue->lock);
}

static void drop_line(void *owner, const char *line, size_t len)
{
    (void) owner, (void) line, (void) len;
}

/* ---- life ---- */

/* A thread that handles no signals: they are for others. */
static int start_thread(struct log_queue *queue)
{
    sigset_t all, before;
    int status;

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    status = uv_thread_create(&queue->thread, run, queue);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

int log_queue_start(struct log_queue **queue, const char *program)
{
    struct log_queue *fresh = malloc(sizeof *fresh);
    int status = UV_ENOMEM;

    if (fresh == NULL)
        return status;
    fresh->program = program;
    fresh->ending = fresh->has_ended = fresh->is_left = false;
    fresh->dropped = 0;
    fresh->begin = fresh->len = 0;
    log_rate_init(&fresh->rate);
    status = uv_mutex_init(&fresh->lock);
    if (status != 0)
        goto fail_lock;
    status = uv_cond_init(&fresh->changed);
    if (status != 0)
        goto fail_changed;
    status = uv_cond_init(&fresh->ended);
    if (status != 0)
        goto fail_ended;
    status = start_thread(fresh);
    if (status != 0)
        goto fail_thread;
    log_set_writer(&(struct log_writer){.owner = fresh, .admits = admits, .write = take_line});
    *queue = fresh;
    return 0;

fail_thread:
    uv_cond_destroy(&fresh->ended);
fail_ended:
    uv_cond_destroy(&fresh->changed);
fail_changed:
    uv_mutex_destroy(&fresh->lock);
fail_lock:
    free(fresh);
    return status;
}

void log_queue_stop(struct log_queue *queue, uint64_t milliseconds)
{
    uint64_t end = uv_hrtime() + milliseconds * 1000000, time;
    bool has_ended;

    if (queue == NULL)
        return;
    uv_mutex_lock(&queue->lock);
    queue->ending = true;
    uv_cond_signal(&queue->changed);
    while (!queue->has_ended && (time = uv_hrtime()) < end)
        (void) uv_cond_timedwait(&queue->ended, &queue->lock, end - time);
    has_ended = queue->has_ended;
    if (!has_ended) {
        queue->is_left = true;
        (void) pthread_detach(queue->thread);
    }
    uv_mutex_unlock(&queue->lock);
    log_set_writer(has_ended ? NULL : &(struct log_writer){.write = drop_line});
    if (has_ended) {
        (void) uv_thread_join(&queue->thread);
        free_queue(queue);
    }
}
