#include "server/net/limits.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/plural.h"
#include "common/net/address.h"

static const char *const limits_names[LIMITS_NAMES] = {
    "handshake-timeout",
    "close-timeout",
    "ping-timeout",
    "idle-timeout",
    "message-timeout",
    "max-message",
    "max-fragments",
    "max-empty-fragments",
    "max-header-bytes",
    "max-header-count",
    "max-connections",
    "max-connections-per-address",
    "max-connections-per-user",
    "max-auth-failures-per-minute",
    "max-messages-per-second",
    "max-bytes-per-second",
    "max-control-per-second",
    "max-lag",
    "max-memory",
    "max-channels",
    "max-subscribers",
    "min-read-rate",
    "plain-http", /* no option: TLS is spoken on that address */
};

enum {
    MIN_REFUSALS = 16,  /* connections that are told at one time that they are too many, */
    REFUSAL_SHARE = 16, /* or this part of --max-connections */
    SECOND_SHIFT = 40,  /* a share and its second have a word together: bits of the share, */
    SECOND_BITS = 24,   /* and of the second, which comes again after 194 days */
    MOST_AHEAD = 60,    /* seconds by which the loop of another worker may be ahead */
};

#define WHOLE ((uint64_t) 1 << (SECOND_SHIFT - 1)) /* what may be used in a second */
#define COUNT_MASK (((uint64_t) 1 << SECOND_SHIFT) - 1)
#define SECOND_MASK (((uint64_t) 1 << SECOND_BITS) - 1)

struct limits_rate {
    _Atomic uint64_t messages;
    _Atomic uint64_t bytes;
    _Atomic uint64_t controls;
};

struct limits_address {
    unsigned char key[ADDRESS_KEY_LEN];
    uint64_t connections;
    struct list left;
    struct limits_rate rate;
};

int limits_init(struct limits *limits, const struct server_options *options, bool counts_addresses)
{
    int status;

    for (size_t i = 0; i < LIMITS_NAMES; i++)
        atomic_init(&limits->hits[i], 0);
    atomic_init(&limits->options, options);
    limits->_counts_addresses = counts_addresses;
    limits->_connections = 0;
    limits->_refusals = 0;
    limits->_addresses = NULL;
    limits->_users = NULL;
    list_init(&limits->_left);
    status = guessing_init(&limits->guessing);
    if (status != 0)
        return status;
    status = uv_mutex_init(&limits->_lock);
    if (status != 0)
        guessing_deinit(&limits->guessing);
    return status;
}

void limits_set_options(struct limits *limits, const struct server_options *options)
{
    atomic_store_explicit(&limits->options, options, memory_order_release);
}

static const struct server_options *options_of(const struct limits *limits)
{
    return atomic_load_explicit(&limits->options, memory_order_acquire);
}

/* ---- rates ---- */

static uint64_t second_of(uint64_t now)
{
    return now / 1000 & SECOND_MASK;
}

/* Where the counter stands at this second: the loops of several workers are not at one time, and
 * the one that is ahead has begun the second. */
static uint64_t at_second(uint64_t counter, uint64_t second)
{
    uint64_t ahead = ((counter >> SECOND_SHIFT) - second) & SECOND_MASK;

    return ahead <= MOST_AHEAD ? counter : second << SECOND_SHIFT;
}

/* Counts `more` as its share of the `most` that may come in a second, unless that is used up. 0:
 * any number. */
static bool charge(_Atomic uint64_t *counter, uint64_t now, uint64_t more, uint64_t most)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed), after, share;

    if (most == 0)
        return true;
    if (more > most)
        return false;
    share = more * (WHOLE / most); /* the more that may come, the less exactly it is counted */
    do {
        after = at_second(before, second_of(now));
        if ((after & COUNT_MASK) > WHOLE - share)
            return false;
        after += share;
    } while (!atomic_compare_exchange_weak_explicit(counter, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* True while something counts that was said in the second of `now`, or later. */
static bool is_counting(const struct limits_rate *rate, uint64_t now)
{
    uint64_t messages = atomic_load_explicit(&rate->messages, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&rate->bytes, memory_order_relaxed);

    return (at_second(messages, second_of(now)) & COUNT_MASK) > 0 ||
           (at_second(bytes, second_of(now)) & COUNT_MASK) > 0;
}

/* The connection's own rate. NULL when out of memory: then nothing is counted. */
static struct limits_rate *rate_of(struct limits_rate **rate)
{
    if (*rate == NULL)
        *rate = calloc(1, sizeof **rate);
    return *rate;
}

const char *limits_check_size(const struct limits_amount *most, const struct limits_amount *amount)
{
    if (most->messages > 0 && amount->messages > most->messages)
        return "max-messages-per-second";
    if (most->bytes > 0 && amount->bytes > most->bytes)
        return "max-bytes-per-second";
    return NULL;
}

const char *limits_check_messages(const struct limits_client *client, uint64_t now,
                                  const struct limits_amount *most,
                                  const struct limits_amount *amount)
{
    struct limits_rate *rate;

    if (most->messages == 0 && most->bytes == 0)
        return NULL;
    rate = client->address != NULL ? &client->address->rate : rate_of(client->rate);
    if (rate == NULL)
        return NULL;
    if (!charge(&rate->messages, now, amount->messages, most->messages))
        return "max-messages-per-second";
    if (!charge(&rate->bytes, now, amount->bytes, most->bytes))
        return "max-bytes-per-second";
    return NULL;
}

const char *limits_check_control(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now)
{
    uint64_t most = options_of(limits)->max_control_per_second;

    if (most == 0 || rate_of(rate) == NULL || charge(&(*rate)->controls, now, 1, most))
        return NULL;
    return "max-control-per-second";
}

/* ---- addresses, with the lock held ---- */

static int compare(const void *left, const void *right)
{
    return memcmp(((const struct limits_address *) left)->key,
                  ((const struct limits_address *) right)->key, ADDRESS_KEY_LEN);
}

static void forget(struct limits *limits, struct limits_address *entry)
{
    list_remove(&entry->left);
    (void) tdelete(entry, &limits->_addresses, compare);
    free(entry);
}

/* Forgets those whose connections are gone and whose second is over. */
static void forget_old(struct limits *limits)
{
    uint64_t now = uv_hrtime() / 1000000;

    while (!list_empty(&limits->_left)) {
        struct limits_address *entry =
            container_of(limits->_left.next, struct limits_address, left);

        if (is_counting(&entry->rate, now))
            return;
        forget(limits, entry);
    }
}

/* The entry of this key, made if there is none. NULL when out of memory. */
static struct limits_address *find_address(struct limits *limits, const unsigned char *key)
{
    struct limits_address *fresh = calloc(1, sizeof *fresh);
    struct limits_address **found;

    if (fresh == NULL)
        return NULL;
    memcpy(fresh->key, key, ADDRESS_KEY_LEN);
    list_init(&fresh->left);
    found = (struct limits_address **) tsearch(fresh, &limits->_addresses, compare);
    if (found == NULL || *found != fresh)
        free(fresh);
    return found != NULL ? *found : NULL;
}

/* ---- connections ---- */

bool limits_count_addresses(const struct limits *limits)
{
    return limits->_counts_addresses;
}

static const char *arrive_address(struct limits *limits, const struct sockaddr *address,
                                  struct limits_address **entry)
{
    uint64_t most = options_of(limits)->max_connections_per_address;
    unsigned char key[ADDRESS_KEY_LEN];
    struct limits_address *found;

    if (!limits_count_addresses(limits) || !address_key(address, key))
        return NULL;
    found = find_address(limits, key);
    if (found == NULL)
        return NULL; /* on out-of-memory, fail open */
    if (most > 0 && found->connections >= most)
        return "max-connections-per-address";
    found->connections++;
    list_remove(&found->left);
    *entry = found;
    return NULL;
}

const char *limits_arrive(struct limits *limits, const struct sockaddr *address,
                          struct limits_address **entry)
{
    uint64_t most = options_of(limits)->max_connections;
    const char *limit;

    *entry = NULL;
    uv_mutex_lock(&limits->_lock);
    forget_old(limits);
    if (most > 0 && limits->_connections >= most)
        limit = "max-connections";
    else
        limit = arrive_address(limits, address, entry);
    if (limit == NULL)
        limits->_connections++;
    uv_mutex_unlock(&limits->_lock);
    return limit;
}

/* With the lock held. */
static void leave_address(struct limits *limits, struct limits_address *entry)
{
    if (entry != NULL && --entry->connections == 0)
        list_append(&limits->_left, &entry->left);
}

const char *limits_move(struct limits *limits, const struct sockaddr *address,
                        struct limits_address **entry)
{
    struct limits_address *before = *entry, *after = NULL;
    const char *limit;

    uv_mutex_lock(&limits->_lock);
    leave_address(limits, before); /* first: it may be the same one */
    limit = arrive_address(limits, address, &after);
    if (limit == NULL)
        *entry = after;
    else if (before != NULL && before->connections++ == 0)
        list_remove(&before->left);
    uv_mutex_unlock(&limits->_lock);
    return limit;
}

void limits_depart(struct limits *limits, struct limits_address *entry)
{
    uv_mutex_lock(&limits->_lock);
    limits->_connections--;
    leave_address(limits, entry);
    forget_old(limits);
    uv_mutex_unlock(&limits->_lock);
}

uint64_t limits_connections(struct limits *limits)
{
    uint64_t count;

    uv_mutex_lock(&limits->_lock);
    count = limits->_connections;
    uv_mutex_unlock(&limits->_lock);
    return count;
}

/* ---- users ---- */

struct limits_user {
    uint64_t connections;
    char name[];
};

static int compare_users(const void *left, const void *right)
{
    return strcmp(((const struct limits_user *) left)->name,
                  ((const struct limits_user *) right)->name);
}

/* With the lock held: one more, of `most` at most; 0: any number. */
static const char *add_user(struct limits *limits, const char *name, uint64_t most)
{
    struct limits_user *fresh = calloc(1, sizeof *fresh + strlen(name) + 1), **found;

    if (fresh == NULL)
        return "";
    memcpy(fresh->name, name, strlen(name) + 1);
    found = (struct limits_user **) tsearch(fresh, &limits->_users, compare_users);
    if (found == NULL || *found != fresh)
        free(fresh);
    if (found == NULL)
        return "";
    if (most > 0 && (*found)->connections >= most)
        return "max-connections-per-user";
    (*found)->connections++;
    return NULL;
}

const char *limits_arrive_user(struct limits *limits, const char *user)
{
    const char *limit;

    if (*user == '\0')
        return NULL;
    uv_mutex_lock(&limits->_lock);
    limit = add_user(limits, user, options_of(limits)->max_connections_per_user);
    uv_mutex_unlock(&limits->_lock);
    return limit;
}

/* With the lock held. */
static void remove_user(struct limits *limits, const char *name, struct limits_user *key)
{
    struct limits_user **found, *gone;

    memcpy(key->name, name, strlen(name) + 1);
    found = (struct limits_user **) tfind(key, &limits->_users, compare_users);
    if (found == NULL || --(*found)->connections > 0)
        return;
    gone = *found;
    (void) tdelete(key, &limits->_users, compare_users);
    free(gone);
}

void limits_depart_user(struct limits *limits, const char *user)
{
    union {
        struct limits_user user;
        char room[sizeof(struct limits_user) + LIMITS_MAX_USER + 1];
    } key;

    if (*user == '\0')
        return;
    uv_mutex_lock(&limits->_lock);
    remove_user(limits, user, &key.user);
    uv_mutex_unlock(&limits->_lock);
}

void limits_rename_user(struct limits *limits, const char *before, const char *after)
{
    if (strcmp(before, after) == 0)
        return;
    limits_depart_user(limits, before);
    if (*after == '\0')
        return;
    uv_mutex_lock(&limits->_lock);
    (void) add_user(limits, after, 0);
    uv_mutex_unlock(&limits->_lock);
}

bool limits_may_refuse(struct limits *limits)
{
    uint64_t most = options_of(limits)->max_connections / REFUSAL_SHARE;
    bool may;

    uv_mutex_lock(&limits->_lock);
    may = limits->_refusals < (most > MIN_REFUSALS ? most : MIN_REFUSALS);
    limits->_refusals += may ? 1 : 0;
    uv_mutex_unlock(&limits->_lock);
    return may;
}

void limits_refused(struct limits *limits)
{
    uv_mutex_lock(&limits->_lock);
    limits->_refusals--;
    uv_mutex_unlock(&limits->_lock);
}

void limits_deinit(struct limits *limits)
{
    while (!list_empty(&limits->_left))
        forget(limits, container_of(limits->_left.next, struct limits_address, left));
    guessing_deinit(&limits->guessing);
    uv_mutex_destroy(&limits->_lock);
}

/* ---- counting ---- */

void limits_hit(struct limits *limits, const char *limit, const char *who, const char *done)
{
    for (size_t i = 0; i < LIMITS_NAMES; i++) {
        if (strcmp(limits_names[i], limit) == 0)
            atomic_fetch_add(&limits->hits[i], 1);
    }
    log_repeated(LOG_INFO, limit, who, "%s: limit %s: %s", who, limit, done);
}

const char *limits_name(size_t i)
{
    return limits_names[i];
}

void limits_report(const struct limits *limits)
{
    for (size_t i = 0; i < LIMITS_NAMES; i++) {
        uint64_t hits = atomic_load(&limits->hits[i]);

        if (hits > 0)
            log_info("limit %s: %llu hit%s", limits_names[i], (unsigned long long) hits,
                     plural(hits));
    }
}
