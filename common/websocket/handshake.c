#include "common/websocket/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

bool handshake_key_valid(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(key) == HANDSHAKE_KEY_LEN && strspn(key, digits) == HANDSHAKE_KEY_LEN - 2 &&
           strcmp(key + HANDSHAKE_KEY_LEN - 2, "==") == 0 &&
           strchr("AQgw", key[HANDSHAKE_KEY_LEN - 3]) != NULL;
}

void handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[HANDSHAKE_KEY_LEN + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH];

    memcpy(text, key, HANDSHAKE_KEY_LEN);
    memcpy(text + HANDSHAKE_KEY_LEN, guid, sizeof guid);
    SHA1((const unsigned char *) text, sizeof text - 1, digest);
    EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
}
