/* The log of a program whose threads must never wait for whatever reads stderr: a terminal that is
 * paused, a pipe whose reader is stuck. Lines wait in a ring of fixed size, and a thread of the
 * queue's own writes them, in their order, each whole. Lines that find no room are dropped and
 * counted, and a line says where and how many. Lines of one kind are limited by log_rate. */
#ifndef WS_COMMON_BASE_LOG_QUEUE_H
#define WS_COMMON_BASE_LOG_QUEUE_H

#include <stdint.h>

struct log_queue;

/* While there is only one thread: from here on the log goes through `*queue`. `program` is
 * borrowed until the end. Returns 0 or a negative UV_E* code. */
int log_queue_start(struct log_queue **queue, const char *program);

/* While there is only one other thread, the queue's: waits for at most `milliseconds` until all is
 * written. Then log lines go to stderr at once, as before; or, if stderr has not taken all by then,
 * they are dropped, and the thread goes on writing what the queue has as long as the process
 * lasts. NULL is fine. */
void log_queue_stop(struct log_queue *queue, uint64_t milliseconds);

#endif
