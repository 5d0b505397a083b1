#include "common/websocket/deflate.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>
#include <zlib.h>

enum {
    LEAST_RAW_BITS = 9,      /* zlib deflates no raw stream with a window of 2^8 bytes */
    MEMORY_LEVEL = 8,        /* zlib's default */
    QUICK = 1,               /* the level of which no text can make a slow one */
    KEPT_ROOM = 256 * 1024,  /* bytes for results that are kept for the next ones */
    INFLATE_STEP = 4 * 1024, /* room that is made for what is inflated, at the least */
    MAX_FINALS = 256, /* in one message: each costs us a copy of the window, its sender 10 bits */
};

/* What an endpoint takes off the end of a message, and puts back (RFC 7692, 7.2.1 and 7.2.2). */
static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

/* ---- deflating ---- */

struct deflater {
    z_stream zlib;
    unsigned bits; /* of the window that `zlib` has; 0: none yet */
    int zlib_level;
    int level; /* for a fresh allowance, */
    bool slow; /* and this one has become slow */
    bool over; /* or is used up */
    uint64_t (*now)(void);
    uint64_t started;   /* 0: the clock has not been looked at */
    uint64_t work;      /* bytes of payload since deflater_start, */
    uint64_t looked_at; /* and how many there were when the clock was last looked at */
    size_t room;        /* bytes that were last reserved in `out` */
    struct buffer out;
};

/* Not the time of day: what other threads do is not this message's fault. */
static uint64_t cpu_time(void)
{
    struct timespec time;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

int deflater_new(struct deflater **deflater, int level)
{
    struct deflater *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL) /* out of memory */
        return UV_ENOMEM;
    fresh->level = level;
    fresh->now = cpu_time;
    fresh->over = true; /* up to deflater_start */
    *deflater = fresh;
    return 0;
}

static void end_zlib(struct deflater *deflater)
{
    if (deflater->bits != 0)
        (void) deflateEnd(&deflater->zlib);
    deflater->bits = 0;
    deflater->zlib = (z_stream){0};
}

void deflater_free(struct deflater *deflater)
{
    if (deflater == NULL)
        return;
    end_zlib(deflater);
    buffer_deinit(&deflater->out);
    free(deflater);
}

void deflater_set_clock(struct deflater *deflater, uint64_t (*now)(void))
{
    deflater->now = now;
}

void deflater_start(struct deflater *deflater, size_t payload)
{
    if (deflater->room > KEPT_ROOM && payload <= KEPT_ROOM)
        buffer_deinit(&deflater->out);
    deflater->out.len = 0;
    deflater->room = payload;
    deflater->slow = false;
    deflater->started = 0;
    deflater->work = 0;
    deflater->looked_at = 0;
    /* Results are shorter than their payloads: nothing that was lent moves. */
    deflater->over = buffer_reserve(&deflater->out, payload + sizeof tail) != 0;
}

uint64_t deflater_work(const struct deflater *deflater)
{
    return deflater->work;
}

/* Makes zlib ready for a fresh message with this window. */
static bool prepare(struct deflater *deflater, unsigned bits)
{
    int level = deflater->slow ? (int) QUICK : deflater->level;

    /* With a window of 2^9 bytes zlib refers back at most 2^9 - 262 = 250 of them (deflate.h:
     * MAX_DIST), so that a receiver with 2^8 can follow. */
    if (bits < LEAST_RAW_BITS)
        bits = LEAST_RAW_BITS;
    if (deflater->bits == bits && deflater->zlib_level == level)
        return deflateReset(&deflater->zlib) == Z_OK;
    end_zlib(deflater);
    if (deflateInit2(&deflater->zlib, level, Z_DEFLATED, -(int) bits, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    deflater->bits = bits;
    deflater->zlib_level = level;
    return true;
}

/* Looks at the clock. */
static void check_time(struct deflater *deflater)
{
    uint64_t now = deflater->now();

    deflater->looked_at = deflater->work;
    if (deflater->started == 0)
        deflater->started = now;
    deflater->slow = now - deflater->started >= DEFLATER_SLOW;
    deflater->over = now - deflater->started >= DEFLATER_MOST;
}

/* The rest of the message is to be deflated with less effort, if it has taken long. */
static bool hurry(struct deflater *deflater)
{
    if (!deflater->slow || deflater->zlib_level == QUICK)
        return true;
    deflater->zlib_level = QUICK;
    return deflateParams(&deflater->zlib, QUICK, Z_DEFAULT_STRATEGY) == Z_OK;
}

/* True while the message is worth going on with. Where it is judged, zlib ends a block: before,
 * what has come out says nothing about the last 16 KiB. */
static bool is_promising(struct deflater *deflater)
{
    z_stream *zlib = &deflater->zlib;

    if (zlib->total_in != DEFLATER_JUDGED)
        return true;
    (void) deflate(zlib, Z_BLOCK);
    return zlib->total_out < zlib->total_in;
}

/* Deflates one part. False: give up. */
static bool deflate_part(struct deflater *deflater, const struct frame_part *part)
{
    z_stream *zlib = &deflater->zlib;
    size_t left = part->len;

    zlib->next_in = (Bytef *) (uintptr_t) part->data; /* zlib does not write there */
    while (left > 0) {
        size_t room = DEFLATER_PIECE - (size_t) (deflater->work - deflater->looked_at);
        size_t judged = DEFLATER_JUDGED - (size_t) (zlib->total_in % DEFLATER_JUDGED);
        size_t piece = left < room ? left : room;

        if (piece > judged)
            piece = judged;
        zlib->avail_in = (uInt) piece;
        (void) deflate(zlib, Z_NO_FLUSH);
        deflater->work += piece;
        left -= piece;
        if (deflater->work - deflater->looked_at == DEFLATER_PIECE)
            check_time(deflater);
        if (zlib->avail_out == 0 || deflater->over || !is_promising(deflater) || !hurry(deflater))
            return false;
    }
    return true;
}

static bool deflate_parts(struct deflater *deflater, const struct frame_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!deflate_part(deflater, &parts[i]))
            return false;
    }
    (void) deflate(&deflater->zlib, Z_SYNC_FLUSH);
    return deflater->zlib.avail_out > 0; /* else it is too long, whether or not there is more */
}

bool deflater_add(struct deflater *deflater, unsigned bits, const struct frame_part *parts,
                  size_t count, struct frame_part *out)
{
    z_stream *zlib = &deflater->zlib;
    uint8_t *room;
    size_t payload = 0;

    for (size_t i = 0; i < count; i++)
        payload += parts[i].len;
    if (payload == 0 || payload > UINT32_MAX || deflater->over || !prepare(deflater, bits))
        return false;
    if (deflater->started == 0 && deflater->work + payload > DEFLATER_PIECE)
        deflater->started = deflater->now();
    /* Room for no more than the payload and the tail: what needs more is not worth it. */
    room = deflater->out.data + deflater->out.len;
    zlib->next_out = room;
    zlib->avail_out = (uInt) (payload + sizeof tail);
    if (!deflate_parts(deflater, parts, count))
        return false;
    out->data = room;
    out->len = (size_t) (zlib->next_out - room) - sizeof tail;
    deflater->out.len += out->len;
    return true;
}

bool deflater_deflate(struct deflater *deflater, unsigned bits, const struct frame_part *parts,
                      size_t count, struct frame_part *out)
{
    size_t payload = 0;

    for (size_t i = 0; i < count; i++)
        payload += parts[i].len;
    deflater_start(deflater, payload);
    return deflater_add(deflater, bits, parts, count, out);
}

/* ---- inflating ---- */

struct inflater {
    z_stream zlib;
    unsigned finals; /* blocks of this message that were marked as the final one */
};

int inflater_new(struct inflater **inflater, unsigned bits)
{
    struct inflater *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL) /* out of memory */
        return UV_ENOMEM;
    if (inflateInit2(&fresh->zlib, -(int) bits) != Z_OK) {
        free(fresh);
        return UV_ENOMEM;
    }
    *inflater = fresh;
    return 0;
}

void inflater_free(struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    (void) inflateEnd(&inflater->zlib);
    free(inflater);
}

void inflater_reset(struct inflater *inflater)
{
    (void) inflateReset(&inflater->zlib);
}

/* A block was marked as the final one. More may follow all the same (RFC 7692, 7.2.3.4), and may
 * refer to what came before. */
static int go_on_after_final(struct inflater *inflater)
{
    z_stream *zlib = &inflater->zlib;
    Bytef window[32 * 1024];
    uInt len = sizeof window;

    if (++inflater->finals > MAX_FINALS)
        return UV_EILSEQ;
    /* These fail only for a stream that is none. */
    (void) inflateGetDictionary(zlib, window, &len);
    (void) inflateReset(zlib);
    return inflateSetDictionary(zlib, window, len) == Z_OK ? 0 : UV_ENOMEM; /* out of memory */
}

/* Makes room in `out`: some more, but for one byte beyond `max` at the most, by which it shows that
 * there is too much. */
static int make_room(z_stream *zlib, struct buffer *out, uint64_t max)
{
    size_t step = out->len > INFLATE_STEP ? out->len : INFLATE_STEP;
    int status;

    if (max - out->len < step)
        step = (size_t) (max - out->len) + 1;
    status = buffer_reserve(out, step);
    if (status != 0) /* out of memory */
        return status;
    zlib->next_out = out->data + out->len;
    zlib->avail_out = (uInt) step;
    return 0;
}

/* Runs all of `len` bytes through zlib; `flush` is Z_SYNC_FLUSH, or Z_BLOCK to learn from
 * between_blocks where the stream stands afterwards. */
static int run(struct inflater *inflater, const uint8_t *data, size_t len, int flush,
               struct buffer *out, uint64_t max)
{
    z_stream *zlib = &inflater->zlib;
    int status;

    zlib->next_in = (Bytef *) (uintptr_t) data; /* zlib does not write there */
    zlib->avail_in = (uInt) len;
    do {
        int result;

        status = make_room(zlib, out, max);
        if (status != 0) /* out of memory */
            return status;
        result = inflate(zlib, flush);
        out->len = (size_t) (zlib->next_out - out->data);
        if (out->len > max)
            return UV_E2BIG;
        if (result == Z_STREAM_END)
            status = go_on_after_final(inflater);
        else if (result == Z_MEM_ERROR) /* out of memory */
            status = UV_ENOMEM;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            status = UV_EILSEQ;
        /* Room that is left over says that all that there was has come out. */
    } while (status == 0 && (zlib->avail_in > 0 || zlib->avail_out == 0));
    return status;
}

/* True between two blocks, at a byte's edge: where a message may end. */
static bool between_blocks(const z_stream *zlib)
{
    return (zlib->data_type & (128 | 7)) == 128;
}

int inflater_inflate(struct inflater *inflater, const uint8_t *data, size_t len, bool last,
                     struct buffer *out, uint64_t max)
{
    int status = len > 0 ? run(inflater, data, len, Z_SYNC_FLUSH, out, max) : 0;

    if (status != 0 || !last)
        return status;
    status = run(inflater, tail, sizeof tail, Z_BLOCK, out, max);
    inflater->finals = 0;
    if (status == 0 && !between_blocks(&inflater->zlib))
        status = UV_EILSEQ;
    return status;
}
