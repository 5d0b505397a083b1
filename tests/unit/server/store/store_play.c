#include "store_play.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/store_message.h"

enum { LABEL = 32 };

/* Of all plays: of what was told. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void play_must(bool is_so, const char *what, const char *file, int line)
{
    if (is_so)
        return;
    (void) fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}

void play_empty(const char *folder)
{
    struct dirent **entries = NULL;
    // cppcheck-suppress nullPointer ; no filter, and no order
    int count = scandir(folder, &entries, NULL, NULL);

    for (int i = 0; i < count; i++) {
        char path[2 * PLAY_PATH + 256];

        (void) snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        (void) unlink(path); /* fails for directories */
        free(entries[i]);
    }
    free(entries);
}

void play_init(struct play *play)
{
    memset(play, 0, sizeof *play);
    (void) snprintf(play->folder, sizeof play->folder, "/tmp/test_store.XXXXXX");
    PLAY_MUST(mkdtemp(play->folder) != NULL);
    (void) snprintf(play->path, sizeof play->path, "%.64s/messages", play->folder);
}

void play_deinit(struct play *play)
{
    for (size_t i = 0; i < play->count; i++)
        free((void *) (uintptr_t) play->batches[i].batch.data);
    play_empty(play->folder);
    (void) rmdir(play->folder);
}

int play_open(struct play *play, struct store_config config)
{
    struct store_range range;
    struct error error;
    int status;

    config.path = play->path;
    status = store_open(&play->store, &config, &error);
    if (status != 0) {
        PLAY_MUST(strchr(error.text, '\n') == NULL && strstr(error.text, play->path) != NULL);
        return status;
    }
    PLAY_MUST(store_channel_ref(play->store, "a", 1, &play->channel, &range) == 0);
    play->epoch = range.epoch;
    return 0;
}

void play_close(struct play *play)
{
    store_channel_unref(play->store, play->channel);
    store_close(play->store);
    play->store = NULL;
}

static void on_done(struct store_batch *batch)
{
    struct play_batch *member = container_of(batch, struct play_batch, batch);

    pthread_mutex_lock(&lock);
    PLAY_MUST(!member->is_done);
    member->is_done = true;
    member->play->done++;
    member->play->misses += batch->result != STORE_COMMITTED ? 1 : 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void play_submit(struct play *play, size_t count, size_t size, bool waits)
{
    struct play_batch *member = &play->batches[play->count];
    size_t len = count * (STORE_MESSAGE_HEAD + size);
    uint8_t *data = calloc(1, len), *out = data;

    PLAY_MUST(play->count < PLAY_BATCHES && size >= LABEL && data != NULL);
    for (size_t i = 0; i < count; i++) {
        out = store_message_begin(out, 1, size);
        (void) snprintf((char *) out, LABEL, "%zu %zu", play->count, i);
        out += size;
    }
    *member = (struct play_batch){
        .batch = {.channel = play->channel,
                  .data = data,
                  .len = len,
                  .count = count,
                  .waits = waits,
                  .on_done = on_done},
        .play = play,
    };
    pthread_mutex_lock(&lock);
    play->count++;
    pthread_mutex_unlock(&lock);
    store_submit(play->store, &member->batch);
}

void play_wait(struct play *play)
{
    pthread_mutex_lock(&lock);
    while (play->done < play->count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- what is in the file ---- */

struct found {
    const struct play_batch *batches;
    size_t count;
    bool *is_told;         /* of each batch, when it was looked at */
    size_t batch, message; /* that was seen last, */
    uint64_t number;
    uint64_t total;
    uint64_t committed; /* batches */
};

static void check_message(struct found *found, const struct store_message *message, uint64_t number)
{
    const struct play_batch *member;
    char label[LABEL], *rest;
    size_t batch, index;

    PLAY_MUST(message->len >= LABEL && message->type == 1);
    memcpy(label, message->payload, LABEL);
    batch = strtoul(label, &rest, 10);
    index = strtoul(rest, NULL, 10);
    PLAY_MUST(batch < found->count);
    member = &found->batches[batch];
    PLAY_MUST(index < member->batch.count);
    if (index == 0)
        PLAY_MUST(found->total == 0 || batch > found->batch);
    else
        PLAY_MUST(batch == found->batch && index == found->message + 1);
    if (found->is_told[batch]) {
        PLAY_MUST(member->batch.result != STORE_NOT_WRITTEN);
        if (member->batch.result == STORE_COMMITTED) {
            PLAY_MUST(number == member->batch.first + index);
            found->committed += index + 1 == member->batch.count ? 1 : 0;
        }
    }
    found->batch = batch;
    found->message = index;
    found->total++;
}

struct waited {
    struct store_read read;
    struct store_batch batch;
    bool is_done;
};

static void tell(struct waited *waited)
{
    pthread_mutex_lock(&lock);
    waited->is_done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_read(struct store_read *read)
{
    tell(container_of(read, struct waited, read));
}

static void on_added(struct store_batch *batch)
{
    tell(container_of(batch, struct waited, batch));
}

static void wait_for(struct waited *waited)
{
    pthread_mutex_lock(&lock);
    while (!waited->is_done)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Returns the number of the last message that is there. */
static uint64_t read_all(struct store *store, struct store_channel *channel, struct found *found)
{
    uint64_t after = 0;

    for (;;) {
        struct waited piece = {
            .read = {.channel = channel, .after = after, .most = 1 << 16, .on_done = on_read}};
        struct store_message message;
        const uint8_t *data;

        store_read(store, &piece.read);
        wait_for(&piece);
        PLAY_MUST(piece.read.status == 0);
        if (piece.read.first == 0) {
            free(piece.read._memory);
            return after;
        }
        PLAY_MUST(after == 0 || piece.read.first == after + 1);
        data = piece.read.data;
        for (size_t i = 0; i < piece.read.count; i++) {
            PLAY_MUST(store_message_next(&data, &piece.read.len, &message));
            check_message(found, &message, piece.read.first + i);
        }
        PLAY_MUST(piece.read.len == 0);
        after = piece.read.first + piece.read.count - 1;
        free(piece.read._memory);
    }
}

static void add_one(struct store *store, struct store_channel *channel, uint64_t newest)
{
    uint8_t data[STORE_MESSAGE_HEAD + 1];
    struct waited more = {
        .batch = {
            .channel = channel, .data = data, .len = sizeof data, .count = 1, .on_done = on_added}};

    *store_message_begin(data, 1, 1) = 'x';
    store_submit(store, &more.batch);
    wait_for(&more);
    PLAY_MUST(more.batch.result == STORE_COMMITTED && more.batch.first == newest + 1);
}

static void on_line(void *context, const char *line)
{
    (void) context;
    (void) fprintf(stderr, "store_check: %s\n", line);
}

uint64_t play_verify(struct play *play, const char *path, bool may_renew)
{
    const struct store_config config = {.path = path};
    bool is_told[PLAY_BATCHES];
    struct found found = {.batches = play->batches, .is_told = is_told};
    struct store_range range;
    struct store_channel *channel;
    struct store *store;
    struct error error;
    uint64_t committed = 0, newest;

    pthread_mutex_lock(&lock);
    found.count = play->count;
    for (size_t i = 0; i < found.count; i++) {
        is_told[i] = play->batches[i].is_done;
        if (is_told[i] && play->batches[i].batch.result == STORE_COMMITTED)
            committed++;
    }
    pthread_mutex_unlock(&lock);
    if (store_open(&store, &config, &error) != 0)
        (void) fprintf(stderr, "%s\n", error.text), abort();
    PLAY_MUST(store_channel_ref(store, "a", 1, &channel, &range) == 0);
    if (range.epoch == play->epoch || (committed > 0 && !may_renew)) {
        PLAY_MUST(committed == 0 || range.epoch == play->epoch);
        newest = read_all(store, channel, &found);
        PLAY_MUST(found.committed == committed);
        PLAY_MUST(newest == range.newest);
        add_one(store, channel, newest);
    }
    store_channel_unref(store, channel);
    store_close(store);
    if (store_check(path, on_line, NULL, &error) != 0)
        (void) fprintf(stderr, "%s\n", error.text), abort();
    return found.total;
}

/* ---- what a disk holds ---- */

char play_image[PLAY_PATH];

int play_make_image(void **state)
{
    (void) state;
    (void) snprintf(play_image, sizeof play_image, "/tmp/test_store_image.XXXXXX");
    return mkdtemp(play_image) != NULL ? 0 : -1;
}

int play_remove_image(void **state)
{
    (void) state;
    return rmdir(play_image);
}
