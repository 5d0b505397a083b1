/* state_reader.h, fed by state_writer.h. */
#include "server/upgrade/state_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/upgrade/state_format.h"
#include "server/upgrade/state_writer.h"

enum { CHANNEL = 1, NAME = 1, EPOCH = 2, ROOM = 1 << 20 };

static const struct state_field fields[] = {
    {"name", NAME, STATE_BYTES, 300000, true},
    {"epoch", EPOCH, STATE_NUMBER, UINT64_MAX - 1, false},
};
static const struct state_rule rule = {"channel", CHANNEL, fields, 2};

struct state {
    uint8_t *data;
    size_t len;
};

static struct state seal(struct state_writer *writer)
{
    struct stat about;
    struct state state;
    int fd;

    assert_int_equal(state_writer_seal(writer, &fd), 0);
    assert_int_equal(fstat(fd, &about), 0);
    state.len = (size_t) about.st_size;
    state.data = malloc(state.len);
    assert_int_equal(pread(fd, state.data, state.len, 0), (ssize_t) state.len);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(errno, EPERM); /* sealed */
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    (void) close(fd);
    state_writer_deinit(writer);
    return state;
}

static struct state one_channel(void)
{
    struct state_writer writer;

    assert_int_equal(state_writer_init(&writer, ROOM), 0);
    state_writer_begin(&writer, CHANNEL);
    state_writer_bytes(&writer, NAME, "news", 4);
    state_writer_number(&writer, EPOCH, 0x0123456789abcdef);
    state_writer_end(&writer);
    return seal(&writer);
}

/* Reads all of it; the last status. `*records` may be NULL. */
static int read_all(const struct state *state, size_t *records, struct error *error)
{
    struct state_reader reader;
    struct state_record record;
    int status = state_reader_init(&reader, state->data, state->len, error);

    if (status != 0)
        return status;
    while ((status = state_reader_next(&reader, &rule, 1, &record, error)) == 1) {
        if (records != NULL)
            ++*records;
    }
    return status;
}

static void refused(struct state *state, const char *why)
{
    struct error error;

    assert_true(read_all(state, NULL, &error) < 0);
    assert_non_null(strstr(error.text, why));
    free(state->data);
}

static void test_what_is_written_is_read(void **unused)
{
    struct state state = one_channel();
    struct state_reader reader;
    struct state_record record;
    struct error error;

    (void) unused;
    assert_int_equal(state_reader_init(&reader, state.data, state.len, &error), 0);
    assert_int_equal(state_reader_next(&reader, &rule, 1, &record, &error), 1);
    assert_ptr_equal(record.rule, &rule);
    assert_int_equal(record.values[0].len, 4);
    assert_memory_equal(record.values[0].data, "news", 4);
    assert_true(record.values[1].number == 0x0123456789abcdef);
    assert_int_equal(state_reader_next(&reader, &rule, 1, &record, &error), 0);
    free(state.data);
}

static void test_many_records_pass_the_buffer(void **unused)
{
    static uint8_t name[200000];
    struct state_writer writer;
    struct state state;
    struct error error;
    size_t records = 0;

    (void) unused;
    assert_int_equal(state_writer_init(&writer, (uint64_t) 4 * ROOM), 0);
    for (int i = 0; i < 10; i++) {
        state_writer_begin(&writer, CHANNEL);
        state_writer_bytes(&writer, NAME, name, sizeof name);
        state_writer_end(&writer);
    }
    state = seal(&writer);
    assert_int_equal(read_all(&state, &records, &error), 0);
    assert_int_equal(records, 10);
    free(state.data);
}

static void test_a_cut_state_is_refused_wherever_it_is_cut(void **unused)
{
    struct state state = one_channel();
    struct error error;

    (void) unused;
    for (size_t len = 0; len < state.len; len++) {
        struct state cut = {malloc(len + 1), len};

        memcpy(cut.data, state.data, len);
        assert_true(read_all(&cut, NULL, &error) < 0);
        free(cut.data);
    }
    free(state.data);
}

static void test_another_version_is_refused(void **unused)
{
    struct state state = one_channel();

    (void) unused;
    state.data[STATE_MAGIC_SIZE]++;
    refused(&state, "version 2");
}

static void test_strict_about_fields(void **unused)
{
    const size_t first = STATE_HEADER_SIZE + STATE_PREFIX_SIZE;
    const size_t second = first + STATE_PREFIX_SIZE + 4;
    struct state state = one_channel();

    (void) unused;
    state.data[second] = 9;
    refused(&state, "field 9 is not known");
    state = one_channel();
    state.data[second] = NAME;
    refused(&state, "duplicate name");
    state = one_channel();
    state.data[first] = EPOCH;
    refused(&state, "epoch is not a number");
    state = one_channel();
    memset(state.data + second + STATE_PREFIX_SIZE, 0xff, STATE_NUMBER_SIZE);
    refused(&state, "epoch is out of range");
    state = one_channel();
    state.data[STATE_HEADER_SIZE] = 7;
    refused(&state, "kind 7 is not known");
}

static void test_nothing_follows_the_end(void **unused)
{
    struct state state = one_channel();

    (void) unused;
    state.data = realloc(state.data, state.len + 1);
    state.data[state.len++] = 0;
    refused(&state, "more behind its end");
}

static void test_a_required_field_is_missed(void **unused)
{
    struct state_writer writer;
    struct state state;

    (void) unused;
    assert_int_equal(state_writer_init(&writer, ROOM), 0);
    state_writer_begin(&writer, CHANNEL);
    state_writer_end(&writer);
    state = seal(&writer);
    refused(&state, "name is missing");
}

static void test_no_more_is_written_than_was_allowed(void **unused)
{
    struct state_writer writer;
    int fd = -1;

    (void) unused;
    assert_int_equal(state_writer_init(&writer, 30), 0);
    state_writer_begin(&writer, CHANNEL);
    state_writer_bytes(&writer, NAME, "a name that is too long", 23);
    state_writer_end(&writer);
    assert_int_equal(state_writer_seal(&writer, &fd), UV_ENOSPC);
    assert_int_equal(fd, -1);
    state_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_many_records_pass_the_buffer),
        cmocka_unit_test(test_a_cut_state_is_refused_wherever_it_is_cut),
        cmocka_unit_test(test_another_version_is_refused),
        cmocka_unit_test(test_strict_about_fields),
        cmocka_unit_test(test_nothing_follows_the_end),
        cmocka_unit_test(test_a_required_field_is_missed),
        cmocka_unit_test(test_no_more_is_written_than_was_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
