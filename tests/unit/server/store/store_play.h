/* Plays a store: batches of messages that can be told apart go in, the results are kept, and what
 * is in the file afterwards is held against them. What is wrong ends the process, as it may be
 * found on any thread. */
#ifndef WS_TESTS_STORE_PLAY_H
#define WS_TESTS_STORE_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/store/store.h"

enum { PLAY_BATCHES = 512, PLAY_PATH = 128 };

struct play_batch {
    struct store_batch batch;
    struct play *play;
    bool is_done;
};

struct play {
    char folder[PLAY_PATH], path[PLAY_PATH];
    struct store *store;
    struct store_channel *channel;
    uint64_t epoch;
    size_t count;  /* batches that were submitted, */
    size_t done;   /* and those that were told */
    size_t misses; /* those with another result than STORE_COMMITTED */
    struct play_batch batches[PLAY_BATCHES];
};

#define PLAY_MUST(what) play_must((what), #what, __FILE__, __LINE__)
void play_must(bool is_so, const char *what, const char *file, int line);

/* Makes a directory for it, and removes it with all that is in it. */
void play_init(struct play *play);
void play_deinit(struct play *play);

/* Opens the store with this configuration but for its path. Returns what store_open does. */
int play_open(struct play *play, struct store_config config);
void play_close(struct play *play);

/* Submits `count` messages of `size` bytes (32 or more) in a batch; waits for all that there are.
 */
void play_submit(struct play *play, size_t count, size_t size, bool waits);
void play_wait(struct play *play);

/* Opens the file, which is no longer or not yet in use, and compares: everything that was committed
 * is there once, in order, with the number that was told; nothing is there of which it was told
 * that it is not written; a new message gets a number of its own. With `may_renew`, the epoch may
 * be another one instead. Returns how many messages there are. */
uint64_t play_verify(struct play *play, const char *path, bool may_renew);

/* Removes all files in a directory. */
void play_empty(const char *folder);

/* A folder for what a disk holds after a cut: made and removed around all tests of a program. */
extern char play_image[PLAY_PATH];
int play_make_image(void **state);
int play_remove_image(void **state);

#endif
