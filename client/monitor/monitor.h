/* Seeing what goes on, without touching it: numbers (--stats, SIGUSR1), a trace (-v), and on a
 * terminal a line on stderr that tells the state and is gone when anything else is written. */
#ifndef WS_CLIENT_MONITOR_MONITOR_H
#define WS_CLIENT_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/monitor/stats.h"
#include "client/options/client_options.h"
#include "common/base/buffer.h"
#include "common/websocket/frame.h"

struct monitor {
    void (*_push)(void *owner);
    void *_owner;
    const struct client_options *_options;
    struct stats _stats;
    const struct string_list *_hidden; /* fields of -H */
    struct buffer _head;               /* of the server's answer, with -v */
    uv_signal_t _sigusr1;
    uv_timer_t _tick; /* only with a status line */
    bool _has_line;   /* there is a terminal that can show it, and no input is typed there */
    bool _drawn;
    char _state[200];
};

/* `push` gets what has been printed before out of `owner`'s hands: it runs before each line of
 * stderr, the log's too, so that none overtakes a message. `options` and `owner` are borrowed for
 * the life of the monitor. */
void monitor_init(struct monitor *monitor, uv_loop_t *loop, const struct client_options *options,
                  void (*push)(void *owner), void *owner);

/* The fields whose values are not shown ("NAME: VALUE", borrowed for the life of the monitor), in
 * place of those that -H had at the start. */
void monitor_hide(struct monitor *monitor, const struct string_list *fields);

/* The end: the terminal is as it was found; with --stats, says the numbers. */
void monitor_finish(struct monitor *monitor);

/* The same, and stops. Run the loop once more afterwards. */
void monitor_close(struct monitor *monitor);

/* Says a line on stderr that is no log line: without the program's name. */
void monitor_say(struct monitor *monitor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What is going on, for the status line. */
void monitor_state(struct monitor *monitor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the status line off the terminal; it comes back by itself. Before anything is written. */
void monitor_clear(struct monitor *monitor);

/* A connection is open. */
void monitor_connected(struct monitor *monitor);

/* Messages were lost. */
void monitor_gap(struct monitor *monitor);

/* Heads of the opening handshake: ours; and the server's, in pieces, of which `last` is the end. */
void monitor_request(struct monitor *monitor, const uint8_t *head, size_t len);
void monitor_response(struct monitor *monitor, const uint8_t *piece, size_t len, bool last);

/* Bytes of frames have come. */
void monitor_bytes(struct monitor *monitor, size_t len);

/* A message or a control frame has come, or goes out (`own`). */
void monitor_frame(struct monitor *monitor, bool own, enum frame_opcode opcode, size_t len);

#endif
