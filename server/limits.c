#include "server/limits.h"

#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/plural.h"

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
    "max-messages-per-second",
    "max-bytes-per-second",
    "max-control-per-second",
    "max-lag",
    "max-memory",
    "max-channels",
    "min-read-rate",
};

enum { KEY_LEN = 9 }; /* family, and 8 bytes of the address */

struct limits_address {
    unsigned char key[KEY_LEN];
    uint64_t connections;
};

struct limits_rate {
    uint64_t second;
    uint64_t messages;
    uint64_t bytes;
    uint64_t controls;
};

int limits_init(struct limits *limits, const struct server_options *options)
{
    for (size_t i = 0; i < LIMITS_NAMES; i++)
        atomic_init(&limits->hits[i], 0);
    limits->options = options;
    limits->_connections = 0;
    limits->_addresses = NULL;
    return uv_mutex_init(&limits->_lock);
}

void limits_deinit(struct limits *limits)
{
    uv_mutex_destroy(&limits->_lock);
}

/* ---- who is connected ---- */

/* All IPv4 addresses differ; IPv6 addresses do by their /64 network, which one customer has. */
static void make_key(const struct sockaddr *address, unsigned char key[KEY_LEN])
{
    memset(key, 0, KEY_LEN);
    key[0] = (unsigned char) address->sa_family;
    if (address->sa_family == AF_INET)
        memcpy(key + 1, &((const struct sockaddr_in *) (const void *) address)->sin_addr, 4);
    else if (address->sa_family == AF_INET6)
        memcpy(key + 1, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, 8);
}

static int compare(const void *left, const void *right)
{
    return memcmp(((const struct limits_address *) left)->key,
                  ((const struct limits_address *) right)->key, KEY_LEN);
}

/* The entry of this address, made if there is none. NULL when out of memory. */
static struct limits_address *find_address(struct limits *limits, const struct sockaddr *address)
{
    struct limits_address *fresh = calloc(1, sizeof *fresh);
    struct limits_address **found;

    if (fresh == NULL)
        return NULL;
    make_key(address, fresh->key);
    found = (struct limits_address **) tsearch(fresh, &limits->_addresses, compare);
    if (found == NULL || *found != fresh)
        free(fresh);
    return found != NULL ? *found : NULL;
}

static void forget_if_unused(struct limits *limits, struct limits_address *entry)
{
    if (entry->connections > 0)
        return;
    (void) tdelete(entry, &limits->_addresses, compare);
    free(entry);
}

/* With the lock held. */
static const char *arrive_address(struct limits *limits, const struct sockaddr *address,
                                  struct limits_address **entry)
{
    uint64_t most = limits->options->max_connections_per_address;
    struct limits_address *found;

    *entry = NULL;
    if (most == 0 || address->sa_family == AF_UNIX) /* who comes by a Unix socket has none */
        return NULL;
    found = find_address(limits, address);
    if (found == NULL)
        return NULL; /* without memory there are other worries */
    if (found->connections >= most) {
        forget_if_unused(limits, found);
        return "max-connections-per-address";
    }
    found->connections++;
    *entry = found;
    return NULL;
}

bool limits_count_addresses(const struct limits *limits)
{
    return limits->options->max_connections_per_address > 0;
}

const char *limits_arrive(struct limits *limits, const struct sockaddr *address,
                          struct limits_address **entry)
{
    uint64_t most = limits->options->max_connections;
    const char *limit;

    uv_mutex_lock(&limits->_lock);
    if (most > 0 && limits->_connections >= most)
        limit = "max-connections";
    else
        limit = arrive_address(limits, address, entry);
    if (limit == NULL)
        limits->_connections++;
    uv_mutex_unlock(&limits->_lock);
    return limit;
}

void limits_depart(struct limits *limits, struct limits_address *entry)
{
    uv_mutex_lock(&limits->_lock);
    limits->_connections--;
    if (entry != NULL) {
        entry->connections--;
        forget_if_unused(limits, entry);
    }
    uv_mutex_unlock(&limits->_lock);
}

/* ---- counting ---- */

void limits_hit(struct limits *limits, const char *limit, const char *who, const char *done)
{
    for (size_t i = 0; i < LIMITS_NAMES; i++) {
        if (strcmp(limits_names[i], limit) == 0)
            atomic_fetch_add(&limits->hits[i], 1);
    }
    log_info("%s: limit %s: %s", who, limit, done);
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

/* ---- rates ---- */

/* The client's counts for this second. NULL when out of memory: then nothing is counted. */
static struct limits_rate *this_second(struct limits_rate **rate, uint64_t now)
{
    uint64_t second = now / 1000;

    if (*rate == NULL)
        *rate = calloc(1, sizeof **rate);
    if (*rate != NULL && (*rate)->second != second)
        **rate = (struct limits_rate){.second = second};
    return *rate;
}

static bool exceeds(uint64_t done, uint64_t most)
{
    return most > 0 && done > most;
}

const char *limits_judge_message(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now, size_t len)
{
    const struct server_options *options = limits->options;
    struct limits_rate *done;

    if (options->max_messages_per_second == 0 && options->max_bytes_per_second == 0)
        return NULL;
    done = this_second(rate, now);
    if (done == NULL)
        return NULL;
    done->messages++;
    done->bytes += len;
    if (exceeds(done->messages, options->max_messages_per_second))
        return "max-messages-per-second";
    if (exceeds(done->bytes, options->max_bytes_per_second))
        return "max-bytes-per-second";
    return NULL;
}

const char *limits_judge_control(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now)
{
    struct limits_rate *done;

    if (limits->options->max_control_per_second == 0)
        return NULL;
    done = this_second(rate, now);
    if (done == NULL)
        return NULL;
    done->controls++;
    return exceeds(done->controls, limits->options->max_control_per_second)
               ? "max-control-per-second"
               : NULL;
}
