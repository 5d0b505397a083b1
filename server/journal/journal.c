#include "server/journal/journal.h"

void journal_deliver(const struct submission *submission)
{
    struct submit_receipt receipt = {.published = 0};

    if (submission->count == 1) {
        const struct channel_item *item = submission->items;

        receipt.status = channel_publish(submission->channel, submission->publisher, item->opcode,
                                         item->parts, item->count, &receipt.channel);
        receipt.published = receipt.status == 0 ? 1 : 0;
    } else {
        receipt.status =
            channel_publish_all(submission->channel, submission->publisher, submission->items,
                                submission->count, &receipt.published, &receipt.channel);
    }
    if (receipt.published > 0 && submission->throttle != NULL)
        throttle_published(submission->throttle, &submission->publisher_throttle,
                           submission->channel, &receipt.channel);
    submission->on_receipt(submission->owner, &receipt);
}

static void submit_to_memory(struct journal *journal, const struct submission *submission)
{
    (void) journal;
    journal_deliver(submission);
}

static const struct journal_ops memory_ops = {.submit = submit_to_memory};

void journal_init_memory(struct journal *journal)
{
    journal->ops = &memory_ops;
}
