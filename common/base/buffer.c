#include "common/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BUFFER_FIRST_SIZE = 64 };

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){0};
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer);
}

int buffer_grow(struct buffer *buffer, size_t more)
{
    size_t size = buffer->_size;
    uint8_t *data;

    if (more > SIZE_MAX / 4 - buffer->len)
        return UV_ENOMEM;
    size = size > 0 ? size * 2 : BUFFER_FIRST_SIZE;
    if (size < buffer->len + more)
        size = buffer->len + more;
    data = realloc(buffer->data, size);
    if (data == NULL)
        return UV_ENOMEM;
    buffer->data = data;
    buffer->_size = size;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    int status = buffer_reserve(buffer, len);

    if (status != 0)
        return status;
    if (len > 0)
        memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return 0;
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int n, status;

    va_start(arguments, format);
    n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0)
        return UV_EINVAL;
    status = buffer_reserve(buffer, (size_t) n + 1);
    if (status != 0)
        return status;
    va_start(arguments, format);
    (void) vsnprintf((char *) buffer->data + buffer->len, (size_t) n + 1, format, arguments);
    va_end(arguments);
    buffer->len += (size_t) n;
    return 0;
}

void buffer_drop(struct buffer *buffer, size_t len)
{
    if (len > buffer->len)
        len = buffer->len;
    buffer->len -= len;
    if (buffer->len > 0)
        memmove(buffer->data, buffer->data + len, buffer->len);
}
