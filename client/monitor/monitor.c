#include "client/monitor/monitor.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/monitor/trace.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/plural.h"

enum { TICK = 500 }; /* milliseconds between two looks of the status line */

/* ---- the status line ---- */

static void put(const char *text, size_t len)
{
    /* A failure of the terminal cannot be reported. */
    if (write(STDERR_FILENO, text, len) < 0)
        return;
}

void monitor_clear(struct monitor *monitor)
{
    static const char erase[] = "\r\033[K";

    if (monitor->_drawn)
        put(erase, sizeof erase - 1);
    monitor->_drawn = false;
}

/* Before anything is written to stderr. */
static void make_way(void *owner)
{
    struct monitor *monitor = owner;

    monitor_clear(monitor);
    monitor->_push(monitor->_owner);
}

void monitor_say(struct monitor *monitor, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (len < 0)
        return;
    if ((size_t) len > sizeof line - 2)
        len = (int) sizeof line - 2;
    line[len++] = '\n';
    make_way(monitor);
    put(line, (size_t) len);
}

static size_t columns(void)
{
    struct winsize size = {.ws_col = 0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : 79;
}

static void draw(struct monitor *monitor)
{
    const struct stats *stats = &monitor->_stats;
    size_t width = columns();
    char line[sizeof monitor->_state + 80];
    int len = snprintf(line, sizeof line, "%s: %" PRIu64 " message%s, %.1f/s", monitor->_state,
                       stats->messages, plural(stats->messages), stats_rate(stats, uv_hrtime()));

    make_way(monitor);
    if (len > 0)
        put(line, (size_t) len < width ? (size_t) len : width);
    monitor->_drawn = true;
}

static void on_tick(uv_timer_t *timer)
{
    draw(container_of(timer, struct monitor, _tick));
}

void monitor_state(struct monitor *monitor, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(monitor->_state, sizeof monitor->_state, format, arguments);
    va_end(arguments);
    if (monitor->_drawn)
        draw(monitor); /* it does not go on to say what is over */
}

/* ---- numbers ---- */

static void report(struct monitor *monitor)
{
    char line[400];

    log_info("%s", stats_write(&monitor->_stats, uv_hrtime(), line, sizeof line));
}

static void on_sigusr1(uv_signal_t *handle, int number)
{
    (void) number;
    report(container_of(handle, struct monitor, _sigusr1));
}

void monitor_connected(struct monitor *monitor)
{
    stats_connected(&monitor->_stats);
}

void monitor_gap(struct monitor *monitor)
{
    stats_gap(&monitor->_stats);
}

void monitor_bytes(struct monitor *monitor, size_t len)
{
    stats_wire(&monitor->_stats, len);
}

void monitor_frame(struct monitor *monitor, bool own, enum frame_opcode opcode, size_t len)
{
    bool is_message = opcode == FRAME_TEXT || opcode == FRAME_BINARY;

    if (is_message && !own)
        stats_message(&monitor->_stats, len);
    else if (opcode == FRAME_PING && own)
        stats_ping(&monitor->_stats, uv_hrtime());
    else if (opcode == FRAME_PONG && !own)
        stats_pong(&monitor->_stats, uv_hrtime());
    monitor_clear(monitor); /* a message is about to be printed */
    if (monitor->_options->verbose)
        trace_frame(own, opcode, len);
}

/* ---- handshakes ---- */

void monitor_request(struct monitor *monitor, const uint8_t *head, size_t len)
{
    monitor->_head.len = 0; /* of a response that was cut short */
    if (monitor->_options->verbose)
        trace_head(true, head, len, monitor->_hidden);
}

void monitor_response(struct monitor *monitor, const uint8_t *piece, size_t len, bool last)
{
    if (!monitor->_options->verbose || buffer_append(&monitor->_head, piece, len) != 0 || !last)
        return;
    trace_head(false, monitor->_head.data, monitor->_head.len, monitor->_hidden);
    monitor->_head.len = 0;
}

/* ---- life ---- */

/* One that can take a line back. */
static bool is_capable_terminal(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) == 1 && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

/* A terminal where no input is typed, messages end their lines, and no command writes. */
static bool has_line(const struct client_options *options)
{
    bool typed = options->send && isatty(STDIN_FILENO) == 1;
    bool open_ended = (options->format != NULL || options->null) && isatty(STDOUT_FILENO) == 1;

    return is_capable_terminal(STDERR_FILENO) && !options->quiet && !options->verbose && !typed &&
           !open_ended && options->command == NULL;
}

void monitor_init(struct monitor *monitor, uv_loop_t *loop, const struct client_options *options,
                  void (*push)(void *owner), void *owner)
{
    *monitor = (struct monitor){
        ._options = options, ._hidden = &options->fields.lines, ._push = push, ._owner = owner};
    stats_init(&monitor->_stats, uv_hrtime());
    monitor->_has_line = has_line(options);
    (void) uv_signal_init(loop, &monitor->_sigusr1); /* neither can fail */
    (void) uv_signal_start(&monitor->_sigusr1, on_sigusr1, SIGUSR1);
    (void) uv_timer_init(loop, &monitor->_tick);
    log_set_before(make_way, monitor);
    if (monitor->_has_line)
        (void) uv_timer_start(&monitor->_tick, on_tick, TICK, TICK);
}

void monitor_hide(struct monitor *monitor, const struct string_list *fields)
{
    monitor->_hidden = fields;
}

void monitor_finish(struct monitor *monitor)
{
    monitor_clear(monitor);
    if (monitor->_options->stats)
        report(monitor);
}

void monitor_close(struct monitor *monitor)
{
    monitor_finish(monitor);
    log_set_before(NULL, NULL);
    buffer_deinit(&monitor->_head);
    uv_close((uv_handle_t *) &monitor->_sigusr1, NULL);
    uv_close((uv_handle_t *) &monitor->_tick, NULL);
}
