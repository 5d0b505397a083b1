/* The floor: what the kernel asks for a broadcast, and next to nothing above it. A bare epoll loop
 * that speaks just enough WebSocket: it shakes hands, unmasks, puts the prefix before each text and
 * appends the frame to a log; at the end of a turn every peer gets all that is new with one send.
 *
 * It is a yardstick and no server: it has no limits, checks nothing, and believes every client. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum {
    EVENTS = 1024,
    INPUT = 256 * 1024,
    HEAD = 4096,            /* bytes of a request at the most */
    LAG = 64 * 1024 * 1024, /* bytes of the log: who is further behind is closed */
};

struct peer {
    int fd;
    bool open;       /* the handshake is done */
    bool dead;       /* to be closed at the end of the turn */
    bool stalled;    /* the socket is full: EPOLLOUT says when to go on */
    size_t at;       /* place in floor.peers */
    uint64_t cursor; /* into the log */
    uint8_t *rest;   /* of a frame or head that was cut */
    size_t rest_len;
    struct peer *next_dead;
};

struct floor {
    int epoll, listener;
    size_t poll_every; /* sends between looks at the input; 0: none */
    bool per_message, deflate;
    z_stream deflater;
    struct peer **peers; /* all that are open */
    size_t count, room;
    struct peer *dead;
    uint8_t *log;  /* LAG bytes, of which the last ones begin at offset `base` of the stream */
    uint64_t base; /* offset of log[0] in the stream of all bytes ever logged */
    uint64_t tail;
    size_t stalled;
    bool dirty; /* somebody has yet to get the newest bytes */
    uint8_t *input, *plain, *packed;
};

static const char prefix[] = "Message: ";

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);

    if (memory == NULL)
        die("out of memory");
    return memory;
}

/* ---- peers ---- */

static void watch(struct floor *floor, struct peer *peer, uint32_t events, int how)
{
    struct epoll_event interest = {.events = events, .data.ptr = peer};

    if (epoll_ctl(floor->epoll, how, peer->fd, &interest) != 0)
        die("cannot watch a socket");
}

static void join(struct floor *floor, struct peer *peer)
{
    if (floor->count == floor->room) {
        floor->room = floor->room == 0 ? 1024 : 2 * floor->room;
        floor->peers = realloc((void *) floor->peers, floor->room * sizeof(struct peer *));
        if (floor->peers == NULL)
            die("out of memory");
    }
    peer->open = true;
    peer->cursor = floor->tail;
    peer->at = floor->count;
    floor->peers[floor->count++] = peer;
}

/* Peers are freed at the end of the turn, when no loop stands on them. */
static void leave(struct floor *floor, struct peer *peer)
{
    if (peer->dead)
        return;
    peer->dead = true;
    peer->next_dead = floor->dead;
    floor->dead = peer;
}

static void bury(struct floor *floor)
{
    while (floor->dead != NULL) {
        struct peer *peer = floor->dead;

        floor->dead = peer->next_dead;
        if (peer->open) {
            floor->peers[peer->at] = floor->peers[--floor->count];
            floor->peers[peer->at]->at = peer->at;
            floor->stalled -= peer->stalled;
        }
        (void) close(peer->fd);
        free(peer->rest);
        free(peer);
    }
}

static void accept_all(struct floor *floor)
{
    int fd, on = 1;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): no leak, epoll holds the peer */
    while ((fd = accept4(floor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = allocate(sizeof *peer);

        *peer = (struct peer){.fd = fd};
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(floor, peer, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* ---- sending ---- */

/* One send with all that the peer does not have yet. */
static void send_new(struct floor *floor, struct peer *peer)
{
    size_t len = floor->tail - peer->cursor;
    ssize_t sent = send(peer->fd, floor->log + (peer->cursor - floor->base), len, MSG_NOSIGNAL);
    bool stalled;

    if (sent < 0 && errno != EAGAIN) {
        leave(floor, peer);
        return;
    }
    peer->cursor += sent > 0 ? (size_t) sent : 0;
    stalled = sent != (ssize_t) len;
    if (stalled != peer->stalled) {
        peer->stalled = stalled;
        floor->stalled += stalled ? 1 : (size_t) -1;
        watch(floor, peer, stalled ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
}

/* Gives everybody what is new. */
static void send_to_all(struct floor *floor)
{
    floor->dirty = false;
    for (size_t i = 0; i < floor->count; i++) {
        struct peer *peer = floor->peers[i];

        if (floor->tail > peer->cursor && !peer->stalled && !peer->dead)
            send_new(floor, peer);
    }
}

/* Makes room in the log. Once everybody has everything it starts over, in memory that is hot. */
static void make_room(struct floor *floor, size_t len)
{
    uint64_t least = floor->tail;

    if (floor->tail - floor->base + len <= LAG)
        return;
    for (size_t i = 0; i < floor->count; i++) {
        struct peer *peer = floor->peers[i];

        if (!peer->dead && floor->tail - peer->cursor > LAG / 2)
            leave(floor, peer);
        else if (!peer->dead && peer->cursor < least)
            least = peer->cursor;
    }
    memmove(floor->log, floor->log + (least - floor->base), floor->tail - least);
    floor->base = least;
}

static void append(struct floor *floor, const void *data, size_t len)
{
    memcpy(floor->log + (floor->tail - floor->base), data, len);
    floor->tail += len;
}

/* Deflates prefix and text as one message (RFC 7692, 7.2.1). Returns its length. */
static size_t pack(struct floor *floor, const uint8_t *text, size_t len)
{
    z_stream *stream = &floor->deflater;

    (void) deflateReset(stream);
    stream->next_out = floor->packed;
    stream->avail_out = INPUT;
    stream->next_in = (Bytef *) (uintptr_t) prefix;
    stream->avail_in = sizeof prefix - 1;
    (void) deflate(stream, Z_NO_FLUSH);
    stream->next_in = (Bytef *) (uintptr_t) text;
    stream->avail_in = (uInt) len;
    (void) deflate(stream, Z_SYNC_FLUSH);
    return INPUT - stream->avail_out - 4;
}

static void append_header(struct floor *floor, uint8_t first, size_t len)
{
    uint8_t header[10] = {first, (uint8_t) len};
    size_t bytes = 2, wide = len < 126 ? 0 : len < 65536 ? 2 : 8;

    if (wide > 0)
        header[1] = wide == 2 ? 126 : 127;
    for (size_t i = wide; i > 0; i--)
        header[bytes++] = (uint8_t) (len >> (8 * (i - 1)));
    append(floor, header, bytes);
}

static void publish(struct floor *floor, const uint8_t *text, size_t len)
{
    make_room(floor, len + sizeof prefix + 16);
    if (floor->deflate) {
        size_t packed = pack(floor, text, len);

        append_header(floor, 0xc1, packed);
        append(floor, floor->packed, packed);
    } else {
        append_header(floor, 0x81, len + sizeof prefix - 1);
        append(floor, prefix, sizeof prefix - 1);
        append(floor, text, len);
    }
    if (floor->per_message)
        send_to_all(floor);
    else
        floor->dirty = true;
}

/* ---- reading ---- */

static void unmask(uint8_t *to, const uint8_t *from, size_t len, const uint8_t *key)
{
    uint64_t wide = 0, word;
    size_t i = 0;

    memcpy(&wide, key, 4);
    wide |= wide << 32;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < len; i++)
        to[i] = from[i] ^ key[i % 4];
}

/* Handles the whole frames and returns their bytes. */
static size_t take_frames(struct floor *floor, struct peer *peer, const uint8_t *data, size_t len)
{
    size_t used = 0;

    while (len - used >= 6 && !peer->dead) {
        const uint8_t *at = data + used;
        size_t payload = at[1] & 0x7f, header = payload < 126 ? 6 : payload == 126 ? 8 : 14;

        if (len - used < header)
            break;
        if (payload >= 126) {
            payload = 0;
            for (size_t i = 2; i < header - 4; i++)
                payload = payload << 8 | at[i];
        }
        if (payload > INPUT / 2) {
            leave(floor, peer);
            break;
        }
        if (len - used - header < payload)
            break;
        unmask(floor->plain, at + header, payload, at + header - 4);
        used += header + payload;
        if (at[0] == 0x81) {
            publish(floor, floor->plain, payload);
        } else if (at[0] == 0x88) {
            (void) send(peer->fd, "\x88\x02\x03\xe8", 4, MSG_NOSIGNAL);
            leave(floor, peer);
        }
    }
    return used;
}

/* Answers the opening handshake (RFC 6455, 4.2.2) and returns the bytes of its head. */
static size_t take_head(struct floor *floor, struct peer *peer, const uint8_t *data, size_t len)
{
    static const char field[] = "\r\nSec-WebSocket-Key: ";
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    const uint8_t *key = memmem(data, len, field, sizeof field - 1);
    char text[24 + 36 + 1], response[512];
    unsigned char digest[EVP_MAX_MD_SIZE], accept[32];
    int bytes;

    if (end == NULL || key == NULL || end - key < (ptrdiff_t) sizeof field - 1 + 24) {
        if (end != NULL || len > HEAD)
            leave(floor, peer);
        return 0;
    }
    memcpy(text, key + sizeof field - 1, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    (void) EVP_Digest(text, 60, digest, NULL, EVP_sha1(), NULL);
    (void) EVP_EncodeBlock(accept, digest, 20);
    bytes = snprintf(response, sizeof response,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                     (const char *) accept,
                     floor->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                                      "server_no_context_takeover; client_no_context_takeover\r\n"
                                    : "");
    if (send(peer->fd, response, (size_t) bytes, MSG_NOSIGNAL) != bytes)
        leave(floor, peer);
    else
        join(floor, peer);
    return (size_t) (end - data) + 4;
}

static void keep_rest(struct peer *peer, const uint8_t *data, size_t len)
{
    free(peer->rest);
    peer->rest = NULL;
    peer->rest_len = len;
    if (len == 0)
        return;
    peer->rest = allocate(len);
    memcpy(peer->rest, data, len);
}

static void read_peer(struct floor *floor, struct peer *peer)
{
    size_t kept = peer->rest_len, used = 0;
    ssize_t len;

    if (kept > 0)
        memcpy(floor->input, peer->rest, kept);
    len = recv(peer->fd, floor->input + kept, INPUT - kept, 0);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len <= 0) {
        leave(floor, peer);
        return;
    }
    kept += (size_t) len;
    if (!peer->open)
        used = take_head(floor, peer, floor->input, kept);
    if (peer->open && !peer->dead)
        used += take_frames(floor, peer, floor->input + used, kept - used);
    if (kept > used || peer->rest_len > 0)
        keep_rest(peer, floor->input + used, kept - used);
}

static void turn(struct floor *floor, int timeout)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(floor->epoll, events, EVENTS, timeout);

    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;

        if (peer == NULL)
            accept_all(floor);
        else if (events[i].events & EPOLLOUT && !peer->dead)
            send_new(floor, peer);
        if (peer != NULL && events[i].events & ~(uint32_t) EPOLLOUT && !peer->dead)
            read_peer(floor, peer);
    }
}

/* As send_to_all, but the input is read between sends, so that the peers which are still to
 * come get more at once; the others get the rest in the next pass. */
static void send_and_poll(struct floor *floor)
{
    floor->dirty = false;
    for (size_t i = 0; i < floor->count; i++) {
        struct peer *peer = floor->peers[i];

        if (i % floor->poll_every == floor->poll_every - 1)
            turn(floor, 0);
        if (floor->tail > peer->cursor && !peer->stalled && !peer->dead)
            send_new(floor, peer);
    }
}

static void run(struct floor *floor)
{
    for (;;) {
        turn(floor, floor->dirty ? 0 : -1);
        if (floor->dirty && floor->poll_every > 0)
            send_and_poll(floor);
        else if (floor->dirty)
            send_to_all(floor);
        if (!floor->dirty && floor->stalled == 0)
            floor->base = floor->tail; /* everybody has everything */
        bury(floor);
    }
}

/* ---- starting ---- */

static void listen_on(struct floor *floor, unsigned long port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    struct epoll_event interest = {.events = EPOLLIN};
    socklen_t len = sizeof address;
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    floor->epoll = epoll_create1(EPOLL_CLOEXEC);
    floor->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void) setsockopt(floor->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(floor->listener, (struct sockaddr *) &address, sizeof address) != 0 ||
        listen(floor->listener, 4096) != 0 ||
        getsockname(floor->listener, (struct sockaddr *) &address, &len) != 0 ||
        epoll_ctl(floor->epoll, EPOLL_CTL_ADD, floor->listener, &interest) != 0)
        die("cannot listen");
    fprintf(stderr, "floor: listening on ws://127.0.0.1:%u/ws\n", ntohs(address.sin_port));
}

static void usage(FILE *out)
{
    fputs("Usage: floor [--port PORT] [--poll-input SENDS] [--per-message] [--deflate]\n\n"
          "The least that a broadcast can cost: a bare epoll loop, for the benchmark.\n\n"
          "  --port PORT         on 127.0.0.1; 0 takes a free one (default: 0)\n"
          "  --poll-input SENDS  look at the input after each so many sends\n"
          "  --per-message       a send for each message and peer, not for each turn and peer\n"
          "  --deflate           agree to permessage-deflate, and compress each message once;\n"
          "                      every client must offer it\n"
          "  --help              print this\n",
          out);
}

static unsigned long parse_options(struct floor *floor, int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},  {"poll-input", required_argument, NULL, 'i'},
        {"per-message", no_argument, NULL, 'm'}, {"deflate", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    unsigned long port = 0;
    int option;

    while ((option = getopt_long(argc, argv, "p:h", longs, NULL)) != -1) {
        switch (option) {
        case 'p':
            port = strtoul(optarg, NULL, 10);
            break;
        case 'i':
            floor->poll_every = strtoul(optarg, NULL, 10);
            break;
        case 'm':
            floor->per_message = true;
            break;
        case 'd':
            floor->deflate = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    return port;
}

int main(int argc, char **argv)
{
    static struct floor floor;
    struct rlimit files;
    unsigned long port = parse_options(&floor, argc, argv);

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &files);
    }
    floor.input = allocate(INPUT);
    floor.plain = allocate(INPUT);
    floor.packed = allocate(INPUT);
    floor.log = allocate(LAG);
    if (deflateInit2(&floor.deflater, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        die("out of memory");
    listen_on(&floor, port);
    run(&floor);
}
