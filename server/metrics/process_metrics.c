#include "server/metrics/process_metrics.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/decimal.h"

static double seconds(uv_timeval_t time)
{
    return (double) time.tv_sec + (double) time.tv_usec / 1e6;
}

static void write_cpu(struct exposition *page)
{
    uv_rusage_t usage;

    if (uv_getrusage(&usage) != 0)
        return;
    exposition_family(page, "process_cpu_seconds_total", "counter",
                      "Total user and system CPU time spent in seconds.");
    exposition_number(page, seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

static void write_memory(struct exposition *page)
{
    size_t bytes;

    if (uv_resident_set_memory(&bytes) != 0)
        return;
    exposition_family(page, "process_resident_memory_bytes", "gauge",
                      "Resident memory size in bytes.");
    exposition_count(page, bytes);
}

static void write_open_fds(struct exposition *page)
{
    uv_fs_t request;
    int count = uv_fs_scandir(NULL, &request, "/proc/self/fd", 0, NULL);

    uv_fs_req_cleanup(&request);
    if (count <= 0)
        return;
    exposition_family(page, "process_open_fds", "gauge", "Number of open file descriptors.");
    exposition_count(page, (uint64_t) count - 1); /* without the directory's own */
}

static void write_max_fds(struct exposition *page)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    exposition_family(page, "process_max_fds", "gauge", "Maximum number of open file descriptors.");
    exposition_count(page, limit.rlim_cur);
}

/* Clock ticks from boot to the start of this process, or -1: field 22 of proc(5). The name in
 * field 2 may contain spaces and parentheses, so fields are counted from its last parenthesis. */
static double start_ticks(void)
{
    char line[1024];
    uint64_t ticks;
    FILE *file = fopen("/proc/self/stat", "re");
    size_t len;
    const char *field;

    if (file == NULL)
        return -1;
    len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    field = strrchr(line, ')');
    for (int i = 2; field != NULL && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL || decimal_read(field + 1, strlen(field + 1), &ticks) == 0)
        return -1;
    return (double) ticks;
}

/* When the system was booted, in seconds since the epoch, or -1. */
static double boot_time(void)
{
    static const char name[] = "btime ";
    char line[256];
    uint64_t time;
    double found = -1;
    FILE *file = fopen("/proc/stat", "re");

    if (file == NULL)
        return -1;
    while (found < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, sizeof name - 1) == 0 &&
            decimal_read(line + sizeof name - 1, strlen(line + sizeof name - 1), &time) > 0)
            found = (double) time;
    }
    fclose(file);
    return found;
}

static void write_start_time(struct exposition *page)
{
    double ticks = start_ticks();
    double boot = boot_time();
    long per_second = sysconf(_SC_CLK_TCK);

    if (ticks < 0 || boot < 0 || per_second <= 0)
        return;
    exposition_family(page, "process_start_time_seconds", "gauge",
                      "Start time of the process since unix epoch in seconds.");
    exposition_number(page, boot + ticks / (double) per_second);
}

void process_metrics_write(struct exposition *page)
{
    write_cpu(page);
    write_memory(page);
    write_open_fds(page);
    write_max_fds(page);
    write_start_time(page);
}
