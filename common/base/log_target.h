/* Where a log goes: stderr, and what that is; or a file. */
#ifndef WS_COMMON_BASE_LOG_TARGET_H
#define WS_COMMON_BASE_LOG_TARGET_H

#include <stdbool.h>

#include "common/base/log_line.h"

/* True when stderr is the stream to journald that JOURNAL_STREAM names (systemd.exec(5)): there,
 * lines begin with their priority. */
bool log_target_is_journal(void);

/* How lines on stderr begin: as journald has it; with the time on a terminal and in a file; or with
 * the program alone, for the reader of a pipe or socket, such as a container's, which adds the time
 * itself. */
enum log_prefix log_target_prefix(void);

/* Opens a log file, to write behind what it has; makes it if need be, with mode 0640. Never waits
 * for the reader of a FIFO: without one, UV_ENXIO. Returns a descriptor or a negative UV_E* code.
 */
int log_target_open(const char *path);

#endif
