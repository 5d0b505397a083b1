/* The signals that tell wsrecv what to do: SIGINT, SIGTERM and SIGHUP end it, SIGUSR2 makes it
 * connect again. (SIGUSR1 is the monitor's.) */
#ifndef WS_CLIENT_SIGNALS_H
#define WS_CLIENT_SIGNALS_H

#include <uv.h>

enum { SIGNALS_COUNT = 4 };

struct signals;

struct signals_ops {
    /* One of those that end a program has come; may come again. */
    void (*on_end)(struct signals *signals, int signum);
    /* SIGUSR2. */
    void (*on_reconnect)(struct signals *signals);
};

struct signals {
    const struct signals_ops *_ops;
    uv_signal_t _handles[SIGNALS_COUNT];
};

/* Listens to them. Those that would end wsrecv and that it was started to ignore (nohup, jobs in
 * the background of a script) stay ignored. `ops` is borrowed for the life of the signals. */
void signals_init(struct signals *signals, uv_loop_t *loop, const struct signals_ops *ops);

/* Stops. Run the loop once more before its memory goes. */
void signals_close(struct signals *signals);

#endif
