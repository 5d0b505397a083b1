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
#include "common/base/process.h"

enum {
    ROOM = 256 * 1024,
    BATCH = LOG_LINE_MAX, /* bytes that one system call writes: a pipe takes them whole */
    RETRY = 1000,         /* milliseconds between two attempts to write to a file that fails */
};

struct log_queue {
    uv_thread_t thread;
    int fd;            /* of the file that lines go to, or -1: stderr; the thread's alone */
    bool has_failed;   /* the last attempt to write to the file; the thread's alone */
    uv_mutex_t lock;   /* guards what follows */
    uv_cond_t changed; /* there is something to write, or the end has come */
    uv_cond_t ended;
    bool redirected; /* from now on `next_fd` counts */
    int next_fd;
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
static void append_text(struct log_queue *queue, enum log_level level, const char *text)
{
    char line[LOG_LINE_MAX];
    size_t len = log_make(line, level, text);

    append(queue, line, len);
}

static void append_dropped(struct log_queue *queue)
{
    char text[128];

    (void) snprintf(text, sizeof text, "%llu log line%s dropped here: the log was not %s in time",
                    (unsigned long long) queue->dropped, queue->dropped == 1 ? "" : "s",
                    queue->fd == -1 ? "read" : "written");
    queue->dropped = 0;
    append_text(queue, LOG_WARN, text);
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

/* From here on the lines go where they have been redirected to. */
static void adopt(struct log_queue *queue)
{
    if (queue->fd != -1)
        (void) close(queue->fd);
    queue->fd = queue->next_fd;
    queue->redirected = false;
    queue->has_failed = false;
}

/* The same, if that is so; called without the lock. */
static bool turns(struct log_queue *queue)
{
    bool redirected;

    uv_mutex_lock(&queue->lock);
    redirected = queue->redirected;
    if (redirected)
        adopt(queue);
    uv_mutex_unlock(&queue->lock);
    return redirected;
}

/* On stderr, if that takes it: the file cannot be written to. Once, until it can be again. */
static void complain(struct log_queue *queue, int error)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    char text[160], line[LOG_LINE_MAX];
    size_t len;

    if (queue->has_failed || poll(&room, 1, 0) != 1)
        return;
    queue->has_failed = true;
    (void) snprintf(text, sizeof text,
                    "cannot write to the log file: %s; lines wait until that works again, or the "
                    "file is reopened",
                    uv_strerror(uv_translate_sys_error(error)));
    len = log_make(line, LOG_ERROR, text);
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

/* Until it is worth trying again: a while, or less if there is a new place for the lines. False at
 * the end, which does not wait. */
static bool wait_to_retry(struct log_queue *queue)
{
    uint64_t end = now() + RETRY, time;
    bool ending;

    uv_mutex_lock(&queue->lock);
    while (!queue->ending && !queue->redirected && (time = now()) < end)
        (void) uv_cond_timedwait(&queue->changed, &queue->lock, (end - time) * 1000000);
    ending = queue->ending;
    uv_mutex_unlock(&queue->lock);
    return !ending;
}

/* Goes on after a write that failed. False: the rest is lost. */
static bool recover(struct log_queue *queue, int error)
{
    struct pollfd room = {.fd = queue->fd == -1 ? STDERR_FILENO : queue->fd, .events = POLLOUT};

    if (error == EINTR)
        return true;
    if (error == EAGAIN) { /* a FIFO; or another process has made stderr so */
        (void) poll(&room, 1, RETRY);
        return true;
    }
    if (queue->fd == -1)
        return false;
    complain(queue, error);
    return wait_to_retry(queue);
}

static void count_lost(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n')
            log_count_dropped();
    }
}

/* Writes it all, however long that takes. What stderr refuses is lost. Where the place changes
 * within a line, that line begins anew. */
static void write_all(struct log_queue *queue, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(queue->fd == -1 ? STDERR_FILENO : queue->fd, data + done, len - done);

        if (n >= 0) {
            done += (size_t) n;
            queue->has_failed = false;
        } else if (!recover(queue, errno)) {
            count_lost(data + done, len - done);
            return;
        } else if (turns(queue)) {
            while (done > 0 && data[done - 1] != '\n')
                done--;
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
        append_text(queue, LOG_INFO, text);
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
    if (queue->redirected)
        adopt(queue);
    if (queue->fd != -1)
        (void) close(queue->fd);
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

        if (queue->redirected)
            adopt(queue);
        if (queue->len == 0)
            tell(queue);
        len = take_batch(queue, batch);
        if (len > 0) {
            uv_mutex_unlock(&queue->lock);
            write_all(queue, batch, len);
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

int log_queue_start(struct log_queue **queue)
{
    struct log_queue *fresh = malloc(sizeof *fresh);
    int status = UV_ENOMEM;

    if (fresh == NULL)
        return status;
    fresh->fd = -1;
    fresh->has_failed = fresh->redirected = false;
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
    status = process_start_thread(&fresh->thread, run, fresh);
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

void log_queue_redirect(struct log_queue *queue, int fd)
{
    uv_mutex_lock(&queue->lock);
    if (queue->redirected && queue->next_fd != -1)
        (void) close(queue->next_fd); /* which has seen no line */
    queue->redirected = true;
    queue->next_fd = fd;
    uv_cond_signal(&queue->changed);
    uv_mutex_unlock(&queue->lock);
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
