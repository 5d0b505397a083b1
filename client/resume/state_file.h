/* The file of --state-file: the position in a server's log, kept for the next run. It is written
 * once a message, so it is not replaced, which takes a hundred times as long, but written over in
 * place: two records, of which the newer whole one counts, so that one is whole at any time.
 *
 *     wsrecv --state-file: two records, the newer whole one counts
 *     9f86d081884c7d65-1024                 00000000000001f3 5e0a1c77     64 bytes: ID, number of
 *     9f86d081884c7d65-1023                 00000000000001f2 b01d6e90     the record, CRC-32
 *     ws://localhost:8000/ws
 *
 * A record is one write(2) of a few bytes: a process that is killed has written it or not. Nothing
 * is forced onto the disk: after a loss of power the position may be an older one. The file is
 * locked as long as it is open, is its owner's alone (mode 0600), and has no secrets: where the
 * query of the URL has some (secret.h), they are "***", and a hash of the whole URL follows. */
#ifndef WS_CLIENT_RESUME_STATE_FILE_H
#define WS_CLIENT_RESUME_STATE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/websocket/event_id.h"

struct state_file {
    int _fd; /* -1: none */
    const char *_name;
    char *_key; /* what stands for the URL */
    dev_t _device;
    ino_t _inode;
    int64_t _checked; /* milliseconds; when the name was that of this file; 0: long ago */
    uint64_t _records;
};

/* Opens the file, or makes it; never through a symbolic link. `url`, without user name, is what its
 * position belongs to; `name` is borrowed as long as it is open. `*known` tells whether there is a
 * position, which is `*id`. Returns 0; or a negative UV_E* code with a text: it cannot be opened,
 * is used by another process, belongs to another URL, or is something else. */
int state_file_open(struct state_file *file, const char *name, const char *url, struct event_id *id,
                    bool *known, struct error *error);

/* The position is here from now on. Returns 0 or a negative UV_E* code: UV_ENOENT when the file was
 * removed and UV_EEXIST when it was replaced, so that another wsrecv may use what has its name;
 * that is seen within 5 ms. */
int state_file_store(struct state_file *file, struct event_id id);

/* Such a code in words. */
const char *state_file_strerror(int status);

/* True for a code that is no fault of the file's: the disk is full, or a quota or limit is met. */
bool state_file_is_full(int status);

/* Harmless when it is not open, if `_fd` is -1. */
void state_file_close(struct state_file *file);

#endif
