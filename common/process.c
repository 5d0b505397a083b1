#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

void process_prepare(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        /* open() takes the lowest number that is free, which is this one. */
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort();
    }
    (void) signal(SIGPIPE, SIG_IGN);
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
