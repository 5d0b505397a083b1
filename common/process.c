#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SIGNAL_STATUS = 128 };

void process_prepare(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        /* open() takes the lowest number that is free, which is this one. */
        int wrong_way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", wrong_way) != fd)
            abort();
    }
    (void) signal(SIGPIPE, SIG_IGN);
}

bool process_ignores(int signum)
{
    struct sigaction action;

    return sigaction(signum, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

_Noreturn void process_die_of(int signum)
{
    sigset_t only;

    (void) signal(signum, SIG_DFL);
    (void) sigemptyset(&only);
    (void) sigaddset(&only, signum);
    (void) sigprocmask(SIG_UNBLOCK, &only, NULL);
    (void) raise(signum);
    _exit(SIGNAL_STATUS + signum);
}

void process_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &limit); /* else it stays as it was */
}

unsigned long long process_max_files(void)
{
    struct rlimit limit = {0};

    (void) getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}
