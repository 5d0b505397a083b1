#include "common/base/log_rate.h"

#include <stdio.h>
#include <string.h>

enum { PROBES = 8 }; /* entries in which a kind and address may be */

void log_rate_init(struct log_rate *rate)
{
    memset(rate, 0, sizeof *rate);
}

/* FNV-1a. A collision of two addresses only counts their lines together. */
static uint64_t hash(uint64_t value, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        value = (value ^ (unsigned char) text[i]) * 0x100000001b3;
    return value;
}

static size_t address_len(const char *address)
{
    const char *port = strstr(address, " port ");

    return port != NULL ? (size_t) (port - address) : strlen(address);
}

static bool is_over(const struct log_rate_entry *entry, uint64_t now)
{
    return now >= entry->since + LOG_RATE_TIME;
}

/* The entry of this key, or one that is free for it, or else the one that is shared. */
static struct log_rate_entry *find(struct log_rate *rate, uint64_t key, uint64_t now)
{
    struct log_rate_entry *vacant = NULL;

    for (size_t i = 0; i < PROBES; i++) {
        struct log_rate_entry *entry = &rate->_entries[(key + i) % LOG_RATE_ENTRIES];

        if (entry->key == key)
            return entry;
        if (vacant == NULL && entry->left_out == 0 && (entry->key == 0 || is_over(entry, now)))
            vacant = entry;
    }
    return vacant != NULL ? vacant : &rate->_entries[LOG_RATE_ENTRIES];
}

bool log_rate_admits(struct log_rate *rate, const char *kind, const char *address, uint64_t now)
{
    size_t len = address_len(address);
    uint64_t key = hash(hash(0xcbf29ce484222325, kind, strlen(kind) + 1), address, len) | 1;
    struct log_rate_entry *entry = find(rate, key, now);
    bool shared = entry == &rate->_entries[LOG_RATE_ENTRIES];

    if (entry->left_out == 0 && (entry->key == 0 || is_over(entry, now) || /* begin anew */
                                 (entry->key != key && !shared))) {
        *entry = (struct log_rate_entry){.key = key, .since = now};
        (void) snprintf(entry->name, sizeof entry->name, "%.*s: %s", shared ? 15 : (int) len,
                        shared ? "other addresses" : address, shared ? "various" : kind);
    }
    if (entry->lines < LOG_RATE_LINES) {
        entry->lines++;
        return true;
    }
    rate->_pending += entry->left_out == 0 ? 1 : 0;
    entry->left_out += entry->left_out < UINT32_MAX ? 1 : 0;
    return false;
}

unsigned log_rate_pending(const struct log_rate *rate)
{
    return rate->_pending;
}

uint64_t log_rate_due(const struct log_rate *rate)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; rate->_pending > 0 && i <= LOG_RATE_ENTRIES; i++) {
        const struct log_rate_entry *entry = &rate->_entries[i];

        if (entry->left_out > 0 && entry->since + LOG_RATE_TIME < due)
            due = entry->since + LOG_RATE_TIME;
    }
    return due;
}

bool log_rate_tell(struct log_rate *rate, uint64_t now, char *text, size_t size)
{
    for (size_t i = 0; rate->_pending > 0 && i <= LOG_RATE_ENTRIES; i++) {
        struct log_rate_entry *entry = &rate->_entries[i];

        if (entry->left_out == 0 || !is_over(entry, now))
            continue;
        (void) snprintf(text, size, "%s: %u more such line%s within %d s not logged", entry->name,
                        entry->left_out, entry->left_out == 1 ? "" : "s", LOG_RATE_TIME / 1000);
        *entry = (struct log_rate_entry){.key = 0};
        rate->_pending--;
        return true;
    }
    return false;
}
