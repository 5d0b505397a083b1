/* Which of a host's addresses answers first ("happy eyeballs", RFC 8305): attempts to connect begin
 * one after the other, and do not wait for each other to fail. */
#ifndef WS_CLIENT_CONNECT_RACE_H
#define WS_CLIENT_CONNECT_RACE_H

#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

struct race;

/* `result` is a connected socket (non-blocking), now the owner's; or, when all have failed, the
 * negative UV_E* code of the last. */
typedef void (*race_cb)(void *owner, int result);

/* Puts the addresses in the order in which they are tried: the families take turns, the first one
 * first (RFC 8305, 4). */
void race_interleave(struct sockaddr_storage *addresses, size_t count);

/* Tries `count` addresses (copied; at least one; TCP or Unix), in their order, each a quarter of a
 * second after the one before or when that has failed. `on_end` runs once, and never
 * within this call; the race frees itself. Returns NULL when out of memory. */
struct race *race_start(uv_loop_t *loop, const struct sockaddr_storage *addresses, size_t count,
                        void *owner, race_cb on_end);

/* Before on_end, which does not run then: gives up all attempts. */
void race_cancel(struct race *race);

#endif
