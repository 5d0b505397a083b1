/* How far the peer of a TCP socket has come. By itself, as the kernel's headers for it and libc's
 * for everything else cannot be included together. */
#ifndef WS_COMMON_NET_TCP_ACKED_H
#define WS_COMMON_NET_TCP_ACKED_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that the peer has acknowledged since it was connected. False when `fd` is not TCP. */
bool tcp_acked(int fd, uint64_t *bytes);

#endif
