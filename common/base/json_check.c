#include "common/base/json_check.h"

#include <string.h>
#include <uv.h>

/* What the text has come to: each name says what may come next. */
enum state {
    VALUE,
    ELEMENT_OR_END, /* behind '[' */
    MEMBER_OR_END,  /* behind '{' */
    MEMBER,         /* behind ',' in an object */
    COLON,
    SEPARATOR, /* behind a value: ',' or the end of what it stands in */
    STRING,
    ESCAPE,
    HEX,
    LITERAL,
    /* RFC 8259, 6; what begins with a digit here may also be at its end. */
    AFTER_MINUS,
    AFTER_ZERO,
    INTEGER,
    AFTER_POINT,
    FRACTION,
    AFTER_E,
    AFTER_SIGN,
    EXPONENT,
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static int go_to(struct json_check *check, enum state state)
{
    check->_state = (uint8_t) state;
    return 0;
}

/* ---- arrays and objects ---- */

static int open_container(struct json_check *check, bool object)
{
    uint64_t bit = (uint64_t) 1 << check->_depth % 64;
    uint64_t *word;

    if (check->_depth == JSON_CHECK_MAX_DEPTH)
        return UV_E2BIG;
    word = &check->_objects[check->_depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    check->_depth++;
    return go_to(check, object ? MEMBER_OR_END : ELEMENT_OR_END);
}

static bool is_in_object(const struct json_check *check)
{
    unsigned innermost = check->_depth - 1U;

    return (check->_objects[innermost / 64] >> innermost % 64 & 1) != 0;
}

static int close_container(struct json_check *check, bool object)
{
    if (check->_depth == 0 || is_in_object(check) != object)
        return UV_EINVAL;
    check->_depth--;
    return go_to(check, SEPARATOR);
}

static int separate(struct json_check *check, uint8_t byte)
{
    if (byte == ']' || byte == '}')
        return close_container(check, byte == '}');
    if (byte != ',' || check->_depth == 0)
        return UV_EINVAL;
    return go_to(check, is_in_object(check) ? MEMBER : VALUE);
}

/* ---- values ---- */

static int begin_string(struct json_check *check, bool is_name)
{
    check->_is_name = is_name;
    return go_to(check, STRING);
}

static int begin_literal(struct json_check *check, const char *rest)
{
    check->_rest = rest;
    return go_to(check, LITERAL);
}

static int begin_value(struct json_check *check, uint8_t byte)
{
    switch (byte) {
    case '"':
        return begin_string(check, false);
    case '{':
    case '[':
        return open_container(check, byte == '{');
    case 't':
        return begin_literal(check, "rue");
    case 'f':
        return begin_literal(check, "alse");
    case 'n':
        return begin_literal(check, "ull");
    case '-':
        return go_to(check, AFTER_MINUS);
    case '0':
        return go_to(check, AFTER_ZERO);
    default:
        return is_digit(byte) ? go_to(check, INTEGER) : UV_EINVAL;
    }
}

/* Between the tokens, where white space may stand. */
static int step_between(struct json_check *check, uint8_t byte)
{
    if (is_space(byte))
        return 0;
    switch (check->_state) {
    case ELEMENT_OR_END:
        return byte == ']' ? close_container(check, false) : begin_value(check, byte);
    case MEMBER_OR_END:
        if (byte == '}')
            return close_container(check, true);
        __attribute__((fallthrough));
    case MEMBER:
        return byte == '"' ? begin_string(check, true) : UV_EINVAL;
    case COLON:
        return byte == ':' ? go_to(check, VALUE) : UV_EINVAL;
    case SEPARATOR:
        return separate(check, byte);
    default:
        return begin_value(check, byte);
    }
}

static int step_number(struct json_check *check, uint8_t byte)
{
    switch (check->_state) {
    case AFTER_MINUS:
        return byte == '0' ? go_to(check, AFTER_ZERO)
                           : (is_digit(byte) ? go_to(check, INTEGER) : UV_EINVAL);
    case AFTER_POINT:
        return is_digit(byte) ? go_to(check, FRACTION) : UV_EINVAL;
    case AFTER_E:
        if (byte == '+' || byte == '-')
            return go_to(check, AFTER_SIGN);
        __attribute__((fallthrough));
    case AFTER_SIGN:
        return is_digit(byte) ? go_to(check, EXPONENT) : UV_EINVAL;
    default:
        break;
    }
    if (is_digit(byte) && check->_state != AFTER_ZERO)
        return 0;
    if (byte == '.' && (check->_state == AFTER_ZERO || check->_state == INTEGER))
        return go_to(check, AFTER_POINT);
    if ((byte == 'e' || byte == 'E') && check->_state != EXPONENT)
        return go_to(check, AFTER_E);
    check->_state = SEPARATOR; /* only what follows tells where a number ends */
    return step_between(check, byte);
}

static int step_string(struct json_check *check, uint8_t byte)
{
    if (byte == '"')
        return go_to(check, check->_is_name ? COLON : SEPARATOR);
    if (byte == '\\')
        return go_to(check, ESCAPE);
    return byte >= 0x20 ? 0 : UV_EINVAL; /* what is no UTF-8 was found before */
}

static int step_escape(struct json_check *check, uint8_t byte)
{
    if (byte != 'u')
        return byte != '\0' && strchr("\"\\/bfnrt", byte) != NULL ? go_to(check, STRING)
                                                                  : UV_EINVAL;
    check->_hex = 4;
    return go_to(check, HEX);
}

static int step(struct json_check *check, uint8_t byte)
{
    switch (check->_state) {
    case STRING:
        return step_string(check, byte);
    case ESCAPE:
        return step_escape(check, byte);
    case HEX:
        if (!is_hex(byte))
            return UV_EINVAL;
        return --check->_hex == 0 ? go_to(check, STRING) : 0;
    case LITERAL:
        if (byte != (uint8_t) *check->_rest)
            return UV_EINVAL;
        return *++check->_rest == '\0' ? go_to(check, SEPARATOR) : 0;
    default:
        return check->_state >= AFTER_MINUS ? step_number(check, byte) : step_between(check, byte);
    }
}

/* How many bytes at the front only go on with a string. */
static size_t plain_prefix(const uint8_t *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

int json_check_feed(struct json_check *check, const void *text, size_t len, size_t *at)
{
    const uint8_t *bytes = text;
    int status;

    *at = 0;
    if (!utf8_feed(&check->_utf8, bytes, len))
        return UV_EILSEQ;
    for (size_t i = 0; i < len; i++) {
        if (check->_state == STRING)
            i += plain_prefix(bytes + i, len - i);
        if (i == len)
            break;
        *at = i;
        status = step(check, bytes[i]);
        if (status != 0)
            return status;
    }
    return 0;
}

bool json_check_complete(const struct json_check *check)
{
    switch (check->_state) {
    case SEPARATOR:
    case AFTER_ZERO:
    case INTEGER:
    case FRACTION:
    case EXPONENT:
        return check->_depth == 0 && utf8_complete(&check->_utf8);
    default:
        return false;
    }
}
