#include "server/broadcast/history.h"

#include <stdlib.h>

#include "server/broadcast/time_marks.h"

enum {
    MARKS = HISTORY_STEPS + 4,
    SLACK = 512 * 1024, /* bytes of memory that the blocks may take beside a tenth of the bytes */
};

/* ---- all of them ---- */

static uint64_t milliseconds(void)
{
    return uv_hrtime() / 1000000;
}

int histories_init(struct histories *histories)
{
    histories->now = milliseconds;
    histories->relieve = NULL;
    list_init(&histories->_order);
    atomic_init(&histories->_memory, 0);
    atomic_init(&histories->_most, 0);
    return uv_mutex_init(&histories->_lock);
}

void histories_limit(struct histories *histories, uint64_t most)
{
    atomic_store(&histories->_most, most);
}

void histories_deinit(struct histories *histories)
{
    uv_mutex_destroy(&histories->_lock);
}

uint64_t histories_memory(const struct histories *histories)
{
    return atomic_load_explicit(&histories->_memory, memory_order_relaxed);
}

bool histories_are_over(struct histories *histories)
{
    uint64_t most = atomic_load_explicit(&histories->_most, memory_order_relaxed);

    return most > 0 && atomic_load_explicit(&histories->_memory, memory_order_relaxed) > most;
}

struct block_retention *histories_lock_oldest(struct histories *histories)
{
    struct list *first;

    uv_mutex_lock(&histories->_lock);
    first = histories->_order.next;
    return first != &histories->_order ? container_of(first, struct block_retention, order) : NULL;
}

void histories_unlock(struct histories *histories)
{
    uv_mutex_unlock(&histories->_lock);
}

static void hold(struct history *history, struct block_retention *retention)
{
    struct histories *histories = history->_histories;

    retention->listed = true;
    history->_memory += retention->size;
    uv_mutex_lock(&histories->_lock);
    list_append(&histories->_order, &retention->order);
    atomic_fetch_add(&histories->_memory, retention->size + HISTORY_OVERHEAD);
    uv_mutex_unlock(&histories->_lock);
}

static void let_go(struct history *history, struct block_retention *retention)
{
    struct histories *histories = history->_histories;

    if (!retention->listed)
        return; /* nothing was ever kept in it: it was made for a message that failed */
    retention->listed = false;
    history->_memory -= retention->size;
    uv_mutex_lock(&histories->_lock);
    list_remove(&retention->order);
    atomic_fetch_sub(&histories->_memory, retention->size + HISTORY_OVERHEAD);
    uv_mutex_unlock(&histories->_lock);
}

/* ---- one channel's ---- */

void history_init(struct history *history, struct histories *histories)
{
    *history = (struct history){._histories = histories, ._policy = &channel_settings_none.history};
}

uint64_t history_messages(const struct history *history, uint64_t sequence)
{
    return history_is_empty(history) ? 0 : sequence - history->_sequence;
}

uint64_t history_bytes(const struct history *history)
{
    return history->_bytes;
}

void history_relieve(const struct history *history)
{
    struct histories *histories = history->_histories;

    if (histories != NULL && histories->relieve != NULL && histories_are_over(histories))
        histories->relieve(histories);
}

/* Nothing is retained of the oldest block any more. Its memory is kept until there is time
 * (history_take_dropped). */
static void drop_note(struct history *history)
{
    let_go(history, block_log_retention(&history->_cursor));
    if (history->_dropped._block == NULL)
        block_log_copy(&history->_cursor, &history->_dropped);
}

struct block_cursor history_take_dropped(struct history *history)
{
    struct block_cursor dropped = history->_dropped;

    history->_dropped = (struct block_cursor){0};
    return dropped;
}

/* Nothing is left: it holds nothing. */
static void end(struct history *history)
{
    drop_note(history);
    block_log_leave(&history->_cursor);
    history->_bytes = 0;
    free(history->_marks);
    history->_marks = NULL;
}

/* Drops the oldest message. */
static void drop(struct history *history)
{
    struct block_unit unit;

    if (!block_log_unit(&history->_cursor, &unit))
        return;
    history->_sequence++;
    history->_bytes -= unit.len;
    if (history->_bytes == 0) {
        end(history);
        return;
    }
    if (unit.leaves)
        drop_note(history);
    block_log_advance(&history->_cursor, unit.len);
}

void history_drop_block(struct history *history)
{
    uint64_t sequence;
    size_t len;

    if (history_is_empty(history))
        return;
    if (!block_log_rest(&history->_cursor, &len, &sequence) || len == history->_bytes) {
        end(history);
        return;
    }
    history->_sequence = sequence;
    history->_bytes -= len;
    drop_note(history);
    block_log_advance(&history->_cursor, len);
}

void history_deinit(struct history *history)
{
    while (!history_is_empty(history))
        history_drop_block(history);
    block_log_leave(&history->_dropped);
}

/* ---- age ---- */

static uint64_t step_of(const struct history *history)
{
    return history->_policy->age / HISTORY_STEPS + 1;
}

/* The message after `sequence` is published now. There is room: older marks have expired. */
static void mark_now(struct history *history, uint64_t now, uint64_t sequence)
{
    time_marks_add(history->_marks, (struct time_mark){now, sequence}, step_of(history));
}

/* Drops the marks whose messages are too old; `last` is the newest of all. */
static void drop_expired(struct history *history, uint64_t now, uint64_t last)
{
    uint64_t life = history->_policy->age + step_of(history);
    struct time_mark expired;

    while (time_marks_take(history->_marks, now, life, &expired)) {
        const struct time_mark *oldest = time_marks_oldest(history->_marks);

        history->_expired = oldest != NULL ? oldest->sequence : last;
    }
}

void history_expire(struct history *history, uint64_t sequence)
{
    if (history->_marks != NULL)
        drop_expired(history, history->_histories->now(), sequence);
}

/* How old what is retained is cannot be told in steps of another age: it counts as new. */
static void renew_marks(struct history *history, uint64_t sequence)
{
    free(history->_marks);
    history->_marks = NULL;
    if (history->_histories == NULL || history->_policy->age == 0 || history_is_empty(history))
        return;
    history->_marks = time_marks_new(MARKS);
    if (history->_marks != NULL) /* else it is new with the next message */
        mark_now(history, history->_histories->now(), sequence);
}

void history_set_policy(struct history *history, const struct history_policy *policy,
                        uint64_t sequence)
{
    uint64_t age = history->_policy->age;

    history->_policy = policy;
    history->_keeps = history->_histories != NULL &&
                      (policy->messages > 0 || policy->bytes > 0 || policy->age > 0);
    if (policy->age != age)
        renew_marks(history, sequence);
}

/* ---- messages come ---- */

int history_begin(struct history *history, struct block_log *log, uint64_t sequence)
{
    if (history->_policy->age > 0) {
        uint64_t now = history->_histories->now();

        if (history->_marks == NULL)
            history->_marks = time_marks_new(MARKS);
        if (history->_marks == NULL) /* out of memory */
            return UV_ENOMEM;
        drop_expired(history, now, sequence);
        mark_now(history, now, sequence);
    }
    if (history_is_empty(history)) {
        block_log_join(log, &history->_cursor);
        history->_sequence = sequence;
        hold(history, block_log_retention(&history->_cursor));
    } else if (!block_log_tail_retention(log)->listed) {
        hold(history, block_log_tail_retention(log));
    }
    return 0;
}

void history_add(struct history *history, size_t size)
{
    history->_bytes += size;
}

/* ---- messages go ---- */

/* The last of the messages that are too many or too old. */
static uint64_t too_far_back(const struct history *history, uint64_t last)
{
    uint64_t messages = history->_policy->messages;
    uint64_t many = messages > 0 && last > messages ? last - messages : 0;

    return many > history->_expired ? many : history->_expired;
}

/* They take more memory than their bytes explain: it goes by blocks. */
static bool holds_too_much(const struct history *history)
{
    uint64_t bytes = history->_policy->bytes;

    return bytes > 0 && history->_memory > bytes + bytes / 10 + SLACK;
}

static bool is_too_much(const struct history *history, uint64_t last)
{
    uint64_t bytes = history->_policy->bytes;

    return !history->_keeps || history->_sequence < too_far_back(history, last) ||
           (bytes > 0 && history->_bytes > bytes) || holds_too_much(history);
}

/* All messages of the oldest block are to go. */
static bool goes_whole(const struct history *history, uint64_t last)
{
    uint64_t bytes = history->_policy->bytes;
    uint64_t sequence;
    size_t len;

    return block_log_rest(&history->_cursor, &len, &sequence) &&
           (!history->_keeps || sequence <= too_far_back(history, last) ||
            (bytes > 0 && history->_bytes - len >= bytes) || holds_too_much(history));
}

static unsigned cost_of_block(const struct history *history)
{
    size_t size = block_log_retention(&history->_cursor)->size;

    return HISTORY_BLOCK_COST * (unsigned) (1 + size / (2 * BLOCK_LOG_MAX_SIZE));
}

bool history_trim(struct history *history, uint64_t sequence)
{
    history->_step = 0;
    while (!history_is_empty(history) && is_too_much(history, sequence)) {
        if (history->_step >= HISTORY_STRIDE)
            return true;
        if (goes_whole(history, sequence)) {
            history->_step += cost_of_block(history);
            history_drop_block(history);
        } else {
            history->_step++;
            drop(history);
        }
    }
    return false;
}
