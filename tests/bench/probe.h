/* What the server's processes and the kernel have used, from /proc. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stddef.h>
#include <stdint.h>

struct probe {
    uint64_t cpu;  /* ns, of all threads that live */
    uint64_t wait; /* ns that they were ready to run, and somebody else had the CPU */
    uint64_t user; /* ns, in steps of the kernel's tick; only its share of both means something */
    uint64_t system;
    uint64_t rss;  /* bytes */
    uint64_t anon; /* bytes of RSS that are the processes' own: RssAnon */
    uint64_t peak; /* bytes: VmHWM */
};

struct probe_kernel {
    uint64_t slab;   /* bytes */
    uint64_t socket; /* bytes of TCP's buffers */
};

/* The sum over the processes; one that is gone counts nothing. */
void probe_read(struct probe *probe, const int *pids, size_t count);

void probe_read_kernel(struct probe_kernel *kernel);

#endif
