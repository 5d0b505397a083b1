/* An intrusive doubly linked list: the node lives in the struct that is listed, so that listing
 * never allocates and a member leaves without knowing which list it is in. A list is a ring
 * through its head; an initialized node that is in no list points at itself. */
#ifndef WS_COMMON_BASE_LIST_H
#define WS_COMMON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

/* The struct of type `type` whose member `member` is at `pointer`. */
#define container_of(pointer, type, member) \
    ((type *) (void *) (((char *) (pointer)) - offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): the names are declared here. */

/* Each node in turn; the list is not to change meanwhile. */
#define LIST_FOR_EACH(node, head) \
    for (struct list *node = (head)->next; node != (head); node = node->next)

/* The same, where the node may leave the list, but not `after`, the one behind it. The head is not
 * looked at after the last one, which may have taken it along. */
#define LIST_FOR_EACH_SAFE(node, after, head) \
    for (struct list *node = (head)->next, *after; node != (head) && (after = node->next) != NULL; \
         node = after)

/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* True when `node` is in some list (or, for a head, when that list has members). */
static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

/* Takes `node` out of whatever list it is in; harmless when it is in none. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Puts `node`, which must be in no list, at the end. */
static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Moves `node` from wherever it is to the end of `head`. */
static inline void list_move(struct list *head, struct list *node)
{
    list_remove(node);
    list_append(head, node);
}

/* Moves all members of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* The first member, taken out of the list, or NULL when the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
    struct list *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
