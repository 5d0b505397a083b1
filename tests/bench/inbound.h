/* Bytes from the server into deliveries: the generator's hot loop. */
#ifndef BENCH_INBOUND_H
#define BENCH_INBOUND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/bench/crowd.h"

/* Parses the whole frames (RFC 6455, 5.2) at the beginning of the bytes. Returns how many bytes
 * they have, or -1 when the connection cannot go on; the crowd's fault says why. */
ssize_t inbound_frames(struct crowd *crowd, struct client *client, const uint8_t *data, size_t len);

/* Judges a response head at the beginning of the bytes. Returns its length, 0 while not all of it
 * is there, or -1 when the server refused; the crowd's fault says what it answered. */
ssize_t inbound_head(struct crowd *crowd, struct client *client, const uint8_t *data, size_t len);

#endif
