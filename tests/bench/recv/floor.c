/* The least that a listener can do: reads the socket, walks the frame headers, and writes the lines
 * that wsrecv writes. It judges nothing: no UTF-8, no rules of frames, no reader that is slow.
 * recv_floor PORT TARGET */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 64 * 1024, MOST = 1 << 20 }; /* bytes of a read, and of the longest frame */

static unsigned char in[READ + MOST], out[2 * (READ + MOST)];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_all(const unsigned char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);

        if (n <= 0)
            die("write");
        data += n;
        len -= (size_t) n;
    }
}

static int connect_and_upgrade(const char *port, const char *target)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t) strtoul(port, NULL, 10)),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char request[512], byte;
    unsigned ends = 0;

    (void) snprintf(request, sizeof request,
                    "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    target);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) != 0 ||
        send(fd, request, strlen(request), 0) < 0)
        die("connect");
    while (ends < 4 && recv(fd, &byte, 1, 0) == 1) /* to the end of the head: CR LF CR LF */
        ends = byte == (ends % 2 == 0 ? '\r' : '\n') ? ends + 1 : 0;
    return fd;
}

/* The length of the header at `at`, and of its payload; 0 when it is not whole. */
static size_t header_of(const unsigned char *at, size_t len, size_t *payload)
{
    size_t header = 2;

    if (len < 2 || len < (at[1] == 126 ? 4 : at[1] == 127 ? 10 : 2))
        return 0;
    *payload = at[1];
    if (*payload >= 126) {
        header = *payload == 126 ? 4 : 10;
        *payload = 0;
        for (size_t i = 2; i < header; i++)
            *payload = *payload << 8 | at[i];
    }
    return header;
}

/* Writes a line for each whole frame; returns how many bytes they were. Ends at a Close. */
static size_t take_frames(const unsigned char *data, size_t len, bool *closed)
{
    static const char mark[] = "Received: ";
    size_t used = 0, lines = 0, payload, header;

    while ((header = header_of(data + used, len - used, &payload)) > 0 &&
           len - used - header >= payload) {
        *closed = (data[used] & 0xf) == 8;
        if (*closed)
            break;
        memcpy(out + lines, mark, sizeof mark - 1);
        lines += sizeof mark - 1;
        memcpy(out + lines, data + used + header, payload);
        lines += payload;
        out[lines++] = '\n';
        used += header + payload;
    }
    write_all(out, lines);
    return used;
}

int main(int argc, char **argv)
{
    bool closed = false;
    size_t kept = 0;
    int fd;

    if (argc != 3)
        return 2;
    fd = connect_and_upgrade(argv[1], argv[2]);
    while (!closed) {
        ssize_t n = recv(fd, in + kept, READ, 0);
        size_t used;

        if (n <= 0)
            die("recv");
        kept += (size_t) n;
        used = take_frames(in, kept, &closed);
        kept -= used;
        memmove(in, in + used, kept);
        if (kept > MOST)
            return 1;
    }
    (void) close(fd);
    return 0;
}
