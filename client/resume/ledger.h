/* Messages that are on their way out, in the order in which they came, each with its ID; and how
 * far all of them have arrived. They may arrive in any order, as commands of --exec end in any
 * order: what counts as arrived is what has nothing before it that has not. Pure. */
#ifndef WS_CLIENT_RESUME_LEDGER_H
#define WS_CLIENT_RESUME_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/websocket/event_id.h"

struct ledger {
    struct buffer _entries; /* of struct entry */
    size_t _first;          /* of these, the first that counts */
    uint64_t _number;       /* its number */
};

/* Also `struct ledger ledger = {0}`. */
void ledger_init(struct ledger *ledger);
void ledger_deinit(struct ledger *ledger);

/* A message sets out. Its number is one more than that of the one before, from 0. Returns 0 or
 * UV_ENOMEM. */
int ledger_add(struct ledger *ledger, struct event_id id, uint64_t *number);

/* The message of this number has arrived. True when `*id` is the new position: everything up to it
 * has. */
bool ledger_arrive(struct ledger *ledger, uint64_t number, struct event_id *id);

/* The number of the first message that has not arrived. */
uint64_t ledger_first(const struct ledger *ledger);

#endif
