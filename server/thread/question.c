#include "server/thread/question.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What is asked of one worker. */
struct share {
    struct inbox_item item; /* on its way to the worker; */
    struct list node;       /* then at its desk */
    struct question_desk *desk;
    struct question *question;
    void *data;
    bool begun; /* the worker is at it, for this one or for another that asks the same */
};

struct question {
    const struct question_kind *kind;
    void *subject;
    void *asker;
    void (*answered)(void *asker, const struct question *question); /* NULL: it is forgotten */
    struct question_desk *desk;
    struct list node;       /* at the desk */
    struct inbox_item item; /* on its way back */
    _Atomic size_t left;    /* shares that are not complete */
    size_t count;
    struct share shares[];
};

void question_desk_init(struct question_desk *desk, struct inbox *inbox, void *context,
                        struct question_desk *(*at)(void *context, size_t i), size_t count)
{
    *desk = (struct question_desk){
        .inbox = inbox,
        .context = context,
        .count = count,
        .at = at,
    };
    list_init(&desk->_shares);
    list_init(&desk->_asked);
}

static void question_free(struct question *question)
{
    for (size_t i = 0; i < question->count && question->kind->drop != NULL; i++)
        question->kind->drop(question->shares[i].data);
    question->kind->release(question->desk->context, question->subject);
    free(question);
}

void question_desk_deinit(struct question_desk *desk)
{
    LIST_FOR_EACH_SAFE (node, next, &desk->_asked) {
        question_free(container_of(node, struct question, node));
    }
    list_init(&desk->_asked);
}

/* ---- the answer ---- */

static void answer(struct question *question)
{
    if (question->answered != NULL)
        question->answered(question->asker, question);
    list_remove(&question->node);
    question_free(question);
}

static void on_answered(struct inbox_item *item)
{
    answer(container_of(item, struct question, item));
}

/* The share is complete; the question may be gone then. */
static void complete(struct share *share)
{
    struct question *question = share->question;

    list_remove(&share->node);
    if (atomic_fetch_sub_explicit(&question->left, 1, memory_order_acq_rel) > 1)
        return;
    if (question->desk == share->desk)
        answer(question);
    else
        inbox_post(question->desk->inbox, &question->item);
}

/* ---- the work ---- */

static bool asks_the_same(const struct share *share, const struct share *other)
{
    return share->question->kind == other->question->kind &&
           share->question->subject == other->question->subject;
}

/* The worker begins with this one, and with all other questions for the same. */
static void begin(struct question_desk *desk, const struct share *share)
{
    LIST_FOR_EACH (node, &desk->_shares) {
        struct share *other = container_of(node, struct share, node);

        other->begun = asks_the_same(share, other);
    }
}

/* The first share is filled in: it is that of all questions for the same that were there when it
 * was begun. */
static void end(struct question_desk *desk, struct share *share)
{
    size_t size = share->question->kind->share_size;
    struct list all, *first;

    list_init(&all);
    LIST_FOR_EACH_SAFE (node, next, &desk->_shares) {
        struct share *other = container_of(node, struct share, node);

        if (!other->begun)
            continue;
        if (other != share)
            memcpy(other->data, share->data, size);
        list_remove(node);
        list_append(&all, node);
    }
    while ((first = list_take_first(&all)) != NULL)
        complete(container_of(first, struct share, node));
}

bool question_desk_work(struct question_desk *desk, unsigned budget)
{
    while (budget > 0 && !list_empty(&desk->_shares)) {
        struct share *share = container_of(desk->_shares.next, struct share, node);
        const struct question *question = share->question;

        if (!share->begun)
            begin(desk, share);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is complete is in no list any more
        if (!question->kind->work(desk->context, question->subject, share->data, &budget))
            break;
        budget -= budget > 0 ? 1 : 0;
        end(desk, share);
    }
    return list_empty(&desk->_shares);
}

bool question_desk_is_idle(const struct question_desk *desk)
{
    return list_empty(&desk->_shares);
}

static void on_asked(struct inbox_item *item)
{
    struct share *share = container_of(item, struct share, item);

    list_append(&share->desk->_shares, &share->node);
}

/* ---- the question ---- */

/* The size, rounded up so that anything may follow. */
static size_t aligned(size_t size)
{
    size_t unit = _Alignof(max_align_t);

    return (size + unit - 1) / unit * unit;
}

int question_ask(struct question **question, struct question_desk *desk,
                 const struct question_kind *kind, void *subject, void *asker,
                 void (*answered)(void *asker, const struct question *question))
{
    size_t head = aligned(sizeof(struct question) + desk->count * sizeof(struct share));
    size_t stride = aligned(kind->share_size);
    struct question *fresh = calloc(1, head + desk->count * stride);

    if (fresh == NULL) {
        kind->release(desk->context, subject);
        return UV_ENOMEM;
    }
    fresh->kind = kind;
    fresh->subject = subject;
    fresh->asker = asker;
    fresh->answered = answered;
    fresh->desk = desk;
    fresh->count = desk->count;
    atomic_init(&fresh->left, desk->count);
    inbox_item_init(&fresh->item, on_answered);
    list_append(&desk->_asked, &fresh->node);
    for (size_t i = 0; i < desk->count; i++) {
        struct share *share = &fresh->shares[i];

        share->desk = desk->at(desk->context, i);
        share->question = fresh;
        share->data = (uint8_t *) fresh + head + i * stride;
        list_init(&share->node);
        inbox_item_init(&share->item, on_asked);
    }
    for (size_t i = 0; i < desk->count; i++) {
        if (fresh->shares[i].desk == desk)
            on_asked(&fresh->shares[i].item);
        else
            inbox_post(fresh->shares[i].desk->inbox, &fresh->shares[i].item);
    }
    *question = fresh;
    return 0;
}

void question_forget(struct question *question)
{
    if (question != NULL)
        question->answered = NULL;
}

void *question_subject(const struct question *question)
{
    return question->subject;
}

size_t question_count(const struct question *question)
{
    return question->count;
}

const void *question_share(const struct question *question, size_t i)
{
    return question->shares[i].data;
}
