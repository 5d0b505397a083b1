#include "server/journal/journal.h"

void journal_deliver(const struct submission *submission)
{
    struct submit_receipt receipt = {.published = 0};

    receipt.status =
        channel_publish_all(submission->channel, submission->publisher, submission->items,
                            submission->count, &receipt.published, &receipt.channel);
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
