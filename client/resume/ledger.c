#include "client/resume/ledger.h"

struct entry {
    struct event_id id;
    bool arrived;
};

enum { COMPACT = 1024 }; /* entries that may be left behind before the others are moved */

void ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){0};
}

void ledger_deinit(struct ledger *ledger)
{
    buffer_deinit(&ledger->_entries);
    ledger->_first = 0;
}

static struct entry *entries(const struct ledger *ledger)
{
    return (struct entry *) (void *) ledger->_entries.data;
}

static size_t count(const struct ledger *ledger)
{
    return ledger->_entries.len / sizeof(struct entry);
}

int ledger_add(struct ledger *ledger, struct event_id id, uint64_t *number)
{
    struct entry entry = {.id = id};

    *number = ledger->_number + (count(ledger) - ledger->_first);
    return buffer_append(&ledger->_entries, &entry, sizeof entry);
}

/* Those that have arrived leave; moving the others is paid for by as many that have left. */
static void compact(struct ledger *ledger)
{
    if (ledger->_first < count(ledger) &&
        (ledger->_first < COMPACT || ledger->_first < count(ledger) / 2))
        return;
    buffer_drop(&ledger->_entries, ledger->_first * sizeof(struct entry));
    ledger->_first = 0;
}

bool ledger_arrive(struct ledger *ledger, uint64_t number, struct event_id *id)
{
    struct entry *entry = entries(ledger);
    bool moved = false;

    entry[ledger->_first + (size_t) (number - ledger->_number)].arrived = true;
    while (ledger->_first < count(ledger) && entry[ledger->_first].arrived) {
        *id = entry[ledger->_first].id;
        ledger->_first++;
        ledger->_number++;
        moved = true;
    }
    compact(ledger);
    return moved;
}

uint64_t ledger_first(const struct ledger *ledger)
{
    return ledger->_number;
}
