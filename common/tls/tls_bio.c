#include "common/tls/tls_bio.h"

#include <string.h>

static int on_read(BIO *handle, char *data, int len)
{
    struct tls_bio *bio = BIO_get_data(handle);
    size_t n = len > 0 ? (size_t) len : 0;

    BIO_clear_retry_flags(handle);
    if (bio->in_len == 0) {
        BIO_set_retry_read(handle);
        return -1;
    }
    if (n > bio->in_len)
        n = bio->in_len;
    memcpy(data, bio->in, n);
    bio->in += n;
    bio->in_len -= n;
    return (int) n;
}

static int on_write(BIO *handle, const char *data, int len)
{
    struct tls_bio *bio = BIO_get_data(handle);

    BIO_clear_retry_flags(handle);
    if (len <= 0)
        return 0;
    if (bio->out.len > TLS_BIO_MAX_OUT || buffer_append(&bio->out, data, (size_t) len) != 0)
        return -1;
    return len;
}

static long on_ctrl(BIO *handle, int command, long number, void *pointer)
{
    (void) handle;
    (void) number;
    (void) pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "websocket");

    if (method == NULL)
        return NULL;
    (void) BIO_meth_set_read(method, on_read); /* setters: they cannot fail */
    (void) BIO_meth_set_write(method, on_write);
    (void) BIO_meth_set_ctrl(method, on_ctrl);
    return method;
}

void tls_bio_method_free(BIO_METHOD *method)
{
    BIO_meth_free(method);
}

BIO *tls_bio_new(const BIO_METHOD *method, struct tls_bio *bio)
{
    BIO *handle = BIO_new(method);

    if (handle == NULL)
        return NULL;
    BIO_set_data(handle, bio);
    BIO_set_init(handle, 1);
    return handle;
}
