#define PCRE2_CODE_UNIT_WIDTH 8

#include "client/output/until.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "common/base/log.h"

enum {
    TURN_TIME = 100 * 1000 * 1000, /* nanoseconds of CPU time for all messages of a turn, */
    LEAST_TIME = 20 * 1000,        /* and for each message when they are used up; */
    BYTE_TIME = 100,               /* more of them for each byte */
    FREE_STEPS = 500,              /* that any message may take */
    STRIDE = 64,                   /* steps between two looks at the clock, but for */
    LONG_MESSAGE = 64 * 1024,      /* messages of more bytes: there each may take long */
    LOOK_INTERVAL = 20 * 1000, /* nanoseconds between two looks at the CPU's, which takes longer */
    MAX_HEAP = 32 * 1024,      /* KiB that one match may take */
};

struct until {
    pcre2_code *code;
    pcre2_match_context *context;
    pcre2_match_data *data;
    uint64_t turn;        /* of the last message */
    uint64_t turn_end;    /* by the thread's CPU clock; 0: no message of it has been costly */
    uint64_t message_end; /* the same, for the message that is matched */
    uint64_t next_look;   /* by uv_hrtime */
    size_t len;           /* of that message */
    unsigned steps;
    bool warned;
};

/* ---- compiling ---- */

/* Behind a bracket expression, whose beginning is at `text`. */
static const char *skip_brackets(const char *text)
{
    text += text[1] == '^' ? 2 : 1;
    if (*text == ']')
        text++;
    while (*text != '\0' && *text != ']') {
        if (text[0] == '[' && text[1] == ':' && strstr(text + 2, ":]") != NULL)
            text = strstr(text + 2, ":]") + 2;
        else
            text += text[0] == '\\' && text[1] != '\0' ? 2 : 1;
    }
    return *text == ']' ? text + 1 : text;
}

/* What means something else to GNU's regcomp(3) and would match other messages here, in silence;
 * NULL when there is no such thing. */
static const char *find_dialect(const char *expression)
{
    const char *c = expression;

    while (*c != '\0') {
        if (c[0] == '\\' && c[1] != '\0') {
            if (strchr("<>`'", c[1]) != NULL)
                return "write \\b for a word boundary, \\A and \\z for the ends of the message";
            c += 2;
        } else if (*c == '[') {
            c = skip_brackets(c);
        } else if (c[0] == '{' && c[1] == ',' && c[2] >= '0' && c[2] <= '9') {
            return "write {0,N} for {,N}";
        } else {
            c++;
        }
    }
    return NULL;
}

/* Time in which others have the CPU does not count: it costs no match. */
static uint64_t cpu_time(void)
{
    struct timespec time = {0};

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

static int look_at_the_clock(struct until *until)
{
    uint64_t now = uv_hrtime();

    if (now < until->next_look)
        return 0;
    until->next_look = now + LOOK_INTERVAL;
    now = cpu_time();
    if (until->turn_end == 0)
        until->turn_end = now + TURN_TIME;
    if (now < until->turn_end)
        return 0;
    if (until->message_end == 0)
        until->message_end = now + LEAST_TIME + BYTE_TIME * (uint64_t) until->len;
    return now < until->message_end ? 0 : PCRE2_ERROR_CALLOUT;
}

/* Called at each item of the expression that is tried: time is up for what is too costly. */
static int on_callout(pcre2_callout_block *block, void *data)
{
    struct until *until = data;

    (void) block;
    until->steps++;
    if (until->len <= LONG_MESSAGE && (until->steps < FREE_STEPS || until->steps % STRIDE != 0))
        return 0;
    return look_at_the_clock(until);
}

/* As POSIX has it, '.' matches any character and '$' the end of the message alone. */
static int compile(struct until *until, const char *expression, struct error *error)
{
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C;
    const char *dialect = find_dialect(expression);
    PCRE2_UCHAR why[160];
    PCRE2_SIZE at;
    int code;

    if (dialect != NULL)
        return error_set(error, UV_EINVAL, "'%s' has what is no Perl-compatible expression: %s",
                         expression, dialect);
    until->code =
        pcre2_compile((PCRE2_SPTR) expression, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
    if (until->code != NULL)
        return 0;
    (void) pcre2_get_error_message(code, why, sizeof why / sizeof *why);
    return error_set(error, UV_EINVAL, "'%s' is no regular expression: %s, at byte %zu", expression,
                     (const char *) why, at + 1);
}

int until_new(struct until **until, const char *expression, struct error *error)
{
    struct until *fresh = calloc(1, sizeof *fresh);
    int status = UV_ENOMEM;

    if (fresh == NULL)
        return error_set(error, status, "out of memory");
    status = compile(fresh, expression, error);
    if (status != 0)
        goto fail;
    fresh->context = pcre2_match_context_create(NULL);
    fresh->data = pcre2_match_data_create(1, NULL);
    if (fresh->context == NULL || fresh->data == NULL) {
        status = error_set(error, UV_ENOMEM, "out of memory");
        goto fail;
    }
    (void) pcre2_set_callout(fresh->context, on_callout, fresh);
    (void) pcre2_set_heap_limit(fresh->context, MAX_HEAP);
    *until = fresh;
    return 0;

fail:
    until_free(fresh);
    return status;
}

void until_free(struct until *until)
{
    if (until == NULL)
        return;
    pcre2_match_data_free(until->data);
    pcre2_match_context_free(until->context);
    pcre2_code_free(until->code);
    free(until);
}

/* ---- matching ---- */

static void begin(struct until *until, uint64_t turn, size_t len)
{
    if (turn != until->turn)
        until->turn_end = 0;
    until->turn = turn;
    until->message_end = 0;
    until->len = len;
    until->steps = 0;
}

static void warn(struct until *until, size_t len)
{
    if (!until->warned)
        log_warn("option '--until': a message of %zu bytes takes the expression too much time or "
                 "memory, and counts as not matched, as will others; make it simpler",
                 len);
    until->warned = true;
}

bool until_matches(struct until *until, const struct message *message, uint64_t turn)
{
    const char *text = message->data != NULL ? (const char *) message->data : "";
    int result;

    if (message->opcode != FRAME_TEXT)
        return false;
    begin(until, turn, message->len);
    result = pcre2_match(until->code, (PCRE2_SPTR) text, message->len, 0, PCRE2_NO_UTF_CHECK,
                         until->data, until->context);
    if (result < 0 && result != PCRE2_ERROR_NOMATCH)
        warn(until, message->len);
    return result >= 0;
}
