#include "client/connect/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "client/connect/request.h"
#include "client/options/client_options.h"
#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/base/process.h"

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

enum { ENDINGS = sizeof endings / sizeof *endings };

/* A question on the terminal. OpenSSL has one of its own (UI_OpenSSL), which takes the signals only
 * after it has asked, and before it reads: a Ctrl-C between is lost, and the question stays. Here
 * signals are blocked but while it waits for the terminal, in one step with ppoll. */
struct question {
    int fd;
    sigset_t before;  /* the mask of signals before it, */
    sigset_t waiting; /* and while it waits: a stop would leave a terminal that does not echo */
    struct sigaction actions[ENDINGS];
    struct termios terminal;
};

static volatile sig_atomic_t caught; /* the signal that has ended it; 0: none */

static void on_ending(int signum)
{
    caught = signum;
}

static int from_file(const char *name, char *out, int size)
{
    struct error error;
    char *secret = NULL;
    size_t len;
    int status = request_read_secret(&secret, name, &error);

    if (status != 0)
        log_error("%s", error.text);
    if (secret == NULL)
        return -1;
    len = strlen(secret);
    if (status == 0 && len <= (size_t) size)
        memcpy(out, secret, len);
    OPENSSL_cleanse(secret, len);
    free(secret);
    return status == 0 && len <= (size_t) size ? (int) len : -1;
}

/* ---- on the terminal ---- */

static void take_signals(struct question *question)
{
    struct sigaction action = {.sa_handler = on_ending};
    sigset_t blocked;

    (void) sigemptyset(&action.sa_mask);
    (void) sigemptyset(&blocked);
    (void) sigaddset(&blocked, SIGTSTP);
    for (size_t i = 0; i < ENDINGS; i++)
        (void) sigaddset(&blocked, endings[i]);
    (void) pthread_sigmask(SIG_BLOCK, &blocked, &question->before);
    question->waiting = question->before;
    (void) sigaddset(&question->waiting, SIGTSTP);
    for (size_t i = 0; i < ENDINGS; i++)
        (void) sigaction(endings[i], process_ignores(endings[i]) ? NULL : &action,
                         &question->actions[i]);
    caught = 0;
}

static void give_signals_back(const struct question *question)
{
    for (size_t i = 0; i < ENDINGS; i++)
        (void) sigaction(endings[i], &question->actions[i], NULL);
    (void) pthread_sigmask(SIG_SETMASK, &question->before, NULL);
}

static bool stop_echo(struct question *question)
{
    struct termios silent;

    if (tcgetattr(question->fd, &question->terminal) != 0)
        return false;
    silent = question->terminal;
    silent.c_lflag &= ~(tcflag_t) ECHO;
    return tcsetattr(question->fd, TCSANOW, &silent) == 0;
}

static void show(const struct question *question, const char *text)
{
    ssize_t written = write(question->fd, text, strlen(text));

    (void) written; /* who does not see the question ends it */
}

/* True when there is something to read; false when a signal has ended the question. */
static bool wait_for_line(const struct question *question)
{
    struct pollfd terminal = {.fd = question->fd, .events = POLLIN};

    while (caught == 0 && ppoll(&terminal, 1, NULL, &question->waiting) < 0) {
        if (errno != EINTR)
            return false;
    }
    return caught == 0;
}

/* Reads a line, which has room for fewer than `size` bytes. Returns its length, without its end; or
 * -1: it is longer, the terminal is gone, or a signal has ended the question. */
static int read_line(const struct question *question, char *out, int size)
{
    int len = 0;

    while (len < size && wait_for_line(question)) {
        ssize_t n = read(question->fd, out + len, (size_t) (size - len));

        if (n <= 0)
            return n == 0 && len > 0 ? len : -1; /* Ctrl-D */
        len += (int) n;
        if (out[len - 1] == '\n')
            return len - 1;
    }
    (void) tcflush(question->fd, TCIFLUSH);
    return -1;
}

static int ask(int fd, const char *file, char *out, int size)
{
    struct question question = {.fd = fd};
    char shown[128], prompt[192];
    int len = -1;

    (void) snprintf(prompt, sizeof prompt,
                    "Passphrase of %s: ", escape_text(shown, sizeof shown, file, strlen(file)));
    take_signals(&question);
    if (stop_echo(&question)) {
        show(&question, prompt);
        len = read_line(&question, out, size);
        show(&question, "\n");
        (void) tcsetattr(fd, TCSANOW, &question.terminal);
    }
    if (len < 0)
        OPENSSL_cleanse(out, (size_t) size);
    give_signals_back(&question);
    return len;
}

/* In the background, reading would stop the process. */
static int from_terminal(const char *file, char *out, int size)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    int len = fd >= 0 && tcgetpgrp(fd) == getpgrp() ? ask(fd, file, out, size) : -1;

    if (fd >= 0)
        (void) close(fd);
    if (caught != 0)
        process_die_of(caught);
    return len;
}

int passphrase_get(void *options, const char *file, char *out, int size)
{
    const struct client_options *given = options;

    return given->key_pass_file != NULL ? from_file(given->key_pass_file, out, size)
                                        : from_terminal(file, out, size);
}
