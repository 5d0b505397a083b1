#include "server/auth/token_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char complaints[4096];

static void note(void *context, const char *text)
{
    const char *path = context;

    assert_int_equal(strncmp(text, path, strlen(path)), 0);
    assert_true(strlen(complaints) + strlen(text) + 2 < sizeof complaints);
    (void) strncat(complaints, text + strlen(path), sizeof complaints - strlen(complaints) - 1);
    (void) strncat(complaints, "\n", sizeof complaints - strlen(complaints) - 1);
}

static int read_text(struct token_file *file, const char *text)
{
    char path[] = "/tmp/test_token_file_XXXXXX";
    int fd = mkstemp(path), status;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    *complaints = '\0';
    *file = (struct token_file){.count = 0};
    status = token_file_read(file, path, note, path);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void a_new_token_lets_its_user_in_by_its_line(void **state)
{
    char ann[TOKEN_FILE_TOKEN + 1], bob[TOKEN_FILE_TOKEN + 1], lines[2][TOKEN_FILE_LINE];
    char text[2 * TOKEN_FILE_LINE + 32];
    struct token_file file;
    struct principal *found;

    (void) state;
    assert_int_equal(token_file_new_token("ann", ann, lines[0]), 0);
    assert_int_equal(token_file_new_token("bob", bob, lines[1]), 0);
    assert_int_equal(strlen(ann), TOKEN_FILE_TOKEN);
    assert_string_not_equal(ann, bob);
    assert_null(strstr(lines[0], ann));
    (void) snprintf(text, sizeof text, "# ours\n\n  %s\r\n%s", lines[0], lines[1]);
    assert_int_equal(read_text(&file, text), 0);
    found = token_file_find(&file, ann, TOKEN_FILE_TOKEN);
    assert_non_null(found);
    assert_string_equal(found->user, "ann");
    assert_true(principal_may(found, PRINCIPAL_SUBSCRIBE, ""));
    assert_true(principal_may(found, PRINCIPAL_PUBLISH, "a/b"));
    principal_unref(found);
    found = token_file_find(&file, bob, TOKEN_FILE_TOKEN);
    assert_string_equal(found->user, "bob");
    principal_unref(found);
    assert_null(token_file_find(&file, ann, TOKEN_FILE_TOKEN - 1));
    assert_null(token_file_find(&file, "", 0));
    token_file_deinit(&file);
}

static void rights_are_the_lines(void **state)
{
    char token[TOKEN_FILE_TOKEN + 1], line[TOKEN_FILE_LINE], text[TOKEN_FILE_LINE + 64];
    struct token_file file;
    struct principal *found;

    (void) state;
    assert_int_equal(token_file_new_token("ann", token, line), 0);
    *strstr(line, " subscribe") = '\0';
    (void) snprintf(text, sizeof text, "%s publish=a/*,b\n", line);
    assert_int_equal(read_text(&file, text), 0);
    found = token_file_find(&file, token, TOKEN_FILE_TOKEN);
    assert_true(found->rights_given);
    assert_true(principal_may(found, PRINCIPAL_PUBLISH, "a/x"));
    assert_true(principal_may(found, PRINCIPAL_PUBLISH, "b"));
    assert_false(principal_may(found, PRINCIPAL_PUBLISH, "c"));
    assert_false(principal_may(found, PRINCIPAL_PUBLISH, ""));
    assert_false(principal_may(found, PRINCIPAL_SUBSCRIBE, "b"));
    principal_unref(found);
    token_file_deinit(&file);
    assert_int_equal(read_text(&file, line), 0);
    found = token_file_find(&file, token, TOKEN_FILE_TOKEN);
    assert_false(found->rights_given);
    principal_unref(found);
    token_file_deinit(&file);
}

static void a_line_is_found_by_its_hash(void **state)
{
    char token[TOKEN_FILE_TOKEN + 1], lines[3][TOKEN_FILE_LINE], text[4 * TOKEN_FILE_LINE];
    unsigned char other[PRINCIPAL_CREDENTIAL] = {0};
    struct token_file file;

    (void) state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(token_file_new_token("ann", token, lines[i]), 0);
    (void) snprintf(text, sizeof text, "%s\n%s\n%s\n", lines[0], lines[1], lines[2]);
    assert_int_equal(read_text(&file, text), 0);
    assert_int_equal(file.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(token_file_find_hash(&file, file.principals[i]->credential),
                         file.principals[i]);
    assert_null(token_file_find_hash(&file, other));
    token_file_deinit(&file);
    assert_null(token_file_find_hash(&file, other));
}

static void every_wrong_line_is_named(void **state)
{
    char token[TOKEN_FILE_TOKEN + 1], line[TOKEN_FILE_LINE], text[4 * TOKEN_FILE_LINE];
    struct token_file file;

    (void) state;
    assert_int_equal(token_file_new_token("ann", token, line), 0);
    (void) snprintf(text, sizeof text, "ann\nann sha256:12\nann md5:12\n%s\n%s\nbob%s\n#\nbob%s\n",
                    line, line, strchr(line, ' '), strchr(line, ' '));
    assert_int_equal(read_text(&file, text), UV_EINVAL);
    assert_non_null(strstr(complaints, ":1: behind the name there must be sha256:"));
    assert_non_null(strstr(complaints, "\n:2: behind the name"));
    assert_non_null(strstr(complaints, "\n:3: behind the name"));
    assert_null(strstr(complaints, ":4:"));
    assert_non_null(strstr(complaints, "\n:5: the same token stands in an earlier line"));
    assert_non_null(strstr(complaints, "\n:6: the same token"));
    assert_non_null(strstr(complaints, "\n:8: the same token"));
    token_file_deinit(&file);
}

static void rights_that_are_wrong_are_named(void **state)
{
    char token[TOKEN_FILE_TOKEN + 1], line[TOKEN_FILE_LINE], text[2 * TOKEN_FILE_LINE];
    struct token_file file;

    (void) state;
    assert_int_equal(token_file_new_token("ann", token, line), 0);
    (void) snprintf(text, sizeof text, "%s write=a publish=x,a**\n", line);
    assert_int_equal(read_text(&file, text), UV_EINVAL);
    assert_non_null(strstr(complaints, ":1: only subscribe="));
    assert_non_null(strstr(complaints, "not 'write=a'"));
    assert_non_null(strstr(complaints, ":1: this is not a channel pattern: 'a**'"));
    token_file_deinit(&file);
}

static void a_name_that_no_line_can_have_gets_no_token(void **state)
{
    char token[TOKEN_FILE_TOKEN + 1], line[TOKEN_FILE_LINE];

    (void) state;
    assert_int_equal(token_file_new_token("", token, line), UV_EINVAL);
    assert_int_equal(token_file_new_token("a b", token, line), UV_EINVAL);
    assert_int_equal(token_file_new_token("#a", token, line), UV_EINVAL);
    assert_int_equal(token_file_new_token("a\nb", token, line), UV_EINVAL);
}

static void what_is_no_file_is_an_error(void **state)
{
    struct token_file file = {.count = 0};
    char directory[] = "cannot read /tmp", missing[] = "cannot read /nonexistent/x";

    (void) state;
    *complaints = '\0';
    assert_int_equal(token_file_read(&file, "/tmp", note, directory), UV_EISDIR);
    assert_int_equal(token_file_read(&file, "/nonexistent/x", note, missing), UV_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_token_lets_its_user_in_by_its_line),
        cmocka_unit_test(rights_are_the_lines),
        cmocka_unit_test(a_line_is_found_by_its_hash),
        cmocka_unit_test(every_wrong_line_is_named),
        cmocka_unit_test(rights_that_are_wrong_are_named),
        cmocka_unit_test(a_name_that_no_line_can_have_gets_no_token),
        cmocka_unit_test(what_is_no_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
