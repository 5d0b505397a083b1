/* A byte buffer that grows as bytes arrive, never on the word of a peer that announces them. */
#ifndef WS_COMMON_BASE_BUFFER_H
#define WS_COMMON_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* NULL while nothing was ever stored */
    size_t len;    /* bytes stored */
    size_t _size;  /* bytes allocated */
};

/* Also `struct buffer buffer = {0}`. No memory is held until something is stored. */
void buffer_init(struct buffer *buffer);
void buffer_deinit(struct buffer *buffer);

/* buffer_reserve, where the room is not there yet. */
int buffer_grow(struct buffer *buffer, size_t more);

/* Makes room for `more` bytes behind those stored; growth doubles, so that appending is linear in
 * all. Returns 0, or UV_ENOMEM with the buffer unchanged. */
static inline int buffer_reserve(struct buffer *buffer, size_t more)
{
    return more <= buffer->_size - buffer->len ? 0 : buffer_grow(buffer, more);
}

/* Copies `len` bytes in. Returns 0, or UV_ENOMEM with the buffer unchanged. */
int buffer_append(struct buffer *buffer, const void *data, size_t len);

/* Appends formatted text, without its NUL. Returns 0, or UV_ENOMEM with the buffer unchanged. */
int buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first `len` bytes (at most those stored); what is behind them moves to the front. */
void buffer_drop(struct buffer *buffer, size_t len);

#endif
