#include "tests/bench/probe.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a small file; an empty text when there is none. */
static void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t len = 0;

    if (file != NULL) {
        len = fread(text, 1, size - 1, file);
        (void) fclose(file);
    }
    text[len] = '\0';
}

/* The number behind a name in a file of such lines; 0 when it has none. */
static uint64_t number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* The threads' time on a CPU and waiting for one, to the nanosecond. */
static void add_threads(struct probe *probe, int pid)
{
    char path[300], text[128], *at;
    const struct dirent *entry;
    DIR *tasks;

    (void) snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return;
    /* cppcheck-suppress readdirCalled ; the stream is this function's own */
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void) snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        read_file(path, text, sizeof text);
        probe->cpu += strtoull(text, &at, 10);
        probe->wait += strtoull(at, NULL, 10);
    }
    (void) closedir(tasks);
}

/* Fields 14 and 15 of /proc/PID/stat; field 2, the name, may hold spaces and parentheses. */
static void add_ticks(struct probe *probe, int pid)
{
    char path[64], text[1024], *at;
    uint64_t tick = 1000000000 / (uint64_t) sysconf(_SC_CLK_TCK);

    (void) snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_file(path, text, sizeof text);
    at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return;
    probe->user += tick * strtoull(at, &at, 10);
    probe->system += tick * strtoull(at, NULL, 10);
}

void probe_read(struct probe *probe, const int *pids, size_t count)
{
    char path[64], text[4096];

    *probe = (struct probe){0};
    for (size_t i = 0; i < count; i++) {
        add_threads(probe, pids[i]);
        add_ticks(probe, pids[i]);
        (void) snprintf(path, sizeof path, "/proc/%d/status", pids[i]);
        read_file(path, text, sizeof text);
        probe->rss += 1024 * number_behind(text, "VmRSS:");
        probe->anon += 1024 * number_behind(text, "RssAnon:");
        probe->peak += 1024 * number_behind(text, "VmHWM:");
    }
    if (probe->cpu == 0) /* a kernel without schedstat */
        probe->cpu = probe->user + probe->system;
}

void probe_read_kernel(struct probe_kernel *kernel)
{
    char text[4096];
    const char *tcp;

    read_file("/proc/meminfo", text, sizeof text);
    kernel->slab = 1024 * number_behind(text, "Slab:");
    read_file("/proc/net/sockstat", text, sizeof text);
    tcp = strstr(text, "TCP:");
    kernel->socket =
        tcp != NULL ? (uint64_t) sysconf(_SC_PAGESIZE) * number_behind(tcp, "mem ") : 0;
}
