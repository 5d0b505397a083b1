#include "common/websocket/extension.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/decimal.h"

#define FIELD "Sec-WebSocket-Extensions"
#define DEFLATE "permessage-deflate"

enum {
    MAX_VALUE = 64, /* bytes of a parameter's value that can mean anything to us */
    ANY_BITS = 15,  /* the largest window, and the default */
    LEAST_BITS = 8,
};

/* ---- the grammar of RFC 6455, 9.1 ---- */

struct parameter {
    const char *name;
    size_t name_len;
    bool has_value;
    char value[MAX_VALUE + 1]; /* unquoted; longer ones are cut, and mean nothing anyway */
};

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

/* Reads a token. Returns its length, 0 when there is none. */
static size_t read_token(const char **at)
{
    size_t len = 0;

    while (is_token_char((*at)[len]))
        len++;
    *at += len;
    return len;
}

/* Reads a value: a token, or a quoted string whose content is a token. */
static bool read_value(const char **at, char value[MAX_VALUE + 1])
{
    bool quoted = **at == '"';
    size_t len = 0;

    if (quoted)
        (*at)++;
    for (;;) {
        if (quoted && **at == '\\')
            (*at)++;
        if (!is_token_char(**at))
            break;
        if (len < MAX_VALUE)
            value[len] = **at;
        len++;
        (*at)++;
    }
    value[len < MAX_VALUE ? len : MAX_VALUE] = '\0';
    if (quoted && **at != '"')
        return false;
    if (quoted)
        (*at)++;
    return len > 0;
}

/* Reads "; name" or "; name=value", if one is there. Returns 1, 0, or UV_EPROTO. */
static int read_parameter(const char **at, struct parameter *parameter)
{
    *parameter = (struct parameter){0};
    skip_space(at);
    if (**at != ';')
        return 0;
    (*at)++;
    skip_space(at);
    parameter->name = *at;
    parameter->name_len = read_token(at);
    if (parameter->name_len == 0)
        return UV_EPROTO;
    skip_space(at);
    if (**at != '=')
        return 1;
    (*at)++;
    skip_space(at);
    parameter->has_value = true;
    return read_value(at, parameter->value) ? 1 : UV_EPROTO;
}

/* ---- parameters of permessage-deflate ---- */

/* What one list element says. */
struct offer {
    bool valid; /* its parameters are permessage-deflate's, each at most once, with good values */
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool client_bits_named;
    uint8_t server_bits; /* 0: not named */
    uint8_t client_bits; /* 0: not named, or named without a value */
};

static bool named(const struct parameter *parameter, const char *name)
{
    return parameter->name_len == strlen(name) &&
           strncasecmp(parameter->name, name, parameter->name_len) == 0;
}

/* A flag: without a value, and once. */
static bool take_flag(const struct parameter *parameter, bool *flag)
{
    if (parameter->has_value || *flag)
        return false;
    *flag = true;
    return true;
}

/* 8 to 15, without leading zeros (RFC 7692, 7.1.2), and once. */
static bool take_bits(const struct parameter *parameter, uint8_t *bits)
{
    const char *value = parameter->value;
    uint64_t number;

    if (!parameter->has_value || *bits != 0 || *value == '0' ||
        !decimal_parse(value, strlen(value), ANY_BITS, &number))
        return false;
    *bits = (uint8_t) number;
    return number >= LEAST_BITS;
}

static bool take_parameter(const struct parameter *parameter, struct offer *offer)
{
    if (named(parameter, "server_no_context_takeover"))
        return take_flag(parameter, &offer->server_no_context_takeover);
    if (named(parameter, "client_no_context_takeover"))
        return take_flag(parameter, &offer->client_no_context_takeover);
    if (named(parameter, "server_max_window_bits"))
        return take_bits(parameter, &offer->server_bits);
    if (!named(parameter, "client_max_window_bits") || offer->client_bits_named)
        return false;
    offer->client_bits_named = true;
    return !parameter->has_value || take_bits(parameter, &offer->client_bits);
}

/* Reads one element of the list, whatever extension it names. Returns 0 or UV_EPROTO. */
static int read_offer(const char **at, struct offer *offer)
{
    struct parameter parameter = {.name = *at};
    int found;

    *offer = (struct offer){0};
    parameter.name_len = read_token(at);
    if (parameter.name_len == 0)
        return UV_EPROTO;
    offer->valid = named(&parameter, DEFLATE);
    while ((found = read_parameter(at, &parameter)) > 0)
        offer->valid = offer->valid && take_parameter(&parameter, offer);
    skip_space(at);
    if (found == 0 && **at != ',' && **at != '\0')
        return UV_EPROTO;
    return found;
}

/* Moves to the next element of the list. False at its end. */
static bool next_element(const char **at)
{
    *at += strspn(*at, ", \t");
    return **at != '\0';
}

/* ---- the server's side ---- */

static void accept_offer(const struct offer *offer, struct extension_deflate *deflate)
{
    *deflate = (struct extension_deflate){
        .agreed = true,
        /* All subscribers get the same compressed bytes, so no message may refer to an earlier one.
         */
        .server_no_context_takeover = true,
        .client_no_context_takeover = offer->client_no_context_takeover,
        .server_max_window_bits = offer->server_bits != 0 ? offer->server_bits : ANY_BITS,
        .client_max_window_bits = offer->client_bits != 0 ? offer->client_bits : ANY_BITS,
        ._answer_server_bits = offer->server_bits != 0,
        ._answer_client_bits = offer->client_bits != 0,
    };
}

int extension_accept(const struct http_head *request, struct extension_deflate *deflate)
{
    const char *at;
    size_t cursor = 0;

    *deflate = (struct extension_deflate){0};
    while ((at = http_head_next(request, FIELD, &cursor)) != NULL) {
        if (!next_element(&at))
            return UV_EPROTO;
        do {
            struct offer offer;

            if (read_offer(&at, &offer) != 0)
                return UV_EPROTO;
            if (offer.valid && !deflate->agreed)
                accept_offer(&offer, deflate);
        } while (next_element(&at));
    }
    return 0;
}

int extension_write_answer(struct buffer *out, const struct extension_deflate *deflate)
{
    int status;

    if (!deflate->agreed)
        return 0;
    status =
        buffer_printf(out, FIELD ": " DEFLATE "%s%s",
                      deflate->server_no_context_takeover ? "; server_no_context_takeover" : "",
                      deflate->client_no_context_takeover ? "; client_no_context_takeover" : "");
    if (status == 0 && deflate->_answer_server_bits)
        status = buffer_printf(out, "; server_max_window_bits=%u", deflate->server_max_window_bits);
    if (status == 0 && deflate->_answer_client_bits)
        status = buffer_printf(out, "; client_max_window_bits=%u", deflate->client_max_window_bits);
    if (status == 0)
        status = buffer_append(out, "\r\n", 2);
    return status;
}

/* ---- the client's side ---- */

int extension_write_offer(struct buffer *out)
{
    return buffer_printf(out, FIELD ": " DEFLATE "; client_max_window_bits\r\n");
}

int extension_check_response(const struct http_head *response, bool offered,
                             struct extension_deflate *deflate)
{
    const char *at = http_head_get(response, FIELD);
    struct offer answer;

    *deflate = (struct extension_deflate){0};
    if (at == NULL)
        return 0;
    if (!offered || http_head_count(response, FIELD) != 1 || !next_element(&at) ||
        read_offer(&at, &answer) != 0 || !answer.valid || next_element(&at))
        return UV_EPROTO;
    if (answer.client_bits_named && answer.client_bits == 0)
        return UV_EPROTO; /* an answer has to say how many */
    *deflate = (struct extension_deflate){
        .agreed = true,
        .server_no_context_takeover = answer.server_no_context_takeover,
        .client_no_context_takeover = answer.client_no_context_takeover,
        .server_max_window_bits = answer.server_bits != 0 ? answer.server_bits : ANY_BITS,
        .client_max_window_bits = answer.client_bits != 0 ? answer.client_bits : ANY_BITS,
    };
    return 0;
}
