#include "server/net/guessing.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/address.h"

struct guesser {
    unsigned char key[ADDRESS_KEY_LEN];
    struct list node;
    uint64_t since; /* milliseconds: the first failure of this minute */
    uint64_t failures;
};

static int compare(const void *left, const void *right)
{
    return memcmp(((const struct guesser *) left)->key, ((const struct guesser *) right)->key,
                  ADDRESS_KEY_LEN);
}

int guessing_init(struct guessing *guessing)
{
    atomic_init(&guessing->count, 0);
    guessing->_addresses = NULL;
    list_init(&guessing->_oldest);
    return uv_mutex_init(&guessing->_lock);
}

/* With the lock held. */
static void forget(struct guessing *guessing, struct guesser *guesser)
{
    list_remove(&guesser->node);
    (void) tdelete(guesser, &guessing->_addresses, compare);
    (void) atomic_fetch_sub(&guessing->count, 1);
    free(guesser);
}

/* With the lock held: those whose minute is over; and the oldest, if there are too many. */
static void forget_old(struct guessing *guessing, uint64_t now)
{
    while (!list_empty(&guessing->_oldest)) {
        struct guesser *first = container_of(guessing->_oldest.next, struct guesser, node);

        if (now - first->since < GUESSING_MINUTE && atomic_load(&guessing->count) <= GUESSING_MAX)
            return;
        forget(guessing, first);
    }
}

void guessing_deinit(struct guessing *guessing)
{
    while (!list_empty(&guessing->_oldest))
        forget(guessing, container_of(guessing->_oldest.next, struct guesser, node));
    uv_mutex_destroy(&guessing->_lock);
}

/* With the lock held. NULL when out of memory. */
static struct guesser *find(struct guessing *guessing, const unsigned char *key, uint64_t now)
{
    struct guesser *fresh = calloc(1, sizeof *fresh), **found;

    if (fresh == NULL)
        return NULL;
    memcpy(fresh->key, key, ADDRESS_KEY_LEN);
    fresh->since = now;
    found = (struct guesser **) tsearch(fresh, &guessing->_addresses, compare);
    if (found == NULL || *found != fresh) {
        free(fresh);
        return found != NULL ? *found : NULL;
    }
    list_append(&guessing->_oldest, &fresh->node);
    (void) atomic_fetch_add(&guessing->count, 1);
    return fresh;
}

bool guessing_failed(struct guessing *guessing, const struct sockaddr *address, uint64_t now)
{
    unsigned char key[ADDRESS_KEY_LEN];
    struct guesser *guesser;

    if (!address_key(address, key))
        return false;
    uv_mutex_lock(&guessing->_lock);
    forget_old(guessing, now);
    guesser = find(guessing, key, now);
    if (guesser != NULL)
        guesser->failures++;
    uv_mutex_unlock(&guessing->_lock);
    return true;
}

bool guessing_is_blocked(struct guessing *guessing, const struct sockaddr *address, uint64_t now,
                         uint64_t most)
{
    struct guesser key, **found;
    bool blocked = false;

    if (most == 0 || atomic_load(&guessing->count) == 0 || !address_key(address, key.key))
        return false;
    uv_mutex_lock(&guessing->_lock);
    forget_old(guessing, now);
    found = (struct guesser **) tfind(&key, &guessing->_addresses, compare);
    blocked = found != NULL && (*found)->failures >= most;
    uv_mutex_unlock(&guessing->_lock);
    return blocked;
}
