#include "common/base/deadline.h"

void deadline_list_init(struct deadline_list *deadlines, uint32_t timeout)
{
    list_init(&deadlines->_members);
    deadlines->_timeout = timeout;
}

void deadline_init(struct deadline *deadline)
{
    list_init(&deadline->_node);
    deadline->_since = 0;
}

void deadline_start(struct deadline_list *deadlines, struct deadline *deadline, uint64_t now)
{
    deadline->_since = (uint32_t) now;
    list_move(&deadlines->_members, &deadline->_node);
}

void deadline_stop(struct deadline *deadline)
{
    list_remove(&deadline->_node);
}

static struct deadline *first(const struct deadline_list *deadlines)
{
    if (list_empty(&deadlines->_members))
        return NULL;
    return container_of(deadlines->_members.next, struct deadline, _node);
}

/* Milliseconds since the deadline was started; negative if that was after `now`. */
static int32_t age_of(const struct deadline *deadline, uint64_t now)
{
    return (int32_t) ((uint32_t) now - deadline->_since);
}

bool deadline_is_due(const struct deadline_list *deadlines, uint64_t now)
{
    const struct deadline *oldest = first(deadlines);

    return oldest != NULL && deadlines->_timeout > 0 &&
           age_of(oldest, now) >= (int32_t) deadlines->_timeout;
}

struct deadline *deadline_expired(struct deadline_list *deadlines, uint64_t now)
{
    return deadline_is_due(deadlines, now) ? deadline_any(deadlines) : NULL;
}

void deadline_list_set_timeout(struct deadline_list *deadlines, uint32_t timeout)
{
    deadlines->_timeout = timeout;
}

uint32_t deadline_list_timeout(const struct deadline_list *deadlines)
{
    return deadlines->_timeout;
}

bool deadline_list_expires(const struct deadline_list *deadlines)
{
    return deadlines->_timeout > 0;
}

struct deadline *deadline_any(struct deadline_list *deadlines)
{
    struct deadline *oldest = first(deadlines);

    if (oldest != NULL)
        deadline_stop(oldest);
    return oldest;
}

bool deadline_list_is_empty(const struct deadline_list *deadlines)
{
    return list_empty(&deadlines->_members);
}

bool deadline_list_is_idle(const struct deadline_list *deadlines)
{
    return deadlines->_timeout == 0 || list_empty(&deadlines->_members);
}
