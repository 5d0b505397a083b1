#include "server/metrics/exposition.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define NANOSECONDS 1e9

void exposition_init(struct exposition *page, struct buffer *out)
{
    *page = (struct exposition){.out = out};
}

#define WRITE(page, ...) \
    do { \
        if ((page)->status == 0) \
            (page)->status = buffer_printf((page)->out, __VA_ARGS__); \
    } while (0)

void exposition_family(struct exposition *page, const char *name, const char *type,
                       const char *help)
{
    page->_name = name;
    WRITE(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_count(struct exposition *page, uint64_t value)
{
    WRITE(page, "%s %" PRIu64 "\n", page->_name, value);
}

void exposition_number(struct exposition *page, double value)
{
    WRITE(page, "%s %.15g\n", page->_name, value);
}

/* A backslash, a quote and a newline are escaped; anything else is UTF-8 that stays as it is. */
static void write_value(struct exposition *page, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            WRITE(page, "\\n");
        else if (*value == '\\' || *value == '"')
            WRITE(page, "\\%c", *value);
        else
            WRITE(page, "%c", *value);
    }
}

static void write_label(struct exposition *page, const char *before, const char *label,
                        const char *value)
{
    WRITE(page, "%s%s=\"", before, label);
    write_value(page, value);
    WRITE(page, "\"");
}

/* The name of a sample with up to two labels, each NULL where there is none; `le` is the second. */
static void write_name(struct exposition *page, const char *suffix, const char *label,
                       const char *label_value, const char *le)
{
    WRITE(page, "%s%s", page->_name, suffix);
    if (label != NULL)
        write_label(page, "{", label, label_value);
    if (le != NULL)
        write_label(page, label != NULL ? "," : "{", "le", le);
    if (label != NULL || le != NULL)
        WRITE(page, "}");
}

void exposition_count_of(struct exposition *page, const char *label, const char *label_value,
                         uint64_t value)
{
    write_name(page, "", label, label_value, NULL);
    WRITE(page, " %" PRIu64 "\n", value);
}

void exposition_duration(struct exposition *page, const char *label, const char *label_value,
                         const struct duration_histogram *histogram)
{
    static const char *const bounds[DURATION_BUCKETS + 1] = {
        "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
        "0.025", "0.05",   "0.1",     "0.25",   "0.5",   "1",      "2.5",   "+Inf",
    };
    uint64_t count = 0;

    for (size_t i = 0; i <= DURATION_BUCKETS; i++) {
        count += histogram->counts[i];
        write_name(page, "_bucket", label, label_value, bounds[i]);
        WRITE(page, " %" PRIu64 "\n", count);
    }
    write_name(page, "_sum", label, label_value, NULL);
    WRITE(page, " %.9g\n", (double) histogram->sum / NANOSECONDS);
    write_name(page, "_count", label, label_value, NULL);
    WRITE(page, " %" PRIu64 "\n", count);
}
