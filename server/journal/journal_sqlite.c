#include "server/journal/journal_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server/metrics/counters.h"
#include "server/store/store.h"
#include "server/store/store_message.h"
#include "server/thread/inbox.h"

enum {
    PENDING_MOST = 64 * 1024 * 1024, /* bytes, beyond which requests are refused */
    MEMORY_PAUSE = 10,               /* milliseconds until what lacked memory is tried again */
};

struct journal_sqlite {
    struct journal journal;
    struct channels_keeper keeper;
    struct channels *channels;
    struct store *store;
    struct channel_publisher publisher; /* of the thread that delivers */
    struct counters counters;
    _Atomic uint64_t pending; /* bytes that are submitted and not delivered */
    uv_mutex_t lock;
    struct list tickets; /* all of them: those of inboxes that are closed are freed at the end */
};

/* A batch under way. The worker makes it; the store's thread fills in the receipt and posts it
 * back; the worker gives the receipt to the owner, if it is still there, and frees it. */
struct sqlite_ticket {
    struct submit_ticket ticket;
    struct journal_sqlite *journal;
    struct list node;
    struct inbox_item back;
    struct submission submission; /* its items are those behind it */
    struct submit_receipt receipt;
    struct store_batch batch;
    struct channel_item items[]; /* then as many parts, and the messages as the store has them */
};

/* ---- tickets ---- */

static void ticket_free(struct sqlite_ticket *ticket)
{
    struct journal_sqlite *journal = ticket->journal;

    uv_mutex_lock(&journal->lock);
    list_remove(&ticket->node);
    uv_mutex_unlock(&journal->lock);
    channels_unref(journal->channels, ticket->submission.channel);
    free(ticket);
}

/* On the thread that submitted. */
static void on_back(struct inbox_item *item)
{
    struct sqlite_ticket *ticket = container_of(item, struct sqlite_ticket, back);

    if (submit_ticket_unlink(&ticket->ticket))
        journal_give_receipt(&ticket->submission, &ticket->receipt);
    ticket_free(ticket);
}

/* Bytes of the messages as the store has them. */
static size_t stored_size(const struct submission *submission)
{
    size_t size = 0;

    for (size_t i = 0; i < submission->count; i++) {
        size += STORE_MESSAGE_HEAD;
        for (size_t part = 0; part < submission->items[i].count; part++)
            size += submission->items[i].parts[part].len;
    }
    return size;
}

/* Copies the messages behind the items, which then refer to them. */
static void copy_items(struct sqlite_ticket *ticket, const struct submission *submission)
{
    struct frame_part *parts = (struct frame_part *) (void *) &ticket->items[submission->count];
    uint8_t *out = (uint8_t *) &parts[submission->count];

    ticket->batch.data = out;
    for (size_t i = 0; i < submission->count; i++) {
        const struct channel_item *item = &submission->items[i];
        uint8_t *begin = out + STORE_MESSAGE_HEAD, *end = begin;

        for (size_t part = 0; part < item->count; part++) {
            if (item->parts[part].len > 0)
                memcpy(end, item->parts[part].data, item->parts[part].len);
            end += item->parts[part].len;
        }
        (void) store_message_begin(out, (uint8_t) item->opcode, (size_t) (end - begin));
        parts[i] = (struct frame_part){begin, (size_t) (end - begin)};
        ticket->items[i] = (struct channel_item){item->opcode, &parts[i], 1, item->connection};
        out = end;
    }
}

/* NULL when out of memory. */
static struct sqlite_ticket *ticket_new(struct journal_sqlite *journal,
                                        const struct submission *submission)
{
    size_t size = stored_size(submission);
    struct sqlite_ticket *ticket = malloc(
        sizeof *ticket +
        submission->count * (sizeof(struct channel_item) + sizeof(struct frame_part)) + size);

    if (ticket == NULL)
        return NULL;
    *ticket = (struct sqlite_ticket){.journal = journal, .submission = *submission};
    ticket->batch.len = size;
    ticket->batch.count = submission->count;
    ticket->batch.waits = submission->waits;
    ticket->batch.channel = submission->channel->kept;
    copy_items(ticket, submission);
    ticket->submission.items = ticket->items;
    inbox_item_init(&ticket->back, on_back);
    list_init(&ticket->node);
    channels_ref(submission->channel);
    return ticket;
}

/* ---- submit, and deliver ---- */

/* What is committed is to be delivered: else the next message would have its number. */
static void append_all(struct sqlite_ticket *ticket)
{
    const struct channel_publisher *publisher = &ticket->journal->publisher;
    struct submit_receipt part;
    size_t published = 0;

    for (;;) {
        journal_append(ticket->submission.channel, publisher, ticket->items + published,
                       ticket->submission.count - published, &part);
        published += part.published;
        ticket->receipt = part;
        if (part.status == 0)
            break;
        uv_sleep(MEMORY_PAUSE);
    }
    ticket->receipt.published = published;
}

/* On the store's thread. */
static void on_done(struct store_batch *batch)
{
    struct sqlite_ticket *ticket = container_of(batch, struct sqlite_ticket, batch);

    if (batch->result == STORE_COMMITTED)
        append_all(ticket);
    else
        ticket->receipt.status = batch->result == STORE_NOT_WRITTEN ? UV_EAGAIN : UV_EIO;
    atomic_fetch_sub(&ticket->journal->pending, batch->len);
    inbox_post(ticket->submission.inbox, &ticket->back);
}

static int submit(struct journal *seam, const struct submission *submission)
{
    struct journal_sqlite *journal = container_of(seam, struct journal_sqlite, journal);
    struct sqlite_ticket *ticket;

    if (!submission->waits && atomic_load(&journal->pending) > PENDING_MOST)
        return UV_ENOBUFS;
    ticket = ticket_new(journal, submission);
    if (ticket == NULL)
        return UV_ENOMEM;
    ticket->batch.on_done = on_done;
    submit_ticket_link(&ticket->ticket, submission->outstanding);
    uv_mutex_lock(&journal->lock);
    list_append(&journal->tickets, &ticket->node);
    uv_mutex_unlock(&journal->lock);
    atomic_fetch_add(&journal->pending, ticket->batch.len);
    store_submit(journal->store, &ticket->batch);
    return 0;
}

static void look(struct journal *seam, struct journal_state *state)
{
    struct journal_sqlite *journal = container_of(seam, struct journal_sqlite, journal);
    struct store_state store;

    store_look(journal->store, &store);
    *state = (struct journal_state){
        .degraded = store.degraded,
        .pending = atomic_load(&journal->pending),
        .commits = store.commits,
        .failures = store.failures,
        .bytes = store.bytes,
        .counters = &journal->counters,
    };
    memcpy(state->reason, store.reason, sizeof state->reason);
}

static const struct journal_ops ops = {.delays = true, .submit = submit, .look = look};

/* ---- channels ---- */

static int on_made(struct channels_keeper *keeper, struct channel *channel)
{
    struct journal_sqlite *journal = container_of(keeper, struct journal_sqlite, keeper);
    struct store_channel *stored;
    struct store_range range;
    int status =
        store_channel_ref(journal->store, channel->name, strlen(channel->name), &stored, &range);

    if (status != 0)
        return status;
    channel->kept = stored;
    channel_restore(channel, (struct event_id){range.epoch, range.newest});
    return 0;
}

static void on_gone(struct channels_keeper *keeper, struct channel *channel)
{
    struct journal_sqlite *journal = container_of(keeper, struct journal_sqlite, keeper);

    store_channel_unref(journal->store, channel->kept);
    channel->kept = NULL;
}

/* What is kept of a channel on disk is what its settings say of its history. */
static void on_policy(void *context, const char *name, struct store_policy *policy)
{
    const struct journal_sqlite *journal = context;
    const struct history_policy *history = &channels_settings(journal->channels, name)->history;

    *policy = (struct store_policy){
        .nothing = history->messages == 0 && history->bytes == 0 && history->age == 0,
        .messages = history->messages,
        .bytes = history->bytes,
        .age = history->age,
    };
}

/* ---- the beginning ---- */

/* Puts stored messages into the channel's history, one by one. */
static int recall(struct journal_sqlite *journal, struct channel *channel, const uint8_t *data,
                  size_t len)
{
    struct store_message message;
    int status = 0;

    while (status == 0 && store_message_next(&data, &len, &message)) {
        const struct frame_part part = {message.payload, message.len};

        status = channel_publish(channel, &journal->publisher, (enum frame_opcode) message.type,
                                 &part, 1, NULL);
    }
    return status;
}

/* A store_recall_cb. Channels that there cannot be any more are left out. */
static int on_recalled(void *context, const char *name, uint64_t after, const uint8_t *data,
                       size_t len)
{
    struct journal_sqlite *journal = context;
    struct channel *channel;
    struct event_id last;
    int status = channels_make(journal->channels, name, strlen(name), &channel);

    if (status == UV_EMFILE || status == UV_ENOENT)
        return 0;
    if (status != 0)
        return status;
    last = channel_last_id(channel);
    if (!channel_retains(channel)) /* its first piece */
        channel_restore(channel, (struct event_id){last.epoch, after});
    status = recall(journal, channel, data, len);
    channels_unref(journal->channels, channel);
    return status;
}

static int open_store(struct journal_sqlite *journal, const struct journal_sqlite_config *config,
                      struct error *error)
{
    return store_open(&journal->store,
                      &(struct store_config){
                          .path = config->path,
                          .fast = config->fast,
                          .new_epochs = config->new_epochs,
                          .most = config->disk,
                          .patience = config->patience,
                          .policy = on_policy,
                          .context = journal,
                      },
                      error);
}

int journal_sqlite_open(struct journal_sqlite **journal, const struct journal_sqlite_config *config,
                        struct channels *channels, struct error *error)
{
    struct journal_sqlite *fresh = calloc(1, sizeof *fresh);
    int status = UV_ENOMEM;

    *journal = NULL;
    (void) error_set(error, UV_ENOMEM, "out of memory");
    if (fresh == NULL || uv_mutex_init(&fresh->lock) != 0) {
        free(fresh);
        return status;
    }
    fresh->journal.ops = &ops;
    fresh->keeper = (struct channels_keeper){.made = on_made, .gone = on_gone};
    fresh->channels = channels;
    list_init(&fresh->tickets);
    fresh->publisher.compression_min = (size_t) config->compression_min;
    fresh->publisher.counters = &fresh->counters;
    status = frame_encoder_new(&fresh->publisher.encoder, false);
    if (status == 0)
        status = deflater_new(&fresh->publisher.deflater, config->compression_level);
    if (status == 0)
        status = open_store(fresh, config, error);
    if (status == 0)
        status = channels_keep(channels, &fresh->keeper);
    if (status == 0) {
        status = store_recall(fresh->store, config->memory, on_recalled, fresh);
        if (status != 0)
            (void) error_set(error, status,
                             "cannot read the messages in '%s': %s; "
                             "'wsbroadcastd --store FILE --check-store' says more",
                             config->path, uv_strerror(status));
    }
    if (status != 0) {
        journal_sqlite_close(fresh);
        return status;
    }
    *journal = fresh;
    return 0;
}

void journal_sqlite_close(struct journal_sqlite *journal)
{
    if (journal == NULL)
        return;
    /* Commits and delivers: channels are referred to until then. */
    if (journal->store != NULL)
        store_stop(journal->store);
    LIST_FOR_EACH_SAFE (node, next, &journal->tickets) {
        ticket_free(container_of(node, struct sqlite_ticket, node));
    }
    (void) channels_keep(journal->channels, NULL);
    store_close(journal->store);
    deflater_free(journal->publisher.deflater);
    frame_encoder_free(journal->publisher.encoder);
    uv_mutex_destroy(&journal->lock);
    free(journal);
}

struct journal *journal_sqlite_of(struct journal_sqlite *journal)
{
    return &journal->journal;
}

void journal_sqlite_reconfigure(struct journal_sqlite *journal, uint64_t disk, uint64_t patience)
{
    store_change_policies(journal->store, disk, patience);
}
