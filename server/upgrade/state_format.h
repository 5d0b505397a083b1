/* The format in which one process hands its state to the next: a header, then records of fields.
 *
 *     header   8 bytes STATE_MAGIC, u32 version
 *     record   u16 kind, u32 length, then fields of so many bytes together
 *     field    u16 tag, u32 length, then so many bytes; a number has 8
 *     end      a record of kind STATE_END with no bytes; nothing follows
 *
 * All integers are little-endian. Without the end the state is incomplete, and refused. The version
 * grows when a reader of before would misunderstand what it knows; a new field is a new tag, which
 * such a reader refuses by itself. */
#ifndef WS_SERVER_UPGRADE_STATE_FORMAT_H
#define WS_SERVER_UPGRADE_STATE_FORMAT_H

#include <stdint.h>

#define STATE_MAGIC "WSBSTATE"

enum {
    STATE_VERSION = 1,
    STATE_MAGIC_SIZE = 8,
    STATE_HEADER_SIZE = STATE_MAGIC_SIZE + 4,
    STATE_PREFIX_SIZE = 6, /* of a record and of a field */
    STATE_NUMBER_SIZE = 8,
    STATE_END = 0, /* the kind of the last record; others begin at 1 */
};

#endif
