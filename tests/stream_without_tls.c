/* What the stand-ins for common/net/stream.c share: they speak no TLS, which has its own tests. So
 * a stream is ready at once, holds nothing back, and has no error of its own to tell. */
#include "common/net/stream.h"

int stream_start_tls(struct stream *stream, struct tls_context *context, const char *host)
{
    (void) stream;
    (void) context;
    (void) host;
    return UV_ENOTSUP;
}

int stream_accept_tls(struct stream *stream, struct tls_loop *loop)
{
    (void) stream;
    (void) loop;
    return UV_ENOTSUP;
}

int stream_set_peer_address(struct stream *stream, const struct sockaddr *address)
{
    (void) stream;
    (void) address;
    return UV_ENOTSUP;
}

bool stream_is_tls(const struct stream *stream)
{
    (void) stream;
    return false;
}

bool stream_has_waited(const struct stream *stream)
{
    (void) stream;
    return false;
}

bool stream_met_http(const struct stream *stream)
{
    (void) stream;
    return false;
}

bool stream_is_ready(const struct stream *stream)
{
    (void) stream;
    return true;
}

const char *stream_error(const struct stream *stream)
{
    (void) stream;
    return NULL;
}

size_t stream_held(const struct stream *stream)
{
    (void) stream;
    return 0;
}

void stream_limit_silence(struct stream *stream, unsigned milliseconds)
{
    (void) stream;
    (void) milliseconds;
}
