/* JSON: what json_check takes and refuses is what jansson does, but for what jansson cannot hold;
 * and it is the same however the text is cut. The choice: the pieces. */
#include "common/base/json_check.h"

#include <jansson.h>
#include <uv.h>

#include "common/base/utf8.h"
#include "tests/fuzz/fuzz.h"

/* What is told apart at the end. */
static int check(const uint8_t *text, size_t len, struct fuzz_pieces pieces)
{
    struct json_check checked = {0};
    size_t at, piece;

    for (; len > 0; text += piece, len -= piece) {
        uint8_t *copy;
        int status;

        piece = fuzz_piece(&pieces, len);
        copy = fuzz_copy(text, piece);
        status = json_check_feed(&checked, copy, piece, &at);
        free(copy);
        fuzz_check(at < piece, "offset %zu in a piece of %zu", at, piece);
        if (status != 0) {
            fuzz_check(status == UV_EINVAL || status == UV_E2BIG || status == UV_EILSEQ, "%d",
                       status);
            return status;
        }
    }
    return json_check_complete(&checked) ? 0 : UV_EOF;
}

/* jansson keeps values: it has no place for some that the grammar has. */
static bool is_beyond_jansson(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           strstr(error->text, "invalid Unicode") != NULL; /* a lone surrogate */
}

static void compare(const uint8_t *text, size_t len, int status)
{
    json_error_t error;
    json_t *json = json_loadb((const char *) text, len,
                              JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

    if (status == 0)
        fuzz_check(json != NULL || is_beyond_jansson(&error), "jansson says: %s", error.text);
    else if (status != UV_E2BIG && memchr(text, '\0', len) == NULL) /* which it takes for an end */
        fuzz_check(json == NULL, "jansson takes what is refused with %d", status);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t pieces = fuzz_last(&input);
    uint8_t *text = fuzz_copy(input.data, input.len);
    int whole = check(text, input.len, fuzz_pieces(0));
    int cut = check(text, input.len, fuzz_pieces(pieces));

    /* What is no UTF-8 is found before what is no JSON in the same piece. */
    fuzz_check((whole == 0) == (cut == 0) && (whole == UV_EOF) == (cut == UV_EOF),
               "%d whole, %d in pieces", whole, cut);
    fuzz_check(whole == cut || !utf8_valid(text, input.len), "%d whole, %d in pieces", whole, cut);
    compare(text, input.len, whole);
    free(text);
    return 0;
}
