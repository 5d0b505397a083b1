/* One connection of the generator: socket, TLS, opening handshake, reading and writing. Used by
 * crowd.c alone. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdint.h>

#include "tests/bench/crowd.h"

enum { CLIENT_READ = 128 * 1024 }; /* bytes of one read */

/* Creates the socket and begins to connect. Returns 0, or a UV_E* code with a text. */
int client_connect(struct crowd *crowd, struct client *client, struct error *error);

/* Does what epoll's events allow. */
void client_on_events(struct crowd *crowd, struct client *client, uint32_t events);

/* Writes what is queued, as far as the socket takes it. */
void client_flush(struct crowd *crowd, struct client *client);

/* Frees what the connection holds and closes its socket; nobody is told. */
void client_close(struct crowd *crowd, struct client *client);

#endif
