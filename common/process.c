#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum { SPARE_FILES = 8 };

void process_prepare(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        /* open() takes the lowest number that is free, which is this one. */
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort();
    }
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);
}

int process_check_files(void)
{
    int files[SPARE_FILES];
    int count = 0, status = 0;

    while (status == 0 && count < SPARE_FILES) {
        files[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (files[count] < 0)
            status = uv_translate_sys_error(errno);
        else
            count++;
    }
    while (count > 0)
        (void) close(files[--count]);
    return status;
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
