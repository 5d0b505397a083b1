#include "server/journal/journal.h"

void journal_append(struct channel *channel, const struct channel_publisher *publisher,
                    const struct channel_item *items, size_t count, struct submit_receipt *receipt)
{
    receipt->status = channel_publish_all(channel, publisher, items, count, &receipt->published,
                                          &receipt->channel);
}

void journal_give_receipt(const struct submission *submission, const struct submit_receipt *receipt)
{
    if (receipt->published > 0 && submission->throttle != NULL)
        throttle_published(submission->throttle, &submission->publisher_throttle,
                           submission->channel, &receipt->channel);
    submission->on_receipt(submission->owner, receipt);
}

void journal_deliver(const struct submission *submission)
{
    struct submit_receipt receipt;

    journal_append(submission->channel, submission->publisher, submission->items, submission->count,
                   &receipt);
    journal_give_receipt(submission, &receipt);
}

void journal_look(struct journal *journal, struct journal_state *state)
{
    *state = (struct journal_state){0};
    if (journal->ops->look != NULL)
        journal->ops->look(journal, state);
}

/* ---- of memory ---- */

static int submit_to_memory(struct journal *journal, const struct submission *submission)
{
    (void) journal;
    journal_deliver(submission);
    return 0;
}

static const struct journal_ops memory_ops = {.submit = submit_to_memory};

void journal_init_memory(struct journal *journal)
{
    journal->ops = &memory_ops;
}

/* ---- tickets ---- */

void submit_ticket_link(struct submit_ticket *ticket, struct submit_outstanding *outstanding)
{
    ticket->_next = outstanding->_first;
    ticket->_link = &outstanding->_first;
    if (ticket->_next != NULL)
        ticket->_next->_link = &ticket->_next;
    outstanding->_first = ticket;
}

bool submit_ticket_unlink(struct submit_ticket *ticket)
{
    if (ticket->_link == NULL)
        return false;
    *ticket->_link = ticket->_next;
    if (ticket->_next != NULL)
        ticket->_next->_link = ticket->_link;
    ticket->_link = NULL;
    return true;
}

void submit_forget(struct submit_outstanding *outstanding)
{
    while (outstanding->_first != NULL)
        (void) submit_ticket_unlink(outstanding->_first);
}
