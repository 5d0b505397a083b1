/* The log of a program whose threads must never wait for whatever takes its lines: a terminal that
 * is paused, a pipe whose reader is stuck, a file on a disk that is slow or full. Lines wait in a
 * ring of fixed size, and a thread of the queue's own writes them, in their order, each whole, to
 * stderr or to a file. Lines that find no room are dropped and counted, and a line says where and
 * how many. While a file cannot be written to, lines wait, and stderr says why. Lines of one kind
 * are limited by log_rate. */
#ifndef WS_COMMON_BASE_LOG_QUEUE_H
#define WS_COMMON_BASE_LOG_QUEUE_H

#include <stdint.h>

struct log_queue;

/* While there is only one thread: from here on the log goes through `*queue`, to stderr. Returns 0
 * or a negative UV_E* code. */
int log_queue_start(struct log_queue **queue);

/* From any thread: from here on lines go to `fd`, which is taken, or to stderr if it is -1. Those
 * that wait go there, too. */
void log_queue_redirect(struct log_queue *queue, int fd);

/* While there is only one other thread, the queue's: waits for at most `milliseconds` until all is
 * written. Then log lines go to stderr at once, as before; or, if not all has been taken by then,
 * they are dropped, and the thread goes on writing what the queue has as long as the process
 * lasts. NULL is fine. */
void log_queue_stop(struct log_queue *queue, uint64_t milliseconds);

#endif
