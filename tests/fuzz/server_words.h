/* What the clients of fuzz_server.c send: requests and frames that are right, put into the far end
 * of a connection. */
#ifndef WS_TESTS_FUZZ_SERVER_WORDS_H
#define WS_TESTS_FUZZ_SERVER_WORDS_H

#include "common/websocket/deflate.h"
#include "common/websocket/event_id.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_stream.h"

/* Which resource is asked for, and from where on: one byte of the play. */
struct server_words_target {
    const char *path; /* as "/ws/a" */
    char query[64];   /* with its '?', or "" */
    char field[64];   /* a Last-Event-ID with its CRLF, or "" */
};

/* `last` is the ID of the newest message of the channel that `flags` choose (bit 3). */
void server_words_target(struct server_words_target *target, uint8_t flags, struct event_id last);

/* An opening handshake; the low bits of `offer` choose how compression is offered. */
void server_words_upgrade(struct memory_end *end, const struct server_words_target *target,
                          uint8_t offer);

/* An event stream is asked for. */
void server_words_listen(struct memory_end *end, const struct server_words_target *target);

/* Pages of history, pipelined; `flags`: bit 0 HEAD, bits 1 to 3 how many, bits 4 and 5 the limit.
 */
void server_words_pages(struct memory_end *end, const struct server_words_target *target,
                        uint8_t flags);

/* Something that is answered at once; bits 0 to 2 say what, bits 3 to 6 how often. */
void server_words_ask(struct memory_end *end, uint8_t flags);

/* A POST; `flags`: bits 0 and 1 the content type, bit 2 chunked, bits 4 to 6 how often. */
void server_words_post(struct memory_end *end, const char *path, uint8_t flags,
                       struct fuzz_input body);

/* A POST of `lines` lines, each a JSON string of `len` times `filler`. */
void server_words_lines(struct memory_end *end, const char *path, size_t lines, size_t len,
                        char filler);

/* The head of a POST of `len` bytes, and all of them but one. */
void server_words_unfinished(struct memory_end *end, const char *path, size_t len);

/* Frames, masked. */
void server_words_frame(struct memory_end *end, uint8_t first, const uint8_t *payload, size_t len);
void server_words_long_frame(struct memory_end *end, uint8_t first, size_t len, uint8_t filler);
void server_words_deflated(struct memory_end *end, struct deflater *deflater, uint8_t opcode,
                           const void *text, size_t len);

#endif
