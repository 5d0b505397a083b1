/* What came of a play of fuzz_server.c: judges what the clients got by what was published. */
#ifndef WS_TESTS_FUZZ_SERVER_VERDICT_H
#define WS_TESTS_FUZZ_SERVER_VERDICT_H

#include "common/base/buffer.h"
#include "tests/fuzz/memory_stream.h"

/* All that was published in a channel, in its order: the n-th message has the ID EPOCH-n. */
struct server_verdict_channel {
    uint64_t epoch;
    struct buffer messages; /* of struct server_verdict_message */
};

struct server_verdict_message {
    uint64_t hash;  /* of the opcode and the payload, */
    uint64_t event; /* and of what an event stream makes of it */
};

struct server_verdict_rules {
    const struct server_verdict_channel *channels; /* those that were watched */
    size_t count;
    bool misses;  /* a reader that is slow, or publishes, may have messages left out */
    bool replays; /* it may read history: the goodbye does not wait for that */
    bool cut;     /* one that lags too far when the goodbye comes is cut short */
};

/* Takes in the frames of a channel from its first message on. */
void server_verdict_learn(struct server_verdict_channel *channel, const struct buffer *frames);

/* Judges what one client got. HTTP responses and then unmasked frames that our client takes; or an
 * event stream. The messages of a channel that was watched follow each other without gap, doubles
 * or change from the place on that the server said; to the last one, if the reader had caught up
 * and stayed until the server said goodbye. Pages are JSON, with the messages of the IDs that stand
 * there. */
void server_verdict_judge(const struct server_verdict_rules *rules, const struct memory_end *end);

#endif
