#include "server/http/http_html.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* True when the text stands in the page. */
static bool page_has(const char *why, const char *path, const char *text)
{
    struct buffer out = {0};
    bool has;

    assert_int_equal(http_html_write(&out, 404, why, path), 0);
    assert_memory_equal(out.data, "<!doctype html>\n", 16);
    has = memmem(out.data, out.len, text, strlen(text)) != NULL;
    buffer_deinit(&out);
    return has;
}

static void it_says_why_and_how_the_endpoint_is_used(void **state)
{
    (void) state;
    assert_true(page_has("not here", "/ws", "404: not here"));
    assert_true(page_has("", "/ws", "<code>/ws</code>"));
    assert_true(page_has("", "/ws", "<code>/ws/NAME</code>"));
    assert_true(page_has("", "/ws", "new EventSource(&quot;/ws&quot;)"));
    assert_true(page_has("", "/", "<code>/NAME</code>"));
}

static void what_html_acts_on_is_escaped(void **state)
{
    (void) state;
    assert_true(page_has("a <b> & \"c\"", "/ws", "a &#60;b&#62; &#38; &#34;c&#34;"));
    assert_true(page_has("", "/a&b'c", "<code>/a&#38;b&#39;c</code>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_why_and_how_the_endpoint_is_used),
        cmocka_unit_test(what_html_acts_on_is_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
