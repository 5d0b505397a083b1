#include "tests/bench/null/null_clock.h"

#include <dlfcn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t milliseconds = 1000000;

static int ask_system(clockid_t clock, struct timespec *out)
{
    static int (*system_clock)(clockid_t, struct timespec *);

    if (system_clock == NULL)
        *(void **) &system_clock = dlsym(RTLD_NEXT, "clock_gettime");
    return system_clock(clock, out);
}

/* Stands before libc's for libuv, too. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its names are reserved
int clock_gettime(clockid_t clock, struct timespec *out)
{
    int status = ask_system(clock, out);

    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
        out->tv_sec = (time_t) (milliseconds / 1000);
        out->tv_nsec = (long) (milliseconds % 1000) * 1000000;
    }
    return status;
}

void null_clock_pass(uint64_t more)
{
    milliseconds += more;
}

static double read_clock(clockid_t clock)
{
    struct timespec now;

    (void) ask_system(clock, &now);
    return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static double nanoseconds(const struct timeval *time)
{
    return (double) time->tv_sec * 1e9 + (double) time->tv_usec * 1e3;
}

struct null_cost null_clock_spent(void)
{
    struct rusage usage;

    (void) getrusage(RUSAGE_THREAD, &usage);
    return (struct null_cost){
        .cpu = read_clock(CLOCK_THREAD_CPUTIME_ID),
        .user = nanoseconds(&usage.ru_utime),
    };
}

struct null_cost null_clock_since(struct null_cost before)
{
    struct null_cost now = null_clock_spent();

    return (struct null_cost){
        .cpu = now.cpu - before.cpu,
        .user = now.user - before.user,
    };
}

double null_clock_resident(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    long long pages = 0;

    if (statm == NULL)
        return 0;
    if (fscanf(statm, "%*d %lld", &pages) != 1) // NOLINT(cert-err34-c): the kernel wrote it
        pages = 0;
    (void) fclose(statm);
    return (double) pages * (double) sysconf(_SC_PAGESIZE);
}
