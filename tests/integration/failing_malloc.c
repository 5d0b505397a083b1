/* A library to be preloaded (LD_PRELOAD): memory allocation fails when a test says so. The test and
 * this share a file, named by FAILING_MALLOC, with three numbers of 64 bits. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan {
    _Atomic uint64_t calls; /* so many there have been; counted here */
    _Atomic uint64_t from;  /* the first call that fails; set by the test */
    _Atomic uint64_t until; /* the first one that does not fail any more */
};

enum { EARLY_SIZE = 16 * 1024 };

static struct plan *plan;
static void *(*next_malloc)(size_t size);
static void *(*next_calloc)(size_t nmemb, size_t size);
static void *(*next_realloc)(void *ptr, size_t size);
static void (*next_free)(void *ptr);

/* What dlsym itself asks for, before it has told us whom to ask. */
static _Alignas(16) unsigned char early[EARLY_SIZE];
static size_t early_len;

static void *early_alloc(size_t size)
{
    void *room = early + early_len;

    early_len += (size + 15) / 16 * 16;
    if (early_len > sizeof early)
        _exit(70);
    return room;
}

static bool is_early(const void *room)
{
    return (const unsigned char *) room >= early &&
           (const unsigned char *) room < early + sizeof early;
}

/* POSIX's way to make a function of what dlsym returns. */
static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof found);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAILING_MALLOC");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map;

    if (fd < 0)
        return;
    map = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void) close(fd);
    if (map != MAP_FAILED)
        plan = map;
}

static bool fails(void)
{
    uint64_t call;

    if (plan == NULL)
        return false;
    call = atomic_fetch_add(&plan->calls, 1);
    if (call < atomic_load(&plan->from) || call >= atomic_load(&plan->until))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    static bool finding;

    if (next_malloc == NULL) {
        if (finding)
            return early_alloc(size);
        finding = true;
        find((void *) &next_realloc, "realloc");
        find((void *) &next_free, "free");
        find((void *) &next_calloc, "calloc");
        find((void *) &next_malloc, "malloc");
    }
    return fails() ? NULL : next_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    if (next_calloc == NULL)
        return early_alloc(nmemb * size); /* zeroed, as it is static */
    return fails() ? NULL : next_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    if (is_early(ptr) || next_realloc == NULL) {
        void *room = malloc(size);

        if (room != NULL && ptr != NULL)
            memcpy(room, ptr, size);
        return room;
    }
    return fails() ? NULL : next_realloc(ptr, size);
}

void free(void *ptr)
{
    if (ptr != NULL && !is_early(ptr))
        next_free(ptr);
}
