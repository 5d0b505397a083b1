/* A WebSocket server that sends as fast as a core can, to one client at a time: GET /SIZE/COUNT is
 * answered with COUNT text frames of SIZE bytes, and a Close. The frames are made before; sending
 * is all it does. Prints its port, and serves until it is killed. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of frames in a write, about; of a request's head; of a key. */
enum { BATCH = 512 * 1024, HEAD_MAX = 8192, KEY = 24 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* False when the client is gone. */
static bool send_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t) n;
    }
    return true;
}

static bool accept_upgrade(int fd, unsigned long *size, unsigned long *count)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    static const char name[] = "\r\nSec-WebSocket-Key: ";
    char head[HEAD_MAX + 1] = "", key[128] = "", accept[64], reply[256];
    unsigned char digest[SHA_DIGEST_LENGTH];
    size_t len = 0;
    const char *found;
    char *rest;

    while (strstr(head, "\r\n\r\n") == NULL) {
        ssize_t n = len < HEAD_MAX ? recv(fd, head + len, HEAD_MAX - len, 0) : 0;

        if (n <= 0)
            return false;
        len += (size_t) n;
        head[len] = '\0';
    }
    found = strcasestr(head, name);
    if (found == NULL || strncmp(head, "GET /", 5) != 0)
        return false;
    *size = strtoul(head + 5, &rest, 10);
    *count = *rest == '/' ? strtoul(rest + 1, NULL, 10) : 0;
    found += sizeof name - 1;
    memcpy(key, found, strnlen(found, KEY));
    strncat(key, guid, sizeof key - strlen(key) - 1);
    (void) SHA1((const unsigned char *) key, strlen(key), digest);
    (void) EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
    (void) snprintf(reply, sizeof reply,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                    accept);
    return send_all(fd, reply, strlen(reply));
}

/* One text frame of `size` printable bytes. Returns its length. */
static size_t make_frame(unsigned char *out, size_t size)
{
    size_t at = 0;

    out[at++] = 0x81;
    if (size < 126) {
        out[at++] = (unsigned char) size;
    } else if (size < 65536) {
        out[at++] = 126;
        out[at++] = (unsigned char) (size >> 8);
        out[at++] = (unsigned char) size;
    } else {
        out[at++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (unsigned char) ((uint64_t) size >> shift);
    }
    for (size_t i = 0; i < size; i++)
        out[at++] = (unsigned char) ('!' + i % 90);
    return at;
}

static void serve(int fd)
{
    static const unsigned char close_frame[] = {0x88, 2, 3, 232};
    unsigned long size, count;
    unsigned char *frames;
    size_t frame, batch;
    char rest[256];
    bool alive = accept_upgrade(fd, &size, &count);

    if (!alive || size > (1UL << 30))
        return;
    frames = malloc(BATCH + 2 * (size + 10));
    if (frames == NULL)
        die("malloc");
    frame = make_frame(frames, size);
    batch = BATCH / frame + 1;
    for (size_t i = 1; i < batch; i++)
        memcpy(frames + i * frame, frames, frame);
    for (; alive && count > 0; count -= count < batch ? count : batch)
        alive = send_all(fd, frames, (count < batch ? count : batch) * frame);
    if (alive && send_all(fd, close_frame, sizeof close_frame))
        (void) recv(fd, rest, sizeof rest, 0); /* the answer, or the client's end */
    free(frames);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *) &address, len) != 0 ||
        listen(listener, 4) != 0 || getsockname(listener, (struct sockaddr *) &address, &len) != 0)
        die("listen");
    printf("%u\n", ntohs(address.sin_port));
    (void) fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            die("accept");
        serve(fd);
        (void) close(fd);
    }
}
