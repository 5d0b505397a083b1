/* What a request may become. The bytes of a fresh connection are read as HTTP/1.1 until a request
 * is a valid opening handshake; every other request gets its answer, and the connection goes on
 * where HTTP lets it. Lives on the heap until the connection is upgraded or gone. */
#ifndef WS_UPGRADE_H
#define WS_UPGRADE_H

#include <stddef.h>
#include <stdint.h>

#include "common/transport.h"

struct upgrade;

enum upgrade_result {
    UPGRADE_MORE,    /* all bytes are used; wait for the next */
    UPGRADE_DONE,    /* 101 is written: what follows are frames */
    UPGRADE_REFUSED, /* the last answer is written; the transport finishes or is aborted */
};

/* `path` is the one that may be upgraded; borrowed. Returns 0 or UV_ENOMEM. */
int upgrade_new(struct upgrade **upgrade, const char *path);
void upgrade_free(struct upgrade *upgrade);

/* Reads requests from `len` bytes and writes the answers to the transport. `*used` says how many
 * bytes were read; the rest are frames if the result is UPGRADE_DONE. */
enum upgrade_result upgrade_input(struct upgrade *upgrade, struct transport *transport,
                                  const uint8_t *data, size_t len, size_t *used);

/* The request did not come in time: 408, and the end. */
void upgrade_timeout(struct upgrade *upgrade, struct transport *transport);

#endif
