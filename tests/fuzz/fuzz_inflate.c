/* Inflating and deflating. Last bytes: how it is cut; the cap; the window.
 * The input is inflated as a message, and deflated and inflated again. */
#include "common/websocket/deflate.h"

#include <uv.h>

#include "tests/fuzz/fuzz.h"

static const size_t caps[] = {1 << 17, 0, 1, 100, 4096, 5000, 65536, 32768};

static int inflate_pieces(struct inflater *inflater, struct fuzz_input input,
                          struct fuzz_pieces pieces, struct buffer *out, uint64_t max)
{
    int status = 0;

    do {
        size_t len = input.len > 0 ? fuzz_piece(&pieces, input.len) : 0;
        struct fuzz_input piece = fuzz_take(&input, len);
        uint8_t *copy = fuzz_copy(piece.data, piece.len);

        status = inflater_inflate(inflater, copy, piece.len, input.len == 0, out, max);
        free(copy);
        fuzz_check(status == 0 || status == UV_EILSEQ || status == UV_E2BIG, "status %d", status);
        /* One byte more is how it learns that there is too much; nobody gets to see it. */
        fuzz_check(out->len <= max + (status == UV_E2BIG), "%zu bytes of at most %zu", out->len,
                   (size_t) max);
        fuzz_check(out->_size <= 2 * max + 16384, "room for %zu bytes of at most %zu", out->_size,
                   (size_t) max);
    } while (status == 0 && input.len > 0);
    return status;
}

static void check_same(struct fuzz_input input, unsigned bits, size_t max, uint8_t seed)
{
    struct inflater *inflaters[2];
    struct buffer outs[2] = {{0}, {0}};
    int statuses[2];

    for (int i = 0; i < 2; i++) {
        fuzz_check(inflater_new(&inflaters[i], bits) == 0, "out of memory");
        statuses[i] =
            inflate_pieces(inflaters[i], input, fuzz_pieces(i == 0 ? 0 : 1U + seed), &outs[i], max);
    }
    /* zlib notices a reference further back than the window only when that lies in the output of an
     * earlier call. */
    fuzz_check(statuses[0] == statuses[1] ||
                   (bits < 15 && (statuses[0] == UV_EILSEQ || statuses[1] == UV_EILSEQ)),
               "%d whole, %d in pieces", statuses[0], statuses[1]);
    if (statuses[0] == 0 && statuses[1] == 0) {
        fuzz_check(outs[0].len == outs[1].len, "%zu whole, %zu in pieces", outs[0].len,
                   outs[1].len);
        fuzz_check(outs[0].len == 0 || memcmp(outs[0].data, outs[1].data, outs[0].len) == 0,
                   "other bytes");
        /* What was taken whole leaves the inflater fit for the next message. */
        outs[0].len = 0;
        fuzz_check(inflate_pieces(inflaters[0],
                                  (struct fuzz_input){(const uint8_t *) "\x02\x00", 2},
                                  fuzz_pieces(0), &outs[0], max) == 0 &&
                       outs[0].len == 0,
                   "an empty message behind it");
    }
    for (int i = 0; i < 2; i++) {
        inflater_free(inflaters[i]);
        buffer_deinit(&outs[i]);
    }
}

static void check_round_trip(struct fuzz_input input, unsigned bits, uint8_t seed)
{
    struct fuzz_pieces pieces = fuzz_pieces(1U + seed);
    size_t cut = input.len > 0 ? fuzz_piece(&pieces, input.len) : 0;
    struct frame_part parts[] = {{input.data, cut}, {input.data + cut, input.len - cut}};
    struct frame_part small;
    struct deflater *deflater;
    struct inflater *inflater;
    struct buffer out = {0};

    fuzz_check(deflater_new(&deflater, 1 + seed % 9) == 0, "out of memory");
    fuzz_check(inflater_new(&inflater, bits) == 0, "out of memory");
    for (int i = 0; i < 2; i++) { /* a second time with the deflater that is there */
        if (!deflater_deflate(deflater, i == 0 ? bits : 8, parts, 2, &small))
            continue;
        fuzz_check(small.len < input.len || input.len == 0, "%zu bytes became %zu", input.len,
                   small.len);
        out.len = 0;
        fuzz_check(inflate_pieces(inflater, (struct fuzz_input){small.data, small.len},
                                  fuzz_pieces(seed), &out, input.len) == 0,
                   "it cannot be inflated");
        fuzz_check(out.len == input.len && memcmp(out.data, input.data, input.len) == 0,
                   "it comes back as something else");
        inflater_reset(inflater);
    }
    inflater_free(inflater);
    deflater_free(deflater);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t seed = fuzz_last(&input);
    size_t cap = caps[fuzz_last(&input) % (sizeof caps / sizeof *caps)];
    unsigned bits = 8 + fuzz_last(&input) % 8;

    check_same(input, bits, cap, seed);
    check_round_trip(input, bits, seed);
    return 0;
}
