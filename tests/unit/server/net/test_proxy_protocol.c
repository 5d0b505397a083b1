#include "server/net/proxy_protocol.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_ADDRESSES "\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\x01\x00\x50" /* port 1025 to 80 */
#define V6_ADDRESSES \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x04\x01\x00\x50"

/* The step it ends with, fed in pieces of `piece` bytes. */
static enum proxy_protocol_step feed(const char *bytes, size_t len, size_t piece,
                                     struct proxy_protocol_client *client, size_t *taken)
{
    struct proxy_protocol header;
    enum proxy_protocol_step step = PROXY_PROTOCOL_MORE;

    proxy_protocol_init(&header);
    *taken = 0;
    while (step == PROXY_PROTOCOL_MORE && *taken < len) {
        size_t most = len - *taken < piece ? len - *taken : piece, used;

        assert_true(proxy_protocol_wants(&header) > 0);
        step = proxy_protocol_feed(&header, (const uint8_t *) bytes + *taken, most, &used, client);
        assert_true(used <= most);
        assert_true(used == most || step != PROXY_PROTOCOL_MORE);
        *taken += used;
    }
    return step;
}

static void says(const char *bytes, size_t len, const char *address, int port)
{
    static const size_t pieces[] = {1, 3, 16, 1000000};
    struct proxy_protocol_client client;
    char text[INET6_ADDRSTRLEN];
    char followed[512];
    size_t taken;

    memcpy(followed, bytes, len);
    memcpy(followed + len, "GET ", 4);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_int_equal(feed(followed, len + 4, pieces[i], &client, &taken), PROXY_PROTOCOL_DONE);
        assert_int_equal(taken, len); /* and nothing of what follows */
        assert_int_equal(client.known, address != NULL);
        if (address == NULL)
            continue;
        assert_int_equal(uv_ip_name((struct sockaddr *) &client.address, text, sizeof text), 0);
        assert_string_equal(text, address);
        assert_int_equal(ntohs(((struct sockaddr_in *) (void *) &client.address)->sin_port), port);
    }
}

static void is_bad(const char *bytes, size_t len)
{
    static const size_t pieces[] = {1, 16, 1000000};
    struct proxy_protocol_client client;
    size_t taken;

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (feed(bytes, len, pieces[i], &client, &taken) != PROXY_PROTOCOL_BAD)
            fail_msg("not bad: %.*s", (int) len, bytes);
    }
}

#define SAYS(bytes, address, port) says(bytes, sizeof(bytes) - 1, address, port)
#define IS_BAD(bytes) is_bad(bytes, sizeof(bytes) - 1)

static void version_1_says_the_client(void **state)
{
    (void) state;
    SAYS("PROXY TCP4 192.0.2.1 192.0.2.2 1025 80\r\n", "192.0.2.1", 1025);
    SAYS("PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n", "2001:db8::1", 65535);
    SAYS("PROXY UNKNOWN\r\n", NULL, 0);
    SAYS("PROXY UNKNOWN ffff:f...f:ffff what ever 1\r\n", NULL, 0);
}

static void version_2_says_the_client_and_its_further_fields_are_skipped(void **state)
{
    (void) state;
    SAYS(SIGNATURE "\x21\x11\x00\x0c" V4_ADDRESSES, "192.0.2.1", 1025);
    SAYS(SIGNATURE "\x21\x21\x00\x24" V6_ADDRESSES, "2001:db8::1", 1025);
    SAYS(SIGNATURE "\x21\x11\x00\x14" V4_ADDRESSES "\x04\x00\x05xxxxx", "192.0.2.1", 1025);
    SAYS(SIGNATURE "\x20\x00\x00\x00", NULL, 0);              /* LOCAL */
    SAYS(SIGNATURE "\x20\x11\x00\x03xxx", NULL, 0);           /* LOCAL, whatever follows */
    SAYS(SIGNATURE "\x21\x00\x00\x00", NULL, 0);              /* UNSPEC */
    SAYS(SIGNATURE "\x21\x31\x00\x04xxxx", NULL, 0);          /* Unix */
    SAYS(SIGNATURE "\x21\x12\x00\x0c" V4_ADDRESSES, NULL, 0); /* datagrams */
}

static void a_header_of_64_kib_is_skipped_to_its_end(void **state)
{
    static char bytes[16 + 65535 + 10];
    struct proxy_protocol_client client;
    size_t taken;

    (void) state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, SIGNATURE "\x21\x11\xff\xff" V4_ADDRESSES, 28);
    assert_int_equal(feed(bytes, sizeof bytes, 1000, &client, &taken), PROXY_PROTOCOL_DONE);
    assert_int_equal(taken, 16 + 65535);
    assert_true(client.known);
}

static void what_is_no_header_is_bad_at_its_first_wrong_byte(void **state)
{
    struct proxy_protocol_client client;
    size_t taken;

    (void) state;
    assert_int_equal(feed("PRO GET", 7, 1, &client, &taken), PROXY_PROTOCOL_BAD);
    assert_int_equal(taken, 4);
    IS_BAD("GET / HTTP/1.1\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 1025 80\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 1025\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 1025 80 81\r\n");
    IS_BAD("PROXY TCP4  192.0.2.1 192.0.2.2 1025 80\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 1025 80 \r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 01025 80\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1 nonsense 1025 80\r\n");
    IS_BAD("PROXY TCP4 2001:db8::1 2001:db8::2 1025 80\r\n");
    IS_BAD("PROXY TCP6 192.0.2.1 192.0.2.2 1025 80\r\n");
    IS_BAD("PROXY TCP6 fe80::1%lo fe80::2 1025 80\r\n");
    IS_BAD("PROXY UDP4 192.0.2.1 192.0.2.2 1025 80\r\n");
    IS_BAD("PROXY TCP4 192.0.2.1\0 192.0.2.2 1025 80\r\n");
    IS_BAD("PROXY \r\n");
    IS_BAD("\r\n\r\nGET");
    IS_BAD("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" V4_ADDRESSES); /* the signature, also at once */
    IS_BAD(SIGNATURE "\x11\x11\x00\x0c" V4_ADDRESSES);           /* version 1 in binary */
    IS_BAD(SIGNATURE "\x22\x11\x00\x0c" V4_ADDRESSES);           /* an unknown command */
    IS_BAD(SIGNATURE "\x21\x41\x00\x0c" V4_ADDRESSES);           /* an unknown family */
    IS_BAD(SIGNATURE "\x21\x13\x00\x0c" V4_ADDRESSES);           /* an unknown transport */
    IS_BAD(SIGNATURE "\x21\x11\x00\x0b" V4_ADDRESSES);           /* too short for its addresses */
    IS_BAD(SIGNATURE "\x21\x21\x00\x23" V6_ADDRESSES);
}

static void a_line_of_more_than_107_bytes_is_bad(void **state)
{
    char line[200];

    (void) state;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    says(line, 107, NULL, 0);
    memset(line + 105, 'x', 2);
    is_bad(line, sizeof line);
}

static void no_more_is_wanted_than_the_header_has(void **state)
{
    static const char bytes[] = SIGNATURE "\x21\x11\x00\x14" V4_ADDRESSES "\x04\x00\x05xxxxx";
    struct proxy_protocol_client client;
    struct proxy_protocol header;
    size_t used, at = 0;

    (void) state;
    proxy_protocol_init(&header);
    while (at < sizeof bytes - 1) {
        size_t wants = proxy_protocol_wants(&header);

        assert_true(at + wants <= sizeof bytes - 1);
        (void) proxy_protocol_feed(&header, (const uint8_t *) bytes + at, wants, &used, &client);
        at += used;
    }
    assert_true(client.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_says_the_client),
        cmocka_unit_test(version_2_says_the_client_and_its_further_fields_are_skipped),
        cmocka_unit_test(a_header_of_64_kib_is_skipped_to_its_end),
        cmocka_unit_test(what_is_no_header_is_bad_at_its_first_wrong_byte),
        cmocka_unit_test(a_line_of_more_than_107_bytes_is_bad),
        cmocka_unit_test(no_more_is_wanted_than_the_header_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
