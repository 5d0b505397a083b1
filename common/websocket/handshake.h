/* What both sides of the opening handshake compute (RFC 6455, 4). */
#ifndef WS_COMMON_WEBSOCKET_HANDSHAKE_H
#define WS_COMMON_WEBSOCKET_HANDSHAKE_H

#include <stdbool.h>

enum {
    HANDSHAKE_KEY_LEN = 24,    /* 16 bytes in base64 */
    HANDSHAKE_ACCEPT_LEN = 28, /* 20 bytes in base64 */
};

/* True for the base64 of exactly 16 bytes: 22 digits and "==", with no stray bits in the last
 * (RFC 6455, 4.1). */
bool handshake_key_valid(const char *key);

/* Writes Sec-WebSocket-Accept for a valid key: base64(SHA-1(key + GUID)) (RFC 6455, 4.2.2, 5.4). */
void handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_LEN + 1]);

#endif
