/* The steps of a play; their numbers are what the inputs consist of, so new ones come last. */
#include "common/base/list.h"
#include "common/websocket/transport.h"
#include "tests/fuzz/server_play.h"
#include "tests/fuzz/server_words.h"

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

enum { SECOND_KIND = 0x80 };

enum second_step {
    STEP_JOIN,       /* target, offer: an opening handshake (see server_words_target,
                        server_words_upgrade) */
    STEP_LISTEN,     /* target: an event stream */
    STEP_PAGES,      /* target, flags: pages of history (see server_words_pages) */
    STEP_ASK,        /* flags: what is answered at once (see server_words_ask) */
    STEP_POST,       /* channel, flags, length, body (see server_words_post) */
    STEP_LINES,      /* channel, lines, length, filler: NDJSON */
    STEP_UNFINISHED, /* channel, length / 64: a body without its end */
    STEP_BOMB,       /* opcode, KiB, filler: it is deflated */
    STEP_OTHERS,     /* channel and kind, messages, length / 8: another worker publishes */
    STEP_STALL,      /* the socket takes nothing more */
    STEP_DRAIN,      /* bytes / 64 that the socket takes besides */
    STEP_DRIP,       /* bytes / 4 that it takes besides in each turn from now on */
    STEP_ADDRESS,    /* where the next connections come from */
    STEP_EXPIRE,     /* history that is too old goes */
    STEP_STARVE,     /* KiB: --max-memory from now on; 0: no bound */
    SECOND_STEPS,
};

static struct transport *transport_of(const struct memory_end *end)
{
    return end->_stream != NULL ? container_of(end->_stream, struct transport, stream) : NULL;
}

/* What one client says. False when the step is none of these. */
static bool say(struct server_play *play, struct memory_end *end, enum step step)
{
    static const struct server_words_target plain = {.path = "/ws"};
    struct fuzz_input *input = &play->input;
    uint8_t first = step == STEP_BYTES ? 0 : fuzz_first(input);

    switch (step) {
    case STEP_BYTES: {
        struct fuzz_input bytes = fuzz_take(input, fuzz_first(input));

        memory_end_send(end, bytes.data, bytes.len);
        return true;
    }
    case STEP_UPGRADE:
        server_words_upgrade(end, &plain, first & 7);
        return true;
    case STEP_FRAME: {
        struct fuzz_input payload = fuzz_take(input, fuzz_first(input));

        server_words_frame(end, first, payload.data, payload.len);
        return true;
    }
    case STEP_LONG_FRAME: {
        size_t len = (size_t) fuzz_first(input) * 16;

        server_words_long_frame(end, first, len, fuzz_first(input));
        return true;
    }
    default: {
        struct fuzz_input text = fuzz_take(input, fuzz_first(input));

        server_words_deflated(end, play->deflater, first, text.data, text.len);
        return true;
    }
    }
}

static void pause_or_go_on(struct memory_end *end, bool pause)
{
    if (transport_of(end) != NULL && pause)
        transport_pause(transport_of(end), TRANSPORT_UNTIL_TAKEN);
    else if (transport_of(end) != NULL)
        transport_resume(transport_of(end), TRANSPORT_UNTIL_TAKEN);
}

/* What one client does, or its network. */
static void client_step(struct server_play *play, struct server_role *role, enum step step)
{
    struct memory_end *end = &role->end;

    switch (step) {
    case STEP_BYTES:
    case STEP_UPGRADE:
    case STEP_FRAME:
    case STEP_LONG_FRAME:
    case STEP_DEFLATED:
        role->spoke = role->spoke || step != STEP_UPGRADE;
        role->replays = role->replays || step == STEP_BYTES;
        say(play, end, step);
        break;
    case STEP_ROOM:
        end->room = fuzz_first(&play->input);
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
        end->broken = UV_EPIPE;
        break;
    case STEP_PIECE:
        end->piece = fuzz_first(&play->input);
        break;
    case STEP_WAKE:
        memory_end_wake(end);
        break;
    case STEP_PAUSE:
        pause_or_go_on(end, (fuzz_first(&play->input) & 1) != 0);
        break;
    default:
        break;
    }
}

static struct event_id newest_of(struct server_play *play, uint8_t flags)
{
    struct event_id id = {0};
    struct channel *channel;

    if (channels_find(play->channels, "a", (flags & 8) != 0 ? 1 : 0, &channel) == 0) {
        id = channel_last_id(channel);
        channels_unref(play->channels, channel);
    }
    return id;
}

static void add_room(struct memory_end *end, size_t room)
{
    if (end->room != SIZE_MAX)
        end->room += room;
}

static const char *path_of(uint8_t flags)
{
    return (flags & 1) != 0 ? "/ws/a" : "/ws";
}

/* HTTP requests and what else is whole. */
static void speak(struct server_play *play, struct server_role *role, enum second_step step)
{
    struct memory_end *end = &role->end;
    struct fuzz_input *input = &play->input;
    uint8_t first = fuzz_first(input), second;
    struct server_words_target target;

    server_words_target(&target, first, newest_of(play, first));
    switch (step) {
    case STEP_JOIN:
        role->replays = role->replays || (first & 7) != 0;
        server_words_upgrade(end, &target, fuzz_first(input));
        break;
    case STEP_LISTEN:
        server_words_listen(end, &target);
        break;
    case STEP_PAGES:
        server_words_pages(end, &target, fuzz_first(input));
        break;
    case STEP_ASK:
        server_words_ask(end, first);
        break;
    case STEP_POST:
        second = fuzz_first(input);
        server_words_post(end, path_of(first), second, fuzz_take(input, fuzz_first(input)));
        break;
    case STEP_LINES: {
        size_t len;

        second = fuzz_first(input);
        len = fuzz_first(input);
        server_words_lines(end, path_of(first), second, len, (char) fuzz_first(input));
        break;
    }
    case STEP_UNFINISHED:
        server_words_unfinished(end, path_of(first), fuzz_first(input) * (size_t) 64);
        break;
    default: { /* STEP_BOMB */
        size_t len = fuzz_first(input) * (size_t) 1024;
        uint8_t *text = malloc(len + 1);

        fuzz_check(text != NULL, "out of memory");
        memset(text, fuzz_first(input), len);
        server_words_deflated(end, play->deflater, first, text, len);
        free(text);
        break;
    }
    }
}

static void second_client_step(struct server_play *play, struct server_role *role,
                               enum second_step step)
{
    switch (step) {
    case STEP_STALL:
        role->end.room = 0;
        break;
    case STEP_DRAIN:
        add_room(&role->end, fuzz_first(&play->input) * (size_t) 64);
        break;
    case STEP_DRIP:
        role->drip = fuzz_first(&play->input) * (size_t) 4;
        if (role->end.room == SIZE_MAX)
            role->end.room = 0;
        break;
    default:
        role->spoke = role->spoke || step == STEP_BOMB;
        speak(play, role, step);
        break;
    }
}

/* Messages come from another worker; of letters that repeat, or of bytes that do not compress. */
static void others_publish(struct server_play *play)
{
    uint8_t flags = fuzz_first(&play->input);
    unsigned count = fuzz_first(&play->input) & 63;
    size_t len = fuzz_first(&play->input) * (size_t) 8;
    uint8_t payload[255 * 8];
    struct frame_part part = {payload, len};
    struct channel *channel;
    uint32_t random = 2463534242U;

    if (play->stopped ||
        channels_make(play->channels, "a", (flags & 1) != 0 ? 1 : 0, &channel) != 0)
        return;
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525U + 1013904223U;
        payload[i] = (flags & 2) != 0 ? (uint8_t) (random >> 24) : (flags & 4) != 0 ? '\n' : 'x';
    }
    for (unsigned i = 0; i < count; i++) {
        if (len > 0)
            payload[i % len] = (uint8_t) ('a' + i % 26); /* no two are the same */
        fuzz_check(channel_publish(channel, play->publisher,
                                   (flags & 2) != 0 ? FRAME_BINARY : FRAME_TEXT, &part, 1,
                                   NULL) == 0,
                   "out of memory");
    }
    channels_unref(play->channels, channel);
}

/* The client that a step is about, which comes if it is not there yet. NULL: nobody more comes. */
static struct server_role *client_of(struct server_play *play, size_t client)
{
    if (play->clients[client] == NULL)
        server_play_connect(play, client, 0);
    return play->clients[client];
}

static void next_second_step(struct server_play *play, enum second_step step, size_t client)
{
    static const char *const addresses[] = {NULL, "192.0.2.2", "127.0.0.1", "198.51.100.1"};
    struct server_role *role;

    switch (step) {
    case STEP_OTHERS:
        others_publish(play);
        break;
    case STEP_ADDRESS:
        play->address = addresses[fuzz_first(&play->input) & 3];
        break;
    case STEP_EXPIRE:
        channels_expire(play->channels);
        break;
    case STEP_STARVE:
        play->channels->memory.max = fuzz_first(&play->input) * (uint64_t) 1024;
        break;
    default:
        role = client_of(play, client);
        if (role != NULL)
            second_client_step(play, role, step);
        break;
    }
}

/* One step. True when the turn ends with it. */
bool server_steps_next(struct server_play *play)
{
    uint8_t byte = fuzz_first(&play->input);
    enum step step = (enum step)((byte & 31) % STEPS);
    size_t client = (size_t) (byte >> 5 & 3) % SERVER_PLAY_CLIENTS;
    struct server_role *role;

    if ((byte & SECOND_KIND) != 0) {
        next_second_step(play, (enum second_step)((byte & 31) % SECOND_STEPS), client);
        return false;
    }
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
        server_play_connect(play, client, 0);
        return false;
    case STEP_REFUSED_ACCEPT:
        server_play_connect(play, client, UV_EMFILE);
        return false;
    default:
        role = client_of(play, client);
        if (role != NULL)
            client_step(play, role, step);
        return false;
    }
}

void server_steps_drip(struct server_play *play)
{
    for (size_t i = 0; i < play->role_count; i++)
        add_room(&play->roles[i].end, play->roles[i].drip);
}
