/* Deadlines without a timer for each: all members of one deadline_list have the same time to live,
 * so the list is in order of expiry by itself, and a coarse tick only ever looks at its front. */
#ifndef WS_COMMON_BASE_DEADLINE_H
#define WS_COMMON_BASE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"

/* Embedded in what has a deadline. */
struct deadline {
    struct list _node;
    uint32_t _since; /* milliseconds, modulo 2^32 */
    uint32_t note;   /* the owner's, in what would be padding */
};

struct deadline_list {
    struct list _members;
    uint32_t _timeout; /* milliseconds */
};

/* `timeout` in milliseconds, less than 2^31; 0 means that members never expire. */
void deadline_list_init(struct deadline_list *deadlines, uint32_t timeout);

void deadline_init(struct deadline *deadline);

/* Starts the time anew, in this list, wherever it was before. `now` in milliseconds. */
void deadline_start(struct deadline_list *deadlines, struct deadline *deadline, uint64_t now);

/* Takes it out of its list, if it is in one. */
void deadline_stop(struct deadline *deadline);

/* Takes out and returns the next member that has expired at `now`; NULL when there is none. */
struct deadline *deadline_expired(struct deadline_list *deadlines, uint64_t now);

/* True when deadline_expired would return one. */
bool deadline_is_due(const struct deadline_list *deadlines, uint64_t now);

/* From here on members, also those that it has, have `timeout` milliseconds from their start. */
void deadline_list_set_timeout(struct deadline_list *deadlines, uint32_t timeout);

/* Milliseconds that members have; 0: they never expire. */
uint32_t deadline_list_timeout(const struct deadline_list *deadlines);

/* True when members expire at all. */
bool deadline_list_expires(const struct deadline_list *deadlines);

/* True when nothing is in the list. */
bool deadline_list_is_empty(const struct deadline_list *deadlines);

/* True while nothing in the list can ever expire: it is empty, or has no timeout. */
bool deadline_list_is_idle(const struct deadline_list *deadlines);

/* Any member, taken out, expired or not; NULL when there is none. */
struct deadline *deadline_any(struct deadline_list *deadlines);

#endif
