#include "common/http/secret.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_looks_like_a_credential_in_a_query_is_masked(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"ws://h/?access_token=s3", "ws://h/?access_token=***"},
        {"ws://h/?a=1&token=s3&b=2", "ws://h/?a=1&token=***&b=2"},
        {"ws://h/?api_key=s3&key=s3&sig=s3", "ws://h/?api_key=***&key=***&sig=***"},
        {"ws://h/?auth=s3&jwt=s3&password=s3#f", "ws://h/?auth=***&jwt=***&password=***#f"},
        {"ws://h/?TOKEN=s3", "ws://h/?TOKEN=***"},
        {"ws://h/?apiKey=s3&accessToken=s3", "ws://h/?apiKey=***&accessToken=***"},
        {"ws://h/?X-Amz-Signature=s3", "ws://h/?X-Amz-Signature=***"},
        {"ws://h/?token=s3=s3/s3?s3", "ws://h/?token=***"},
        {"ws://h/?token=", "ws://h/?token="},
        {"ws://h/?token", "ws://h/?token"},
        {"GET /ws?token=s3 HTTP/1.1", "GET /ws?token=*** HTTP/1.1"},
        {"Location: '/x?key=s3'", "Location: '/x?key=***'"},
        {"??token=s3", "??token=***"},
        {"/?&&key=s3", "/?&&key=***"},
        {"ws://h/token=open?monkey=1&history=all&tokens=3", NULL},
        {"ws://h/key", NULL},
        {"", NULL},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *expected = cases[i].shown != NULL ? cases[i].shown : cases[i].text;
        char out[200];

        assert_string_equal(secret_mask(out, sizeof out, cases[i].text, strlen(cases[i].text)),
                            expected);
        for (size_t size = 1; size <= strlen(expected); size++) { /* cut anywhere */
            (void) secret_mask(out, size, cases[i].text, strlen(cases[i].text));
            assert_int_equal(strlen(out), size - 1);
            assert_memory_equal(out, expected, size - 1);
        }
    }
}

static void the_largest_result_fits_in_its_size(void **state)
{
    char text[300] = "", out[SECRET_MASKED_SIZE(300)];

    (void) state;
    for (size_t at = 0; at + 6 < sizeof text; at += 6)
        memcpy(text + at, "&key=x", 6);
    assert_string_equal(secret_mask(out, sizeof out, text, strlen(text)) + strlen(out) - 8,
                        "&key=***");
}

static void a_subprotocol_with_a_credential_is_known(void **state)
{
    static const struct {
        const char *name;
        bool secret;
    } cases[] = {
        {"bearer.abc", true},
        {"Bearer.abc", true},
        {"base64url.bearer.authorization.k8s.io.YWJj", true},
        {"authorization", true},
        {"auth-abc", true},
        {"AUTH", true},
        {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"mqtt", false},
        {"graphql-transport-ws", false},
        {"com.microsoft.minecraft.wsencrypt", false},
        {"wsbroadcast", false},
        {"aut", false},
        {"", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (secret_is_subprotocol(cases[i].name, strlen(cases[i].name)) != cases[i].secret)
            fail_msg("'%s'", cases[i].name);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_looks_like_a_credential_in_a_query_is_masked),
        cmocka_unit_test(the_largest_result_fits_in_its_size),
        cmocka_unit_test(a_subprotocol_with_a_credential_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
