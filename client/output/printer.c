#include "client/output/printer.h"

#include <unistd.h>

#include "common/base/list.h"

enum { KEPT = 1024 * 1024 }; /* bytes of room that are kept for the next turn; more is given back */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Waits for the reader to go, and for `events`. */
static void watch(struct printer *printer, int events)
{
    (void) uv_poll_start(&printer->_poll, events | descriptor_hangup_event(&printer->_out),
                         on_poll);
}

int printer_init(struct printer *printer, uv_loop_t *loop, int (*on_mark)(struct printer *printer),
                 void (*on_drained)(struct printer *printer),
                 void (*on_broken)(struct printer *printer, int status))
{
    int status;

    *printer =
        (struct printer){._on_mark = on_mark, ._on_drained = on_drained, ._on_broken = on_broken};
    descriptor_open(&printer->_out, STDOUT_FILENO, true);
    if (!descriptor_is_pollable(&printer->_out))
        return 0;
    status = descriptor_poll_init(&printer->_out, loop, &printer->_poll);
    if (status == 0)
        watch(printer, 0);
    return status;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct printer *printer = container_of(handle, struct printer, _poll);

    descriptor_close(&printer->_out);
}

void printer_drop(struct printer *printer)
{
    printer->_broken = true;
    buffer_deinit(&printer->_lines);
    buffer_deinit(&printer->_marks);
    printer->_written = 0;
    printer->_passed = 0;
}

void printer_close(struct printer *printer)
{
    printer_drop(printer);
    if (descriptor_is_pollable(&printer->_out))
        uv_close((uv_handle_t *) &printer->_poll, on_poll_closed);
}

/* Bytes that are written of a message whose mark is not reached: it will come again as a whole. */
static size_t fragment(const struct printer *printer)
{
    const size_t *marks = (const size_t *) (const void *) printer->_marks.data;

    if (printer->_passed == printer->_marks.len / sizeof *marks)
        return 0;
    return printer->_written - (printer->_passed > 0 ? marks[printer->_passed - 1] : 0);
}

static void breaks(struct printer *printer, int status)
{
    if (printer->_broken)
        return;
    descriptor_take_back(&printer->_out, fragment(printer));
    printer_drop(printer);
    printer->_on_broken(printer, status);
}

/* The disconnection of the reader, or room after a full pipe. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct printer *printer = container_of(poll, struct printer, _poll);

    if (status != 0 || (events & UV_DISCONNECT) != 0) {
        breaks(printer, UV_EPIPE);
        return;
    }
    printer_flush(printer);
}

int printer_mark(struct printer *printer)
{
    return buffer_append(&printer->_marks, &printer->_lines.len, sizeof printer->_lines.len);
}

static bool has_mark(const struct printer *printer)
{
    return printer->_passed < printer->_marks.len / sizeof(size_t);
}

/* How far the next write may go. */
static size_t goal(const struct printer *printer)
{
    return has_mark(printer)
               ? ((const size_t *) (const void *) printer->_marks.data)[printer->_passed]
               : printer->_lines.len;
}

/* Tells of the marks that are reached. Returns 0 or what on_mark says. */
static int pass_marks(struct printer *printer)
{
    int status = 0;

    while (status == 0 && has_mark(printer) && printer->_written == goal(printer)) {
        printer->_passed++;
        status = printer->_on_mark(printer);
    }
    return status;
}

/* The pipe is full: wait until its reader has made room. */
static void wait_for_room(struct printer *printer)
{
    if (printer->_waiting)
        return;
    printer->_waiting = true;
    watch(printer, UV_WRITABLE);
}

static void all_written(struct printer *printer)
{
    if (printer->_lines.len > KEPT)
        buffer_deinit(&printer->_lines);
    printer->_lines.len = 0;
    printer->_written = 0;
    printer->_marks.len = 0;
    printer->_passed = 0;
    if (!printer->_waiting)
        return;
    printer->_waiting = false;
    watch(printer, 0);
    printer->_on_drained(printer);
}

static bool has_work(const struct printer *printer)
{
    return !printer->_broken && (printer->_lines.len > 0 || has_mark(printer));
}

/* Returns 0 when all is written, UV_EAGAIN when the reader has to make room first, or another
 * negative UV_E* code. */
static int write_lines(struct printer *printer)
{
    int status = pass_marks(printer); /* of messages that become nothing */

    while (status == 0 && printer->_written < printer->_lines.len) {
        ssize_t n = descriptor_write(&printer->_out, printer->_lines.data + printer->_written,
                                     goal(printer) - printer->_written);

        if (n < 0)
            return (int) n;
        printer->_written += (size_t) n;
        status = pass_marks(printer);
    }
    if (status != 0) { /* the message is out, and must not go again */
        printer_drop(printer);
        printer->_failure = status;
    }
    return status;
}

/* Tells of what on_mark has refused. */
static bool tell_failure(struct printer *printer)
{
    int status = printer->_failure;

    printer->_failure = 0;
    if (status != 0)
        printer->_on_broken(printer, status);
    return status != 0;
}

void printer_flush(struct printer *printer)
{
    int status;

    if (tell_failure(printer) || !has_work(printer))
        return;
    status = write_lines(printer);
    if (status == 0)
        all_written(printer);
    else if (status == UV_EAGAIN)
        wait_for_room(printer);
    else if (!tell_failure(printer))
        breaks(printer, status);
}

void printer_push(struct printer *printer)
{
    if (has_work(printer))
        (void) write_lines(printer); /* what it comes to, printer_flush finds out */
}

bool printer_is_waiting(const struct printer *printer)
{
    return printer->_waiting;
}
