#include "server/auth/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool origin_is_trusted;

static void check(const char *method, const char *fields, const char *query, int status,
                  const char *wanted)
{
    struct http_head head;
    struct credentials_request request = {
        .head = &head,
        .query = query,
        .query_len = strlen(query),
        .cookie = "session",
        .origin_is_trusted = origin_is_trusted,
    };
    char text[4096], *token;
    size_t used;
    int len = snprintf(text, sizeof text, "%s / HTTP/1.1\r\n%s\r\n", method, fields);

    assert_true(len > 0 && (size_t) len < sizeof text);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, (size_t) len, &used),
                     HTTP_HEAD_DONE);
    assert_int_equal(credentials_find(&request, &token), status);
    if (wanted == NULL)
        assert_null(token);
    else
        assert_string_equal(token != NULL ? token : "(none)", wanted);
    free(token);
    http_head_deinit(&head);
}

static void finds(const char *fields, const char *query, const char *token)
{
    check("GET", fields, query, 0, token);
}

static void refuses(const char *fields, const char *query)
{
    check("GET", fields, query, UV_EINVAL, NULL);
}

static void each_source_gives_its_token(void **state)
{
    (void) state;
    finds("", "", NULL);
    finds("Authorization: Bearer abc\r\n", "", "abc");
    finds("authorization: bearer   abc\r\n", "", "abc");
    finds("Cookie: a=b; session=abc; c=d\r\n", "", "abc");
    finds("Cookie: session=\"abc\"\r\n", "", "abc");
    finds("Sec-WebSocket-Protocol: wsbroadcast, bearer.abc\r\n", "", "abc");
    finds("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: bearer.abc\r\n", "", "abc");
    finds("", "a=b&access_token=a%62c&d", "abc");
}

static void the_first_source_counts_even_if_it_is_of_no_use(void **state)
{
    static const char all[] = "Sec-WebSocket-Protocol: bearer.p\r\nCookie: session=c\r\n"
                              "Authorization: Bearer a\r\n";

    (void) state;
    finds(all, "access_token=q", "a");
    finds("Sec-WebSocket-Protocol: bearer.p\r\nCookie: session=c\r\n", "access_token=q", "c");
    finds("Sec-WebSocket-Protocol: bearer.p\r\n", "access_token=q", "p");
    refuses("Authorization: Basic eDp5\r\n", "access_token=q");
    refuses("Authorization: Bearer \r\n", "access_token=q");
    refuses("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n", "");
    refuses("Cookie: session=\r\n", "access_token=q");
    refuses("Sec-WebSocket-Protocol: bearer.a, bearer.b\r\n", "");
    refuses("Sec-WebSocket-Protocol: bearer.\r\n", "");
    refuses("", "access_token=a&access_token=b");
    refuses("", "access_token=");
    refuses("", "access_token=%4");
    refuses("", "access_token=a%00b");
}

static void what_only_looks_like_a_source_is_none(void **state)
{
    (void) state;
    finds("Cookie: xsession=abc; session2=def; session\r\n", "", NULL);
    finds("Sec-WebSocket-Protocol: bearer, xbearer.abc\r\n", "", NULL);
    finds("", "xaccess_token=a&access_token2=b&access_token", NULL);
}

static void a_cookie_counts_only_where_a_foreign_page_cannot_have_sent_it(void **state)
{
    (void) state;
    finds("Cookie: session=a\r\nOrigin: https://evil.example\r\n", "", NULL);
    finds("Cookie: session=a\r\nSec-Fetch-Site: cross-site\r\n", "", NULL);
    finds("Cookie: session=a\r\nSec-Fetch-Site: same-site\r\n", "", NULL);
    finds("Cookie: session=a\r\nSec-Fetch-Site: same-origin\r\n", "", "a");
    finds("Cookie: session=a\r\nSec-Fetch-Site: none\r\n", "", "a");
    check("POST", "Cookie: session=a\r\n", "", 0, NULL);
    origin_is_trusted = true;
    finds("Cookie: session=a\r\nOrigin: https://ours.example\r\n", "", "a");
    check("POST", "Cookie: session=a\r\nOrigin: https://ours.example\r\n", "", 0, "a");
    origin_is_trusted = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_gives_its_token),
        cmocka_unit_test(the_first_source_counts_even_if_it_is_of_no_use),
        cmocka_unit_test(what_only_looks_like_a_source_is_none),
        cmocka_unit_test(a_cookie_counts_only_where_a_foreign_page_cannot_have_sent_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
