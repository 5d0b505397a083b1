/* What publishing costs, without any socket: the time of one message by the forms in which it is
 * read, and for how long a channel's lock is held at the longest when 10,000 lines (3.8 MB) are
 * published together, and when a history of many messages expires. A message and a hold are told in
 * CPU time of the thread: what the machine does meanwhile with others is not counted. Prints a
 * table. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/broadcast/channel.h"

enum { LINES = 10000, LINE = 380, MESSAGE = 512, RETAINED = 1000000 };

/* ---- the lock: all calls come here (ld's --wrap) ---- */

static const uv_mutex_t *watched;
static uint64_t locked_at, longest;

// NOLINTBEGIN(readability-identifier-naming): the names are ld's
void __real_uv_mutex_lock(uv_mutex_t *mutex);
void __real_uv_mutex_unlock(uv_mutex_t *mutex);
void __wrap_uv_mutex_lock(uv_mutex_t *mutex);
void __wrap_uv_mutex_unlock(uv_mutex_t *mutex);
// NOLINTEND(readability-identifier-naming)

static uint64_t cpu_time(void)
{
    struct timespec time;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

void __wrap_uv_mutex_lock(uv_mutex_t *mutex)
{
    __real_uv_mutex_lock(mutex);
    if (mutex == watched)
        locked_at = cpu_time();
}

void __wrap_uv_mutex_unlock(uv_mutex_t *mutex)
{
    uint64_t hold = mutex == watched ? cpu_time() - locked_at : 0;

    if (hold > longest)
        longest = hold;
    __real_uv_mutex_unlock(mutex);
}

/* ---- publishing ---- */

struct bench {
    struct channel channel;
    struct channel_publisher publisher;
    struct channel_reader plain, deflated, events;
    char *text;
    struct frame_part *parts;
    struct channel_item *items;
};

static void check(bool right, const char *what)
{
    if (right)
        return;
    (void) fprintf(stderr, "bench_publish: %s failed\n", what);
    exit(1);
}

/* Lines of JSON, of which no two are alike. */
static void make_lines(struct bench *bench)
{
    static const char *const words[] = {"alpha", "beta",    "gamma", "delta", "epsilon",
                                        "zeta",  "general", "price", "total", "seen"};
    uint32_t random = 1;

    bench->text = malloc((size_t) LINES * LINE);
    bench->parts = calloc(LINES, sizeof *bench->parts);
    bench->items = calloc(LINES, sizeof *bench->items);
    check(bench->text != NULL && bench->parts != NULL && bench->items != NULL, "malloc");
    for (size_t i = 0; i < LINES; i++) {
        char *line = bench->text + i * LINE;
        size_t len = (size_t) snprintf(line, LINE, "{\"id\": %zu, \"text\": \"", i);

        while (len < LINE - 30) {
            random = random * 1664525 + 1013904223;
            len += (size_t) snprintf(line + len, 30, "%s %u ", words[(random >> 8) % 10],
                                     random >> 20);
        }
        memset(line + len, '.', LINE - len);
        bench->parts[i] = (struct frame_part){line, LINE};
        bench->items[i] = (struct channel_item){FRAME_TEXT, &bench->parts[i], 1, 0};
    }
}

static void join(struct bench *bench, unsigned form, struct channel_reader *reader)
{
    check(channel_join(&bench->channel, form, NULL, reader, NULL) == 0, "channel_join");
}

/* The reader takes all that there is. */
static void read_all(struct block_cursor *cursor)
{
    uv_buf_t bufs[64];
    bool more = cursor->_block != NULL;

    while (more) {
        size_t len;

        (void) block_log_read(cursor, bufs, 64, &len, &more);
        block_log_advance(cursor, len);
    }
}

static void read_everything(struct bench *bench)
{
    read_all(&bench->plain.cursor);
    read_all(&bench->deflated.cursor);
    read_all(&bench->events.cursor);
}

static void publish_singly(struct bench *bench, const char *name, unsigned times)
{
    struct frame_part part = {bench->text, MESSAGE};
    uint64_t began, best = UINT64_MAX;

    for (unsigned round = 0; round < 5; round++) {
        began = cpu_time();
        for (unsigned i = 0; i < times; i++) {
            check(channel_publish(&bench->channel, &bench->publisher, FRAME_TEXT, &part, 1, NULL) ==
                      0,
                  "channel_publish");
            if (i % 64 == 0)
                read_everything(bench);
        }
        began = (cpu_time() - began) / times;
        best = began < best ? began : best;
    }
    printf("one message of %d bytes, %-24s %8" PRIu64 " ns\n", MESSAGE, name, best);
}

static void publish_together(struct bench *bench, const char *name)
{
    size_t published;
    uint64_t began = uv_hrtime();

    watched = &bench->channel._lock;
    longest = 0;
    check(channel_publish_all(&bench->channel, &bench->publisher, bench->items, LINES, &published,
                              &(struct channel_receipt){0}) == 0,
          "channel_publish_all");
    printf("%d lines together, %-24s     %8.2f ms, lock held %8.3f ms at the longest\n", LINES,
           name, (double) (uv_hrtime() - began) / 1e6, (double) longest / 1e6);
    read_everything(bench);
    watched = NULL;
}

static void measure_publishing(struct bench *bench, unsigned times)
{
    publish_singly(bench, "nobody reads", times);
    join(bench, CHANNEL_PLAIN, &bench->plain);
    publish_singly(bench, "plain", times);
    publish_together(bench, "plain");
    join(bench, 15, &bench->deflated);
    publish_singly(bench, "plain, deflated", times / 20);
    publish_together(bench, "plain, deflated");
    join(bench, CHANNEL_EVENTS, &bench->events);
    publish_singly(bench, "plain, deflated, events", times / 20);
    publish_together(bench, "plain, deflated, events");
    channel_leave(&bench->channel, &bench->plain, NULL);
    channel_leave(&bench->channel, &bench->deflated, NULL);
    channel_leave(&bench->channel, &bench->events, NULL);
}

/* ---- history ---- */

static uint64_t now = 1;

static uint64_t clock_of_bench(void)
{
    return now;
}

static void measure_expiry(struct bench *bench, unsigned count)
{
    static const struct channel_settings settings = {.history = {.age = 3600000}};
    struct histories histories;
    struct frame_part part = {bench->text, 100};
    uint64_t began;

    check(histories_init(&histories) == 0, "histories_init");
    histories.now = clock_of_bench;
    check(channel_init(&bench->channel, "", &histories) == 0, "channel_init");
    channel_set_settings(&bench->channel, &settings);
    for (unsigned i = 0; i < count; i++)
        check(channel_publish(&bench->channel, &bench->publisher, FRAME_TEXT, &part, 1, NULL) == 0,
              "channel_publish");
    now += 3600000 * 2;
    watched = &bench->channel._lock;
    longest = 0;
    began = uv_hrtime();
    channel_expire(&bench->channel);
    printf("%u messages expire                              %8.2f ms, lock held %8.3f ms at the "
           "longest\n",
           count, (double) (uv_hrtime() - began) / 1e6, (double) longest / 1e6);
    watched = NULL;
    channel_deinit(&bench->channel);
    histories_deinit(&histories);
}

int main(int argc, char **argv)
{
    unsigned times = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 1000000;
    struct bench bench = {.publisher = {.compression_min = 128}};

    check(frame_encoder_new(&bench.publisher.encoder, false) == 0 &&
              deflater_new(&bench.publisher.deflater, 6) == 0 &&
              channel_init(&bench.channel, "", NULL) == 0,
          "channel_init");
    make_lines(&bench);
    measure_publishing(&bench, times);
    channel_deinit(&bench.channel);
    measure_expiry(&bench, times < RETAINED ? times : (unsigned) RETAINED);
    frame_encoder_free(bench.publisher.encoder);
    deflater_free(bench.publisher.deflater);
    free(bench.text);
    free(bench.parts);
    free(bench.items);
    return 0;
}
