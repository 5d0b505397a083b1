#include "common/http/secret.h"

#include <string.h>
#include <strings.h>

enum { MAX_SUBPROTOCOL = 40 }; /* characters; a longer one is taken for a credential */

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* `word` is all of the name, or its last word: behind a separator, or with a capital. */
static bool ends_with_word(const char *name, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    size_t before = len - word_len;

    if (len < word_len || strncasecmp(name + before, word, word_len) != 0)
        return false;
    return before == 0 || !is_alphanumeric(name[before - 1]) ||
           (is_upper(name[before]) && !is_upper(name[before - 1]));
}

bool secret_is_parameter(const char *name, size_t len)
{
    static const char *const words[] = {
        "token", "key",      "apikey", "sig", "signature", "auth",   "authorization",
        "jwt",   "password", "passwd", "pwd", "pass",      "secret", "credential",
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (ends_with_word(name, len, words[i]))
            return true;
    }
    return false;
}

bool secret_is_subprotocol(const char *name, size_t len)
{
    static const char bearer[] = "bearer";

    if (len > MAX_SUBPROTOCOL || (len >= 4 && strncasecmp(name, "auth", 4) == 0))
        return true;
    for (size_t at = 0; at + sizeof bearer - 1 <= len; at++) {
        if (strncasecmp(name + at, bearer, sizeof bearer - 1) == 0)
            return true;
    }
    return false;
}

/* ---- queries ---- */

struct output {
    char *text;
    size_t size;
    size_t len;
};

static void put(struct output *out, const char *text, size_t len)
{
    size_t room = out->size - 1 - out->len;

    if (len > room)
        len = room;
    memcpy(out->text + out->len, text, len);
    out->len += len;
}

static size_t span_until(const char *text, size_t len, const char *stops)
{
    size_t n = 0;

    while (n < len && text[n] != '\0' && strchr(stops, text[n]) == NULL)
        n++;
    return n;
}

const char *secret_mask(char *out, size_t size, const char *text, size_t len)
{
    static const char ends[] = "&# \t\r\n\"'<>";
    struct output masked = {.text = out, .size = size};
    size_t at = 0;

    while (at < len) {
        size_t plain = 0, name, value;

        while (at + plain < len && text[at + plain] != '?' && text[at + plain] != '&')
            plain++;
        if (at + plain < len)
            plain++; /* the separator */
        put(&masked, text + at, plain);
        at += plain;
        name = span_until(text + at, len - at, "=?&# \t\r\n\"'<>");
        if (at + name >= len || text[at + name] != '=' || !secret_is_parameter(text + at, name))
            continue; /* with the same bytes, which may hold a separator */
        put(&masked, text + at, name + 1);
        at += name + 1;
        value = span_until(text + at, len - at, ends);
        if (value > 0)
            put(&masked, "***", 3);
        at += value;
    }
    out[masked.len] = '\0';
    return out;
}
