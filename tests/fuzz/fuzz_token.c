/* Tokens: nothing that is not signed is accepted, and what is signed makes a principal that keeps
 * its promises, whatever stands in it. The last byte says what the input is: a token as it is, the
 * header and the claims of one (a line each) that is signed here, or what bears one in a query or
 * cookie. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/base64.h"
#include "server/auth/credentials.h"
#include "server/auth/jwt.h"
#include "server/syntax/pattern.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = JWT_MAX, NOW = 1000000000 };

static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const struct jwt_policy *policy(void)
{
    static struct jwt_policy policy;
    char path[] = "/tmp/fuzz_token_XXXXXX";
    struct error error;
    int fd;

    if (policy.keys.count > 0)
        return &policy;
    fd = mkstemp(path);
    fuzz_check(fd >= 0 && write(fd, secret, sizeof secret - 1) == sizeof secret - 1, "no file");
    fuzz_check(jwt_keys_read(&policy.keys, path, &error) == 0, "%s", error.text);
    (void) close(fd);
    (void) unlink(path);
    return &policy;
}

static void check_principal(const struct identity *identity)
{
    const struct principal *principal = identity->principal;

    fuzz_check(identity->expires > NOW && identity->expires != PRINCIPAL_NEVER, "expired");
    fuzz_check(strlen(principal->user) <= PRINCIPAL_MAX_USER, "user");
    for (size_t right = 0; right < PRINCIPAL_RIGHTS; right++) {
        size_t count = 0;

        for (char **one = principal->patterns[right]; one != NULL && *one != NULL; one++) {
            fuzz_check(pattern_is_valid(*one), "pattern '%s'", *one);
            count++;
        }
        fuzz_check(count <= PRINCIPAL_MAX_PATTERNS, "patterns");
        (void) principal_may(principal, (enum principal_right) right, "a/b");
    }
}

/* Returns 0 if it is accepted. */
static int verify(const char *token, size_t len)
{
    char *copy = (char *) fuzz_copy(token, len);
    struct identity identity = {NULL, 0};
    const char *why = NULL;
    int status = jwt_verify(policy(), copy, len, NOW, &identity, &why);

    fuzz_check(status == 0 || (status == UV_EACCES && why != NULL && identity.principal == NULL),
               "status %d", status);
    if (status == 0)
        check_principal(&identity);
    principal_unref(identity.principal);
    free(copy);
    return status;
}

static void verify_signed(const struct fuzz_input *input)
{
    const uint8_t *newline = input->len > 0 ? memchr(input->data, '\n', input->len) : NULL;
    size_t header_len = newline != NULL ? (size_t) (newline - input->data) : 0;
    size_t rest = newline != NULL ? header_len + 1 : 0;
    char *header = base64url_encode(input->data, header_len);
    char *claims = base64url_encode(input->data + rest, input->len - rest);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    char text[4 * MOST], *signature;
    int len = snprintf(text, sizeof text, "%s.%s", header, claims);

    (void) HMAC(EVP_sha256(), secret, sizeof secret - 1, (unsigned char *) text, (size_t) len, mac,
                &mac_len);
    signature = base64url_encode(mac, mac_len);
    len += snprintf(text + len, sizeof text - (size_t) len, ".%s", signature);
    (void) verify(text, (size_t) len);
    free(signature);
    free(header);
    free(claims);
}

static void find(const struct fuzz_input *input)
{
    static const char begin[] = "GET / HTTP/1.1\r\nHost: a\r\nCookie: ", end[] = "\r\n\r\n";
    struct credentials_request request = {.cookie = "session", .origin_is_trusted = true};
    struct http_head head;
    size_t used;
    char *token = NULL;
    int status;

    http_head_init(&head, HTTP_HEAD_REQUEST);
    request.head = &head;
    request.query = (const char *) input->data;
    request.query_len = input->len;
    if (http_head_feed(&head, (const uint8_t *) begin, sizeof begin - 1, &used) == HTTP_HEAD_MORE &&
        http_head_feed(&head, input->data, input->len, &used) == HTTP_HEAD_MORE &&
        http_head_feed(&head, (const uint8_t *) end, sizeof end - 1, &used) == HTTP_HEAD_DONE) {
        status = credentials_find(&request, &token);
        fuzz_check(status == 0 || (status == UV_EINVAL && token == NULL), "status %d", status);
        fuzz_check(token == NULL || (*token != '\0' && strlen(token) <= CREDENTIALS_MAX), "token");
        if (token != NULL)
            fuzz_check(verify(token, strlen(token)) != 0, "accepted");
    }
    free(token);
    http_head_deinit(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    if (size > MOST)
        return 0;
    switch (fuzz_last(&input) % 3) {
    case 0:
        fuzz_check(verify((const char *) input.data, input.len) != 0, "accepted");
        break;
    case 1:
        verify_signed(&input);
        break;
    default:
        find(&input);
    }
    return 0;
}
