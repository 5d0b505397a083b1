#include "server/upgrade/state_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "server/upgrade/state_format.h"

enum { FLUSH_SIZE = 256 * 1024 }; /* bytes that are collected for one write */

static void fail(struct state_writer *writer, int status)
{
    if (writer->_status == 0)
        writer->_status = status;
}

static void store(uint8_t *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t) (number >> (8 * i));
}

/* Appends what the file may still take. */
static void append(struct state_writer *writer, const void *data, size_t len)
{
    int status;

    if (writer->_status != 0 || len == 0)
        return;
    if (len > writer->_left) {
        fail(writer, UV_ENOSPC);
        return;
    }
    status = buffer_append(&writer->_out, data, len);
    if (status != 0)
        fail(writer, status);
    else
        writer->_left -= len;
}

static void prefix(struct state_writer *writer, uint16_t name, size_t len)
{
    uint8_t bytes[STATE_PREFIX_SIZE];

    if (len > UINT32_MAX)
        fail(writer, UV_E2BIG);
    store(bytes, name, 2);
    store(bytes + 2, len, 4);
    append(writer, bytes, sizeof bytes);
}

static void flush(struct state_writer *writer)
{
    size_t done = 0;

    while (writer->_status == 0 && done < writer->_out.len) {
        ssize_t written = write(writer->_fd, writer->_out.data + done, writer->_out.len - done);

        if (written >= 0)
            done += (size_t) written;
        else if (errno != EINTR)
            fail(writer, uv_translate_sys_error(errno));
    }
    writer->_out.len = 0;
}

int state_writer_init(struct state_writer *writer, uint64_t max)
{
    uint8_t version[STATE_HEADER_SIZE - STATE_MAGIC_SIZE];

    *writer = (struct state_writer){._left = max};
    writer->_fd = memfd_create("wsbroadcastd-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (writer->_fd == -1)
        fail(writer, uv_translate_sys_error(errno));
    append(writer, STATE_MAGIC, STATE_MAGIC_SIZE);
    store(version, STATE_VERSION, sizeof version);
    append(writer, version, sizeof version);
    return writer->_status;
}

void state_writer_deinit(struct state_writer *writer)
{
    buffer_deinit(&writer->_out);
    if (writer->_fd != -1)
        (void) close(writer->_fd);
    writer->_fd = -1;
}

void state_writer_begin(struct state_writer *writer, uint16_t kind)
{
    writer->_record = writer->_out.len;
    prefix(writer, kind, 0);
}

void state_writer_number(struct state_writer *writer, uint16_t tag, uint64_t number)
{
    uint8_t bytes[STATE_NUMBER_SIZE];

    store(bytes, number, sizeof bytes);
    state_writer_bytes(writer, tag, bytes, sizeof bytes);
}

void state_writer_bytes(struct state_writer *writer, uint16_t tag, const void *data, size_t len)
{
    prefix(writer, tag, len);
    append(writer, data, len);
}

void state_writer_end(struct state_writer *writer)
{
    size_t len;

    if (writer->_status != 0)
        return;
    len = writer->_out.len - writer->_record - STATE_PREFIX_SIZE;
    if (len > UINT32_MAX) {
        fail(writer, UV_E2BIG);
        return;
    }
    store(writer->_out.data + writer->_record + 2, len, 4);
    if (writer->_out.len >= FLUSH_SIZE)
        flush(writer);
}

int state_writer_seal(struct state_writer *writer, int *fd)
{
    prefix(writer, STATE_END, 0);
    flush(writer);
    if (writer->_status == 0 &&
        fcntl(writer->_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
        fail(writer, uv_translate_sys_error(errno));
    if (writer->_status != 0)
        return writer->_status;
    *fd = writer->_fd;
    writer->_fd = -1;
    return 0;
}
