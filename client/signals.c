#include "client/signals.h"

#include <signal.h>

#include "common/base/process.h"

static void on_end(uv_signal_t *handle, int signum)
{
    struct signals *signals = handle->data;

    signals->_ops->on_end(signals, signum);
}

static void on_reconnect(uv_signal_t *handle, int signum)
{
    struct signals *signals = handle->data;

    (void) signum;
    signals->_ops->on_reconnect(signals);
}

void signals_init(struct signals *signals, uv_loop_t *loop, const struct signals_ops *ops)
{
    static const struct {
        int signum;
        bool ends;
    } known[SIGNALS_COUNT] = {{SIGINT, true}, {SIGTERM, true}, {SIGHUP, true}, {SIGUSR2, false}};

    signals->_ops = ops;
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        uv_signal_t *handle = &signals->_handles[i];

        (void) uv_signal_init(loop, handle); /* neither can fail */
        handle->data = signals;
        if (!known[i].ends || !process_ignores(known[i].signum))
            (void) uv_signal_start(handle, known[i].ends ? on_end : on_reconnect, known[i].signum);
    }
}

void signals_close(struct signals *signals)
{
    for (size_t i = 0; i < SIGNALS_COUNT; i++)
        uv_close((uv_handle_t *) &signals->_handles[i], NULL);
}
