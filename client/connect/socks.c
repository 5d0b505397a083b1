#include "client/connect/socks.h"

#include <netinet/in.h>
#include <string.h>
#include <uv.h>

enum socks_stage {
    STAGE_METHOD,  /* which way of authentication the proxy chooses */
    STAGE_USER,    /* whether it takes the user */
    STAGE_REPLY,   /* whether it has connected */
    STAGE_REPLY_4, /* the same, of version 4 */
};

enum {
    VERSION = 5,
    USER_VERSION = 1, /* of RFC 1929 */
    METHOD_NONE = 0,
    METHOD_USER = 2,
    COMMAND_CONNECT = 1,
    ADDRESS_V4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_V6 = 4,
    MOST = 255, /* bytes of a name, a user, a password */
};

/* 4a: an address that is 0.0.0.x says that a name follows. */
static int send_request_4(struct socks *socks, struct buffer *out)
{
    const uint16_t port = htons(socks->_port);
    const char *user = socks->_user != NULL ? socks->_user : "";
    uint8_t address[4] = {0, 0, 0, 1};
    uint8_t v6[16];
    const uint8_t head[] = {4, COMMAND_CONNECT};
    bool named = uv_inet_pton(AF_INET, socks->_host, address) != 0;
    int status = buffer_append(out, head, sizeof head);

    if (uv_inet_pton(AF_INET6, socks->_host, v6) == 0)
        return UV_EINVAL;
    if (status == 0)
        status = buffer_append(out, &port, sizeof port);
    if (status == 0)
        status = buffer_append(out, address, sizeof address);
    if (status == 0)
        status = buffer_append(out, user, strcspn(user, ":"));
    if (status == 0)
        status = buffer_append(out, "", 1);
    if (status == 0 && named)
        status = buffer_append(out, socks->_host, strlen(socks->_host) + 1);
    socks->_stage = STAGE_REPLY_4;
    return status;
}

int socks_init(struct socks *socks, unsigned version, const char *host, uint16_t port,
               const char *user, struct buffer *out)
{
    const uint8_t with_user[] = {VERSION, 2, METHOD_NONE, METHOD_USER};
    const uint8_t without[] = {VERSION, 1, METHOD_NONE};

    *socks = (struct socks){._host = host, ._port = port, ._user = user, ._stage = STAGE_METHOD};
    if (strlen(host) > MOST)
        return UV_EINVAL;
    if (version == 4)
        return send_request_4(socks, out);
    if (user == NULL)
        return buffer_append(out, without, sizeof without);
    if (strcspn(user, ":") > MOST || strlen(strchr(user, ':') + 1) > MOST)
        return UV_EINVAL;
    return buffer_append(out, with_user, sizeof with_user);
}

static enum socks_result fail(struct socks *socks, const char *why, bool lasting)
{
    socks->why = why;
    socks->lasting = lasting;
    return SOCKS_FAILED;
}

static int append_text(struct buffer *out, const char *text, size_t len)
{
    const uint8_t prefix = (uint8_t) len;
    int status = buffer_append(out, &prefix, 1);

    return status == 0 ? buffer_append(out, text, len) : status;
}

/* RFC 1929, 2 */
static enum socks_result send_user(struct socks *socks, struct buffer *out)
{
    const uint8_t version = USER_VERSION;
    size_t name = strcspn(socks->_user, ":");
    const char *password = socks->_user + name + 1;

    if (buffer_append(out, &version, 1) != 0 || append_text(out, socks->_user, name) != 0 ||
        append_text(out, password, strlen(password)) != 0)
        return fail(socks, "out of memory", false);
    socks->_stage = STAGE_USER;
    return SOCKS_MORE;
}

static int append_host(struct socks *socks, struct buffer *out)
{
    uint8_t address[1 + 16] = {ADDRESS_V4};
    uint8_t name = ADDRESS_NAME;
    int status;

    if (uv_inet_pton(AF_INET, socks->_host, address + 1) == 0)
        return buffer_append(out, address, 1 + 4);
    address[0] = ADDRESS_V6;
    if (uv_inet_pton(AF_INET6, socks->_host, address + 1) == 0)
        return buffer_append(out, address, 1 + 16);
    status = buffer_append(out, &name, 1);
    return status == 0 ? append_text(out, socks->_host, strlen(socks->_host)) : status;
}

/* RFC 1928, 4 */
static enum socks_result send_request(struct socks *socks, struct buffer *out)
{
    const uint8_t head[] = {VERSION, COMMAND_CONNECT, 0};
    const uint16_t port = htons(socks->_port);

    if (buffer_append(out, head, sizeof head) != 0 || append_host(socks, out) != 0 ||
        buffer_append(out, &port, sizeof port) != 0)
        return fail(socks, "out of memory", false);
    socks->_stage = STAGE_REPLY;
    return SOCKS_MORE;
}

/* RFC 1928, 3 */
static enum socks_result take_method(struct socks *socks, struct buffer *out)
{
    if (socks->_in[1] == METHOD_NONE)
        return send_request(socks, out);
    if (socks->_in[1] == METHOD_USER && socks->_user != NULL)
        return send_user(socks, out);
    return fail(socks,
                socks->_user == NULL ? "it wants to know who asks: write USER:PASSWORD@ before its "
                                       "host"
                                     : "it takes no user name and password",
                true);
}

static enum socks_result take_user(struct socks *socks, struct buffer *out)
{
    if (socks->_in[1] == 0)
        return send_request(socks, out);
    return fail(socks, "it does not take the user name and password", true);
}

/* RFC 1928, 6 */
static enum socks_result take_reply(struct socks *socks)
{
    static const struct {
        const char *why;
        bool lasting;
    } failures[] = {
        {"of a general failure", false},  {"its rules do not allow it", true},
        {"network unreachable", false},   {"host unreachable", false},
        {"connection refused", false},    {"the time to live has expired", false},
        {"it does not do CONNECT", true}, {"it does not know that kind of address", true},
    };
    unsigned code = socks->_in[1];

    if (code == 0)
        return SOCKS_DONE;
    if (code > sizeof failures / sizeof *failures)
        return fail(socks, "of a reason that it does not tell", false);
    return fail(socks, failures[code - 1].why, failures[code - 1].lasting);
}

/* 90 is granted, 91 to 93 are refusals. */
static enum socks_result take_reply_4(struct socks *socks)
{
    static const char *const refusals[] = {
        "it refused or could not do it",
        "it cannot reach identd on this machine",
        "identd on this machine says that the user is another one",
    };
    unsigned code = socks->_in[1];

    if (code == 90)
        return SOCKS_DONE;
    if (code < 91 || code > 93)
        return fail(socks, "of a reason that it does not tell", false);
    return fail(socks, refusals[code - 91], code != 91);
}

/* The first byte of the answer that is being read. */
static uint8_t first_byte(const struct socks *socks)
{
    if (socks->_stage == STAGE_REPLY_4)
        return 0;
    return socks->_stage == STAGE_USER ? USER_VERSION : VERSION;
}

/* How long the answer is that is being read, as far as that is known yet; 0 when it is none. */
static size_t answer_len(const struct socks *socks)
{
    if (socks->_stage == STAGE_REPLY_4)
        return 8;
    if (socks->_stage != STAGE_REPLY)
        return 2;
    if (socks->_len < 5)
        return 5;
    switch (socks->_in[3]) {
    case ADDRESS_V4:
        return 4 + 4 + 2;
    case ADDRESS_V6:
        return 4 + 16 + 2;
    case ADDRESS_NAME:
        return 4 + 1 + (size_t) socks->_in[4] + 2;
    default:
        return 0;
    }
}

static enum socks_result take_answer(struct socks *socks, struct buffer *out)
{
    switch (socks->_stage) {
    case STAGE_METHOD:
        return take_method(socks, out);
    case STAGE_USER:
        return take_user(socks, out);
    case STAGE_REPLY_4:
        return take_reply_4(socks);
    default:
        return take_reply(socks);
    }
}

enum socks_result socks_feed(struct socks *socks, const uint8_t *data, size_t len, size_t *used,
                             struct buffer *out)
{
    enum socks_result result = SOCKS_MORE;

    for (*used = 0; *used < len && result == SOCKS_MORE; (*used)++) {
        socks->_in[socks->_len++] = data[*used];
        if (socks->_in[0] != first_byte(socks) || answer_len(socks) == 0)
            return fail(socks,
                        socks->_stage == STAGE_REPLY_4 ? "what it answers is not SOCKS4"
                                                       : "what it answers is not SOCKS5",
                        true);
        /* A refusal may stop short of its address. */
        if (socks->_stage == STAGE_REPLY && socks->_len == 2 && socks->_in[1] != 0)
            return take_reply(socks);
        if (socks->_len < answer_len(socks))
            continue;
        socks->_len = 0;
        result = take_answer(socks, out);
    }
    return result;
}
