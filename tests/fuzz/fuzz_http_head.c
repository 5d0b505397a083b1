/* The head parser: whole or in pieces, the same bytes mean the same.
 * Last byte: bit 0: a response; the others: how it is cut. */
#include "common/http/http_head.h"

#include "tests/fuzz/fuzz.h"

static enum http_head_result feed(struct http_head *head, struct fuzz_input input,
                                  struct fuzz_pieces pieces, size_t *all_used)
{
    enum http_head_result result = HTTP_HEAD_MORE;

    *all_used = 0;
    while (result == HTTP_HEAD_MORE && input.len > 0) {
        struct fuzz_input piece = fuzz_take(&input, fuzz_piece(&pieces, input.len));
        uint8_t *copy = fuzz_copy(piece.data, piece.len);
        size_t used = SIZE_MAX;

        result = http_head_feed(head, copy, piece.len, &used);
        free(copy);
        fuzz_check(used <= piece.len, "used %zu of %zu", used, piece.len);
        fuzz_check(result != HTTP_HEAD_MORE || used == piece.len, "bytes are left");
        *all_used += used;
    }
    return result;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void check_fields(const struct http_head *head, const struct http_head *other)
{
    static const char *const names[] = {"Host", "Connection", "Upgrade",
                                        "Sec-WebSocket-Extensions"};

    fuzz_check(head->_count <= HTTP_HEAD_MAX_FIELDS, "too many fields");
    fuzz_check(head->_count == other->_count, "%zu or %zu fields", head->_count, other->_count);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t count = http_head_count(head, names[i]);

        fuzz_check(count == http_head_count(other, names[i]), "fields named %s", names[i]);
        size_t mine = 0, its = 0;

        for (size_t k = 0; k < count; k++) {
            const char *value = http_head_next(head, names[i], &mine);
            const char *same = http_head_next(other, names[i], &its);

            fuzz_check(strcmp(value, same) == 0, "value '%s' or '%s'", value, same);
            fuzz_check(*value == '\0' || (!is_space(*value) && !is_space(value[strlen(value) - 1])),
                       "space around '%s'", value);
            fuzz_check(strpbrk(value, "\r\n") == NULL, "a line break in '%s'", value);
        }
        fuzz_check(http_head_next(head, names[i], &mine) == NULL, "one more %s", names[i]);
        (void) http_head_has_token(head, names[i], "upgrade");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t choice = fuzz_last(&input);
    enum http_head_kind kind = (choice & 1) != 0 ? HTTP_HEAD_RESPONSE : HTTP_HEAD_REQUEST;
    struct http_head whole, cut;
    enum http_head_result result, cut_result;
    size_t used, cut_used;

    http_head_init(&whole, kind);
    http_head_init(&cut, kind);
    result = feed(&whole, input, fuzz_pieces(0), &used);
    cut_result = feed(&cut, input, fuzz_pieces(1U + (choice >> 1)), &cut_used);
    fuzz_check(result == cut_result, "result %d whole, %d in pieces", result, cut_result);
    fuzz_check(used <= HTTP_HEAD_MAX_BYTES, "a head of %zu bytes", used);
    fuzz_check(strcmp(http_head_method(&whole), http_head_method(&cut)) == 0, "method");
    fuzz_check(strcmp(http_head_target(&whole), http_head_target(&cut)) == 0, "target");
    fuzz_check(strlen(http_head_target(&whole)) <= HTTP_HEAD_MAX_TARGET, "a long target");
    fuzz_check(strcmp(http_head_reason(&whole), http_head_reason(&cut)) == 0, "reason");
    /* In pieces, a name that is too many or too long is counted before its last byte is known to be
     * wrong. Then the limit decides; else it is the same thing that does. */
    if (result == HTTP_HEAD_DONE || (whole.limit == NULL) == (cut.limit == NULL))
        fuzz_check(result == HTTP_HEAD_MORE || whole.status == cut.status,
                   "status %d whole, %d in pieces", whole.status, cut.status);
    else
        fuzz_check(cut.limit != NULL && whole.status == 400, "%d whole, for '%s' in pieces",
                   whole.status, cut.limit);
    if (result == HTTP_HEAD_BAD)
        fuzz_check(whole.why != NULL && whole.status >= 400, "a refusal without a reason");
    if (result == HTTP_HEAD_DONE) {
        fuzz_check(used == cut_used, "%zu bytes whole, %zu in pieces", used, cut_used);
        fuzz_check(used > 0 && input.data[used - 1] == '\n', "the head ends within a line");
        fuzz_check(whole.major == 1 && whole.minor == cut.minor, "version");
        fuzz_check(whole.has_body == cut.has_body, "a body or none");
        fuzz_check(whole.keep_alive == cut.keep_alive, "to keep alive or not");
        check_fields(&whole, &cut);
    }
    http_head_deinit(&whole);
    http_head_deinit(&cut);
    return 0;
}
