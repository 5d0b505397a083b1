/* The decoder, in both roles: whole or in pieces, the same bytes say the same.
 * Last bytes: how it is cut; bit 0: the client's side, bits 1 to 3: how long a message may be,
 * bit 4: compression is agreed on, bits 5 and 6: who takes no context over; the windows. */
#include "common/websocket/decoder.h"

#include "common/base/buffer.h"
#include "common/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static const uint64_t limits[] = {0, 1 << 20, 1, 125, 126, 1000, 65535, 65536};

struct setup {
    enum decoder_role role;
    uint64_t max_message;
    struct extension_deflate deflate;
};

/* What was heard: each event as a line of its own, and what it bore. */
struct heard {
    struct buffer events;
    enum decoder_event_type last;
    uint16_t code;
    const char *why;
};

static void hear(struct heard *heard, const struct setup *setup, const struct decoder_event *event)
{
    heard->last = event->type;
    heard->code = event->code;
    heard->why = event->why;
    if (event->type == DECODER_FAULT) {
        fuzz_check(event->why != NULL && decoder_close_code_valid(event->code), "fault %u",
                   event->code);
        return;
    }
    if (event->type == DECODER_MESSAGE) {
        fuzz_check(event->opcode == FRAME_TEXT || event->opcode == FRAME_BINARY, "opcode");
        fuzz_check(setup->max_message == 0 || event->len <= setup->max_message,
                   "a message of %zu bytes", event->len);
        fuzz_check(event->opcode != FRAME_TEXT || utf8_valid(event->data, event->len),
                   "text that is not UTF-8");
    } else {
        fuzz_check(event->len <= FRAME_MAX_CONTROL, "a control frame of %zu bytes", event->len);
        fuzz_check(event->type != DECODER_CLOSE || event->code == CLOSE_NO_STATUS ||
                       decoder_close_code_valid(event->code),
                   "code %u", event->code);
        fuzz_check(event->type != DECODER_CLOSE || utf8_valid(event->data, event->len), "reason");
    }
    fuzz_check(buffer_printf(&heard->events, "\n%d %u %zu:", event->type,
                             event->type == DECODER_MESSAGE ? event->opcode : event->code,
                             event->len) == 0 &&
                   buffer_append(&heard->events, event->data, event->len) == 0,
               "out of memory");
}

static void decode(const struct setup *setup, struct fuzz_input input, struct fuzz_pieces pieces,
                   struct heard *heard)
{
    struct decoder_pool *pool;
    struct decoder decoder = {0};

    fuzz_check(decoder_pool_new(&pool, setup->role, setup->max_message) == 0, "out of memory");
    decoder_pool_limit_fragments(pool, setup->max_message == 1000 ? 5 : 0,
                                 setup->max_message == 1000 ? 2 : 0);
    if (setup->deflate.agreed)
        fuzz_check(decoder_allow_deflate(&decoder, &setup->deflate) == 0, "out of memory");
    *heard = (struct heard){.last = DECODER_MORE};
    while (input.len > 0 && heard->last == DECODER_MORE) {
        struct fuzz_input piece = fuzz_take(&input, fuzz_piece(&pieces, input.len));
        uint8_t *copy = fuzz_copy(piece.data, piece.len);

        fuzz_check(decoder_feed(&decoder, pool, copy, piece.len) == 0, "out of memory");
        do {
            struct decoder_event event;

            decoder_next(&decoder, &event);
            if (event.type == DECODER_MORE || event.type == DECODER_YIELD)
                heard->last = event.type; /* a pause depends on how it is cut */
            else
                hear(heard, setup, &event);
        } while (heard->last != DECODER_MORE && heard->last != DECODER_CLOSE &&
                 heard->last != DECODER_FAULT);
        free(copy);
    }
    decoder_deinit(&decoder);
    decoder_deinit(&decoder);
    fuzz_check(decoder_pool_lent(pool) == 0, "%zu contexts are still lent",
               decoder_pool_lent(pool));
    decoder_pool_free(pool);
}

/* zlib notices a reference further back than the window only when that lies in the output of an
 * earlier call: then one way of feeding ends with a fault where the other goes on. */
static bool stopped_by_zlib(const struct setup *setup, const struct heard *one,
                            const struct heard *other)
{
    unsigned bits = setup->role == DECODER_SERVER ? setup->deflate.client_max_window_bits
                                                  : setup->deflate.server_max_window_bits;

    return setup->deflate.agreed && bits < 15 && one->last == DECODER_FAULT &&
           one->code == CLOSE_INVALID_DATA && one->events.len <= other->events.len &&
           (one->events.len == 0 ||
            memcmp(one->events.data, other->events.data, one->events.len) == 0);
}

static void compare(const struct setup *setup, const struct heard *whole, const struct heard *cut)
{
    if (stopped_by_zlib(setup, whole, cut) || stopped_by_zlib(setup, cut, whole))
        return;
    fuzz_check(whole->last == cut->last, "ends with %d whole, %d in pieces", whole->last,
               cut->last);
    fuzz_check(whole->events.len == cut->events.len &&
                   (whole->events.len == 0 ||
                    memcmp(whole->events.data, cut->events.data, whole->events.len) == 0),
               "events whole:%.*s\nin pieces:%.*s\n", (int) whole->events.len,
               (const char *) whole->events.data, (int) cut->events.len,
               (const char *) cut->events.data);
    if (whole->last != DECODER_FAULT || whole->code == cut->code)
        return;
    /* Of several things wrong with one compressed message (broken, too big, not UTF-8), the one
     * that decides depends on how much is inflated at once. */
    fuzz_check(setup->deflate.agreed &&
                   (whole->code == CLOSE_INVALID_DATA || whole->code == CLOSE_TOO_BIG) &&
                   (cut->code == CLOSE_INVALID_DATA || cut->code == CLOSE_TOO_BIG),
               "%u '%s' whole, %u '%s' in pieces", whole->code, whole->why, cut->code, cut->why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t seed = fuzz_last(&input);
    uint8_t choice = fuzz_last(&input);
    uint8_t bits = fuzz_last(&input);
    struct setup setup = {
        .role = (choice & 1) != 0 ? DECODER_CLIENT : DECODER_SERVER,
        .max_message = limits[(choice >> 1) & 7],
        .deflate =
            {
                .agreed = (choice & 16) != 0,
                .server_no_context_takeover = (choice & 32) != 0,
                .client_no_context_takeover = (choice & 64) != 0,
                .server_max_window_bits = (uint8_t) (15 - (bits & 7)),
                .client_max_window_bits = (uint8_t) (15 - ((bits >> 3) & 7)),
            },
    };
    struct heard whole, cut;

    decode(&setup, input, fuzz_pieces(0), &whole);
    decode(&setup, input, fuzz_pieces(1U + seed), &cut);
    compare(&setup, &whole, &cut);
    buffer_deinit(&whole.events);
    buffer_deinit(&cut.events);
    return 0;
}
