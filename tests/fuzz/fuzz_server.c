/* The whole server but for its sockets: the real worker, with upgrade, peer, transport, channel and
 * fanout, behind streams of memory. The input is a play for up to three clients at a time:
 *
 *     first bytes: bit 0: no compression, bit 1: compress everything, bit 2: a prefix,
 *                  bits 0 and 1: a history of 20 messages
 *                  bit 3: nobody watches, bits 4 and 5: how long a message may be,
 *                  bits 6 and 7: who is too slow; if both are set, those skip
 *     second byte: which limits are tight, from bit 0: pings, control frames, fragments, messages a
 *                  second, connections, idle time, the rate of reading, the size of heads
 *     then steps:  bits 0 to 4 say what happens, bits 5 and 6 to whom; operands follow
 *
 * A turn of the loop ends where the play says so. Behind the play the server is stopped; then:
 *   - every connection is closed in time, and nothing is left in the loop or in memory;
 *   - what each client got are HTTP responses and then unmasked frames that our client takes;
 *   - the messages that it got are a run, without gap or change, of those that were published; and
 *     to the last one, if it stayed until the server said goodbye; who skips misses some, but gets
 *     none twice or out of order. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/fuzz/heads.h"
#include "tests/fuzz/memory_stream.h"
#include "tests/worker_here.h"

enum {
    CLIENTS = 3,
    MOST_ENDS = 12,     /* connections in one play */
    MOST_STEPS = 4000,  /* of one play */
    STEPS_A_TURN = 32,  /* at most */
    TIME_STEP = 500,    /* milliseconds */
    GOODBYE_TURNS = 60, /* of 100 ms: how long the server may take to stop */
};

enum step {
    STEP_BYTES,      /* length, bytes */
    STEP_UPGRADE,    /* which: a request that is right */
    STEP_FRAME,      /* first byte of the frame, length, payload: a masked frame that is right */
    STEP_LONG_FRAME, /* first byte, length / 16, filler */
    STEP_DEFLATED,   /* opcode, length, payload: it is deflated */
    STEP_TURN,       /* the turn ends */
    STEP_TIME,       /* units of 50 ms; the turn ends */
    STEP_ROOM,       /* bytes that the socket takes from now on */
    STEP_FLOOD,      /* the socket takes everything */
    STEP_EOF,
    STEP_RESET,
    STEP_BREAK, /* writing fails from now on */
    STEP_PIECE, /* bytes of one read at most */
    STEP_WAKE,  /* a read of nothing */
    STEP_AGAIN, /* a new connection in place of this one */
    STEP_PAUSE, /* the server stops reading for a while, or goes on */
    STEP_STOP,  /* the server is told to stop */
    STEP_REFUSED_ACCEPT,
    STEPS,
};

struct play {
    struct worker *worker;
    struct channel *channel;
    struct fuzz_input input;
    uv_idle_t turn;
    struct memory_end ends[MOST_ENDS];
    size_t end_count;
    struct memory_end *clients[CLIENTS];
    struct deflater *deflater;
    bool stopped;
    uint64_t passing; /* milliseconds that are still to pass */
    unsigned steps;
    unsigned goodbye_turns;
    bool watches;
    bool skips;                 /* the slow miss messages */
    struct block_cursor cursor; /* of one who watches everything */
    struct buffer watched;
};

/* ---- time, which passes only when the play says so ---- */

static bool time_stands;
static uint64_t milliseconds;

/* Stands before libc's for libuv, too. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its names are reserved
int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!time_stands || clock == CLOCK_REALTIME)
        return (int) syscall(SYS_clock_gettime, clock, out);
    out->tv_sec = (time_t) (milliseconds / 1000);
    out->tv_nsec = (long) (milliseconds % 1000) * 1000000;
    return 0;
}

/* ---- the steps ---- */

static void connect_client(struct play *play, size_t client, int accept_status)
{
    struct memory_end *end = &play->ends[play->end_count];

    if (play->end_count == MOST_ENDS || play->stopped)
        return;
    play->end_count++;
    memory_end_init(end);
    memory_end_offer(end, accept_status);
    (void) on_connection(&(struct listener){.owner = play->worker, .loopback = true}, -1);
    play->clients[client] = end;
}

static void send_upgrade(struct memory_end *end, uint8_t which)
{
    static const char *const offers[] = {
        "",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n",
        "Sec-WebSocket-Extensions: x, permessage-deflate; server_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16\r\n",
    };
    struct buffer request = {0};

    fuzz_check(buffer_printf(&request,
                             "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                             offers[which % 8]) == 0,
               "out of memory");
    memory_end_send(end, request.data, request.len);
    buffer_deinit(&request);
}

static void send_frame(struct memory_end *end, uint8_t first, const uint8_t *payload, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t head[FRAME_MAX_HEADER] = {first};
    size_t head_len = 2;
    uint8_t *masked = fuzz_copy(payload, len);

    if (len < 126) {
        head[1] = (uint8_t) (0x80 | len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t) (len >> 8);
        head[3] = (uint8_t) len;
        head_len = 4;
    }
    memcpy(head + head_len, key, sizeof key);
    for (size_t i = 0; i < len; i++)
        masked[i] ^= key[i % sizeof key];
    memory_end_send(end, head, head_len + sizeof key);
    memory_end_send(end, masked, len);
    free(masked);
}

static void send_long_frame(struct memory_end *end, uint8_t first, size_t len, uint8_t filler)
{
    uint8_t *payload = malloc(len + 1);

    fuzz_check(payload != NULL, "out of memory");
    memset(payload, filler, len);
    send_frame(end, first, payload, len);
    free(payload);
}

static void send_deflated(struct play *play, struct memory_end *end, uint8_t opcode,
                          struct fuzz_input text)
{
    struct frame_part part = {text.data, text.len};
    struct frame_part small;

    if (deflater_deflate(play->deflater, 8, &part, 1, &small))
        send_frame(end, 0x80 | 0x40 | (opcode & 3), small.data, small.len);
    else
        send_frame(end, 0x80 | (opcode & 3), text.data, text.len);
}

static void break_off(struct memory_end *end)
{
    end->broken = UV_EPIPE;
}

static struct transport *transport_of(const struct memory_end *end)
{
    return end->_stream != NULL ? container_of(end->_stream, struct transport, stream) : NULL;
}

/* What one client does, or its network. True when the turn ends. */
// NOLINTNEXTLINE(readability-function-size): one switch, a few lines for each step
static bool client_step(struct play *play, struct memory_end *end, enum step step)
{
    struct fuzz_input *input = &play->input;
    uint8_t first;

    switch (step) {
    case STEP_BYTES: {
        struct fuzz_input bytes = fuzz_take(input, fuzz_first(input));

        memory_end_send(end, bytes.data, bytes.len);
        break;
    }
    case STEP_UPGRADE:
        send_upgrade(end, fuzz_first(input));
        break;
    case STEP_FRAME: {
        struct fuzz_input payload;

        first = fuzz_first(input);
        payload = fuzz_take(input, fuzz_first(input));
        send_frame(end, first, payload.data, payload.len);
        break;
    }
    case STEP_LONG_FRAME: {
        size_t len;

        first = fuzz_first(input);
        len = (size_t) fuzz_first(input) * 16;
        send_long_frame(end, first, len, fuzz_first(input));
        break;
    }
    case STEP_DEFLATED:
        first = fuzz_first(input);
        send_deflated(play, end, first, fuzz_take(input, fuzz_first(input)));
        break;
    case STEP_ROOM:
        end->room = fuzz_first(input);
        break;
    case STEP_FLOOD:
        end->room = SIZE_MAX;
        break;
    case STEP_EOF:
        memory_end_finish(end, UV_EOF);
        break;
    case STEP_RESET:
        memory_end_finish(end, UV_ECONNRESET);
        break;
    case STEP_BREAK:
        break_off(end);
        break;
    case STEP_PIECE:
        end->piece = fuzz_first(input);
        break;
    case STEP_WAKE:
        memory_end_wake(end);
        break;
    case STEP_PAUSE:
        first = fuzz_first(input);
        if (transport_of(end) != NULL && (first & 1) != 0)
            transport_pause(transport_of(end));
        else if (transport_of(end) != NULL)
            transport_resume(transport_of(end));
        break;
    default:
        break;
    }
    return false;
}

/* One step. True when the turn ends with it. */
static bool next_step(struct play *play)
{
    uint8_t byte = fuzz_first(&play->input);
    enum step step = (enum step)((byte & 31) % STEPS);
    size_t client = (size_t) (byte >> 5 & 3) % CLIENTS;

    switch (step) {
    case STEP_TURN:
        return true;
    case STEP_TIME:
        play->passing = 50 * (uint64_t) fuzz_first(&play->input);
        return true;
    case STEP_STOP:
        play->stopped = true;
        worker_stop(play->worker);
        return true;
    case STEP_AGAIN:
        connect_client(play, client, 0);
        return false;
    case STEP_REFUSED_ACCEPT:
        connect_client(play, client, UV_EMFILE);
        return false;
    default:
        if (play->clients[client] == NULL)
            connect_client(play, client, 0);
        return play->clients[client] != NULL && client_step(play, play->clients[client], step);
    }
}

/* ---- the turns ---- */

static void pump(struct play *play)
{
    for (size_t i = 0; i < play->end_count; i++)
        memory_end_pump(&play->ends[i]);
}

/* The play is over, and the server has been told: every socket takes what comes. */
static void say_goodbye(struct play *play)
{
    if (play->goodbye_turns == 0 && !play->stopped) {
        play->stopped = true;
        worker_stop(play->worker);
    }
    fuzz_check(++play->goodbye_turns < GOODBYE_TURNS, "%zu peers are still there",
               play->worker->peers);
    for (size_t i = 0; i < play->end_count; i++)
        play->ends[i].room = SIZE_MAX;
    milliseconds += 100;
}

static void watch(struct play *play)
{
    bool more = play->watches;

    while (more) {
        uv_buf_t bufs[4];
        size_t len;
        unsigned count = block_log_read(&play->cursor, bufs, 4, &len, &more);

        for (unsigned i = 0; i < count; i++)
            fuzz_check(buffer_append(&play->watched, bufs[i].base, bufs[i].len) == 0,
                       "out of memory");
        block_log_advance(&play->cursor, len);
    }
}

/* Time passes in steps: in one, the server would take it that it was stopped meanwhile. */
static bool pass_time(struct play *play)
{
    uint64_t step = play->passing < TIME_STEP ? play->passing : TIME_STEP;

    milliseconds += step;
    play->passing -= step;
    return step > 0;
}

static void on_turn(uv_idle_t *turn)
{
    struct play *play = container_of(turn, struct play, turn);
    unsigned budget = STEPS_A_TURN;

    watch(play);
    pump(play);
    if (pass_time(play))
        return;
    while (play->input.len > 0 && budget-- > 0 && play->steps++ < MOST_STEPS) {
        if (next_step(play))
            break;
    }
    pump(play);
    if (play->input.len > 0 && play->steps < MOST_STEPS)
        return;
    if (play->worker->stopping && play->worker->peers == 0)
        uv_close((uv_handle_t *) turn, NULL); /* with this the loop has to end */
    else
        say_goodbye(play);
}

/* ---- what came of it ---- */

/* Messages, each told by a number. */
struct told {
    struct buffer messages; /* of uint64_t */
    uint16_t close_code;    /* 0: no Close came */
    bool goodbye;           /* it was the server's own, not the answer to the client's */
};

static void tell(struct told *told, const struct decoder_event *event)
{
    uint64_t hash = 14695981039346656037U + event->opcode; /* FNV-1a */

    for (size_t i = 0; i < event->len; i++)
        hash = (hash ^ event->data[i]) * 1099511628211U;
    fuzz_check(buffer_append(&told->messages, &hash, sizeof hash) == 0, "out of memory");
}

/* Decodes what a client got after its 101. */
static void decode_all(struct told *told, const struct extension_deflate *deflate,
                       struct fuzz_input input, bool whole)
{
    struct decoder_pool *pool;
    struct decoder decoder = {0};
    struct decoder_event event;

    fuzz_check(decoder_pool_new(&pool, DECODER_CLIENT, 0) == 0, "out of memory");
    if (deflate->agreed)
        fuzz_check(decoder_allow_deflate(&decoder, deflate) == 0, "out of memory");
    fuzz_check(decoder_feed(&decoder, pool, input.data, input.len) == 0, "out of memory");
    do {
        decoder_next(&decoder, &event);
        fuzz_check(event.type != DECODER_FAULT, "the server sent: %s", event.why);
        if (event.type == DECODER_MESSAGE)
            tell(told, &event);
        if (event.type == DECODER_CLOSE) {
            told->close_code = event.code;
            told->goodbye = event.code == CLOSE_GOING_AWAY && event.len > 0;
        }
    } while (event.type != DECODER_MORE && event.type != DECODER_CLOSE);
    if (event.type == DECODER_MORE)
        fuzz_check(!whole || decoder_pool_lent(pool) == 0, "it ends within a frame");
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
    if (told->close_code == 0)
        return;
    /* The Close is all that may stand at the end. */
    size_t size = 2 + (told->close_code == CLOSE_NO_STATUS ? 0 : 2 + event.len);

    fuzz_check(input.len >= size && input.data[input.len - size] == 0x88, "frames behind a Close");
}

static bool is_events(const struct http_head *head)
{
    const char *type = http_head_get(head, "Content-Type");

    return head->status == 200 && type != NULL && strcmp(type, "text/event-stream") == 0;
}

static bool is_without_length(const struct http_head *head)
{
    return head->status < 200 || head->status == 204 || is_events(head);
}

/* What follows until the end are events, each with the ID behind that of the one before it; who
 * skips misses some. */
static void read_events(struct fuzz_input input, bool whole, bool skips)
{
    uint64_t last = 0;
    bool first = true;

    while (input.len > 0) {
        const uint8_t *end = memmem(input.data, input.len, "\n\n", 2);
        struct fuzz_input event;
        const uint8_t *newline;
        struct event_id id;

        if (end == NULL) {
            fuzz_check(!whole, "it ends within an event");
            return;
        }
        event = fuzz_take(&input, (size_t) (end - input.data) + 2);
        if (event.data[0] == ':')
            continue;
        newline = memchr(event.data, '\n', event.len);
        fuzz_check(event.len > 4 && memcmp(event.data, "id: ", 4) == 0 &&
                       event_id_parse((const char *) event.data + 4,
                                      (size_t) (newline - event.data) - 4, &id) == 0,
                   "an event without an ID");
        fuzz_check(first || (skips ? id.sequence > last : id.sequence == last + 1),
                   "an event is missing, or came twice");
        fuzz_check(first || memmem(newline, event.len - (size_t) (newline - event.data),
                                   "\ndata:", 6) != NULL,
                   "an event without data");
        first = false;
        last = id.sequence;
    }
}

/* Reads a body in chunks off the front; after the head of an answer to HEAD there is none. */
static void read_chunks(struct fuzz_input *input, bool whole)
{
    unsigned long size = 1;

    while (size > 0 && input->len > 0 && input->data[0] != 'H') {
        const uint8_t *end = memmem(input->data, input->len, "\r\n", 2);
        size_t head = end != NULL ? (size_t) (end - input->data) + 2 : input->len;
        char *after;

        size = strtoul((const char *) input->data, &after, 16);
        fuzz_check(end == NULL || after == (const char *) end, "not a chunk");
        if (end == NULL || input->len < head + size + 2) {
            fuzz_check(!whole, "it ends within a chunk");
            (void) fuzz_take(input, input->len);
            return;
        }
        fuzz_check(memcmp(end + 2 + size, "\r\n", 2) == 0, "a chunk does not end");
        (void) fuzz_take(input, head + size + 2);
    }
}

/* Reads one HTTP response off the front. False when it is cut. */
static bool read_response(struct fuzz_input *input, struct http_head *head, bool whole)
{
    const char *length;
    size_t used, body;
    bool chunked;

    http_head_init(head, HTTP_HEAD_RESPONSE);
    if (http_head_feed(head, input->data, input->len, &used) != HTTP_HEAD_DONE) {
        fuzz_check(!whole, "it ends within a response: %.*s", (int) input->len,
                   (const char *) input->data);
        fuzz_check(head->why == NULL, "the server sent as HTTP: %s", head->why);
        http_head_deinit(head);
        return false;
    }
    (void) fuzz_take(input, used);
    length = http_head_get(head, "Content-Length");
    chunked = http_head_get(head, "Transfer-Encoding") != NULL;
    fuzz_check(length != NULL || chunked || is_without_length(head), "no Content-Length");
    if (chunked)
        read_chunks(input, whole);
    body = length != NULL ? strtoul(length, NULL, 10) : 0;
    /* The answer to HEAD has none. */
    if (body > 0 && input->len > 0 &&
        memcmp(input->data, "HTTP/1.", input->len < 7 ? input->len : 7) != 0) {
        fuzz_check(!whole || input->len >= body, "it ends within a body");
        (void) fuzz_take(input, body);
    }
    return true;
}

/* Reads all that a client got. */
static void read_all(struct told *told, const struct memory_end *end, bool skips)
{
    struct fuzz_input input = {end->written.data, end->written.len};
    bool open = false;

    while (input.len > 0 && !open) {
        struct extension_deflate deflate;
        struct handshake_client client = {.accept = ""};
        const struct handshake_request request = {.compression = true};
        struct http_head head;
        struct error error;
        const char *accept;

        if (!read_response(&input, &head, end->finished))
            break;
        open = head.status == 101;
        accept = http_head_get(&head, "Sec-WebSocket-Accept");
        fuzz_check(!open || accept != NULL, "no Sec-WebSocket-Accept");
        if (open) {
            (void) snprintf(client.accept, sizeof client.accept, "%s", accept);
            fuzz_check(handshake_judge_response(&client, &request, &head, &deflate, &error) == 0,
                       "our client refuses: %s", error.text);
        } else {
            fuzz_check(head.status >= 400 || head.status == 100 || head.status == 200 ||
                           head.status == 204,
                       "status %d", head.status);
        }
        if (is_events(&head)) {
            open = true;
            read_events(input, end->finished, skips);
            input.len = 0;
        }
        http_head_deinit(&head);
        if (open && input.len > 0)
            decode_all(told, &deflate, input, end->finished);
    }
}

/* True when `part` is a run of `all`; and its last one, if `to_end`. */
static bool is_run(const struct buffer *all, const struct buffer *part, bool to_end)
{
    if (part->len == 0)
        return true;
    for (size_t at = 0; at + part->len <= all->len; at += sizeof(uint64_t)) {
        if (memcmp(all->data + at, part->data, part->len) == 0 &&
            (!to_end || at + part->len == all->len))
            return true;
    }
    return false;
}

/* True when `part` can be had from `all` by leaving some out. */
static bool is_selection(const struct buffer *all, const struct buffer *part)
{
    size_t at = 0;

    for (size_t i = 0; i < part->len; i += sizeof(uint64_t)) {
        while (at < all->len && memcmp(all->data + at, part->data + i, sizeof(uint64_t)) != 0)
            at += sizeof(uint64_t);
        if (at == all->len)
            return false;
        at += sizeof(uint64_t);
    }
    return true;
}

static void judge(struct play *play)
{
    struct told all = {.close_code = 0};
    struct extension_deflate none = {.agreed = false};

    if (play->watched.len > 0)
        decode_all(&all, &none, (struct fuzz_input){play->watched.data, play->watched.len}, true);
    for (size_t i = 0; i < play->end_count; i++) {
        struct memory_end *end = &play->ends[i];
        struct told told = {.close_code = 0};

        read_all(&told, end, play->skips);
        if (play->watches && play->skips)
            fuzz_check(is_selection(&all.messages, &told.messages),
                       "client %zu got %zu messages that are not %zu of the published", i,
                       told.messages.len / 8, all.messages.len / 8);
        else if (play->watches)
            fuzz_check(is_run(&all.messages, &told.messages, told.goodbye),
                       "client %zu got %zu messages that are not a run of the %zu published", i,
                       told.messages.len / 8, all.messages.len / 8);
        buffer_deinit(&told.messages);
    }
    buffer_deinit(&all.messages);
}

/* ---- a play ---- */

/* The defaults, but for what the first two bytes choose. */
static struct server_options options_of(uint8_t choice, uint8_t tight)
{
    static const uint64_t limits[] = {1 << 20, 0, 100, 2000};
    static char name[] = "fuzz", *arguments[] = {name, NULL};
    struct server_options options;
    struct error error;

    fuzz_check(server_options_parse(&options, 1, arguments, &error) == 0, "%s", error.text);
    options.skip_slow = (choice >> 6) == 3;
    options.prefix = (choice & 4) != 0 ? "Message: " : "";
    options.max_message = limits[(choice >> 4) & 3];
    options.no_compression = (choice & 1) != 0;
    options.history.messages = (choice & 3) == 3 ? 20 : 0;
    options.compression_level = 1;
    options.compression_min = (choice & 2) != 0 ? 0 : 64;
    if ((tight & 1) != 0)
        options.ping_interval = options.ping_timeout = 1000;
    if ((tight & 2) != 0)
        options.max_control_per_second = 3;
    if ((tight & 4) != 0)
        options.max_fragments = options.max_empty_fragments = 2;
    if ((tight & 8) != 0)
        options.max_messages_per_second = options.max_bytes_per_second = 10;
    if ((tight & 16) != 0)
        options.max_connections = options.max_connections_per_address = 2;
    if ((tight & 32) != 0)
        options.idle_timeout = options.message_timeout = 1500;
    if ((tight & 64) != 0)
        options.min_read_rate = 100;
    if ((tight & 128) != 0)
        options.max_header_bytes = 300;
    return options;
}

static void perform(struct play *play, uint8_t choice, const struct worker_shared *shared)
{
    static const uint64_t lags[] = {0, 1000, 10000, 100};

    fuzz_check(worker_new(&play->worker, 0, shared) == 0, "worker_new");
    play->worker->fanouts.limits.bytes = lags[choice >> 6];
    play->watches = (choice & 8) == 0;
    play->skips = shared->options->skip_slow;
    if (play->watches)
        (void) channel_join(play->channel, CHANNEL_PLAIN, NULL, &play->cursor, NULL);
    (void) uv_idle_init(&play->worker->loop, &play->turn);
    (void) uv_idle_start(&play->turn, on_turn);
    fuzz_check(worker_start(play->worker) == 0, "worker_start");
    fuzz_check(uv_loop_alive(&play->worker->loop) == 0, "something is left in the loop");
    watch(play);
    if (play->watches)
        channel_leave(play->channel, &play->cursor, NULL);
    for (size_t i = 0; i < play->end_count; i++)
        fuzz_check(play->ends[i]._stream == NULL, "connection %zu was not closed", i);
    worker_join(play->worker);
    worker_free(play->worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uv_loop_t main_loop; /* what the worker tells when it is done */
    static uv_async_t done;
    static bool ready;
    struct play play = {.input = {data, size}};
    uint8_t choice = fuzz_first(&play.input);
    struct server_options options = options_of(choice, fuzz_first(&play.input));
    struct channels channels;
    struct limits limits;
    struct shortage shortage;
    _Atomic size_t running = 0;

    if (!ready) {
        log_init("fuzz", LOG_ERROR);
        fuzz_check(uv_loop_init(&main_loop) == 0, "uv_loop_init");
        fuzz_check(uv_async_init(&main_loop, &done, NULL) == 0, "uv_async_init");
        ready = true;
    }
    milliseconds = 1000000;
    time_stands = true;
    fuzz_check(channels_init(&channels, &options.history, options.max_channels) == 0,
               "channels_init");
    fuzz_check(channels_find(&channels, "", 0, &play.channel) == 0, "no default channel");
    fuzz_check(deflater_new(&play.deflater, 6) == 0, "out of memory");
    fuzz_check(limits_init(&limits, &options) == 0, "limits_init");
    fuzz_check(shortage_init(&shortage) == 0, "shortage_init");
    perform(&play, choice,
            &(struct worker_shared){.options = &options,
                                    .limits = &limits,
                                    .channels = &channels,
                                    .shortage = &shortage,
                                    .workers = &play.worker,
                                    .worker_count = 1,
                                    .running = &running,
                                    .done = &done});
    shortage_deinit(&shortage);
    fuzz_check(limits._connections == 0, "connections are still counted");
    limits_deinit(&limits);
    judge(&play);
    time_stands = false;
    for (size_t i = 0; i < play.end_count; i++)
        memory_end_deinit(&play.ends[i]);
    buffer_deinit(&play.watched);
    deflater_free(play.deflater);
    fuzz_check(play.channel->_logs[CHANNEL_LOG_PLAIN].readers == 0 &&
                   play.channel->_logs[CHANNEL_LOG_DEFLATED].readers == 0 &&
                   play.channel->_subscribers == 0,
               "somebody is still said to read");
    channels_unref(&channels, play.channel);
    fuzz_check(options.history.messages > 0 || channels_count(&channels) == 0, "a channel is left");
    channels_deinit(&channels);
    return 0;
}
