#include "server/thread/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct signals *signals = poll->data;
    struct signalfd_siginfo info;

    (void) status;
    (void) events;
    while (signals->_fd >= 0 && read(signals->_fd, &info, sizeof info) == (ssize_t) sizeof info)
        signals->_on_signal(signals->_context, (int) info.ssi_signo);
}

int signals_start(struct signals *signals, uv_loop_t *loop, const sigset_t *set,
                  void (*on_signal)(void *context, int number), void *context)
{
    int status;

    *signals = (struct signals){._fd = -1, ._on_signal = on_signal, ._context = context};
    status = pthread_sigmask(SIG_BLOCK, set, NULL);
    if (status != 0)
        return uv_translate_sys_error(status);
    signals->_fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->_fd < 0)
        return uv_translate_sys_error(errno);
    status = uv_poll_init(loop, &signals->_poll, signals->_fd);
    if (status != 0) {
        (void) close(signals->_fd);
        signals->_fd = -1;
        return status;
    }
    signals->_poll.data = signals;
    status = uv_poll_start(&signals->_poll, UV_READABLE, on_readable);
    if (status != 0)
        signals_close(signals);
    return status;
}

void signals_close(struct signals *signals)
{
    if (signals->_fd < 0)
        return;
    uv_close((uv_handle_t *) &signals->_poll, NULL); /* stops polling at once, */
    (void) close(signals->_fd);                      /* so that it may be closed */
    signals->_fd = -1;
}
