/* A VFS of SQLite on the default one, for tests of the store: it counts the calls, fails those that
 * it is told to, and knows at any moment what the disk would hold if the power were cut.
 *
 *     a file ──[ what was there at the last sync ]──[ write ][ truncation ][ write ] … since then
 *
 * Of what came since the last sync, a cut keeps any part: each operation whole, in sectors, or not
 * at all. There is one such disk a process; functions may be called from any thread. */
#ifndef WS_TESTS_FAULTY_DISK_H
#define WS_TESTS_FAULTY_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_call {
    DISK_OPEN,
    DISK_READ,
    DISK_WRITE,
    DISK_TRUNCATE,
    DISK_SYNC,
    DISK_SIZE,
    DISK_SHM_MAP,
    DISK_SHM_LOCK,
    DISK_CALLS,
};

/* How a call fails. */
enum disk_fault {
    DISK_NO_FAULT,
    DISK_EIO,            /* nothing is done */
    DISK_EIO_DONE,       /* all is done all the same */
    DISK_EIO_FIRST_DONE, /* of the first that fails all is done, of the others nothing */
    DISK_FULL,           /* nothing is written */
    DISK_SHORT_WRITE,    /* half is written */
    DISK_BUSY,
};

/* The name of the VFS, registered at the first call. */
const char *disk_name(void);

/* From now on the `nth` call of this kind (1: the next) fails, and those behind it until there were
 * `count`. Forgets what was said before, and begins to count. */
void disk_fail(enum disk_call call, enum disk_fault fault, unsigned nth, unsigned count);

/* Calls of that kind since then; and how many of them failed. */
unsigned disk_count(void);
unsigned disk_failed(void);

/* Calls `look` before every `stride`-th call that changes a file, while all others wait; 0: no
 * more. */
void disk_cut_every(unsigned stride, void (*look)(void *context), void *context);

/* Calls `look` at once, while all calls wait. */
void disk_look(void (*look)(void *context), void *context);

/* Within `look`: writes to the directory `to` what the disk holds if the power is cut now, a
 * file for each, with the same last part of its name. `seed` chooses what is lost. */
void disk_image(const char *to, unsigned seed);

/* Forgets all files, which are closed. */
void disk_forget(void);

#endif
