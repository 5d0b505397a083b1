/* The header fields of -H: each argument is "NAME: VALUE", "NAME;" for a field without a value,
 * "NAME:" to leave out the field that wsrecv would send (in a file: any), or "@FILE" with such
 * lines; in a file, empty lines and those that begin with '#' are passed over. */
#ifndef WS_CLIENT_CONNECT_HEADER_FIELDS_H
#define WS_CLIENT_CONNECT_HEADER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "client/options/string_list.h"
#include "common/base/error.h"

struct header_fields {
    struct string_list lines;   /* as they are sent, without CRLF; but for Host */
    struct string_list removed; /* names of fields that are not to be sent */
    char *host;                 /* the value of Host, or NULL */
};

/* Adds an argument. Returns 0; UV_EINVAL, with a text that shows no value, for what is no header
 * field (RFC 9110, 5.5) or is the handshake's own, and for a second Authorization or Host; another
 * UV_E* code when the file cannot be read. Also on `struct header_fields fields = {0}`. */
int header_fields_add(struct header_fields *fields, const char *argument, struct error *error);
void header_fields_deinit(struct header_fields *fields);

/* Replaces `fields` by what `arguments` say now. Errors as above; then nothing is changed. */
int header_fields_load(struct header_fields *fields, const struct string_list *arguments,
                       struct error *error);

/* Adds the lines of a file to `arguments`, as they are: for what can be read only once. Returns 0,
 * or a negative UV_E* code with a text. */
int header_fields_read(struct string_list *arguments, FILE *file, const char *name,
                       struct error *error);

/* True when there is a field of this name; when the one of this name is to be left out. */
bool header_fields_have(const struct header_fields *fields, const char *name);
bool header_fields_remove(const struct header_fields *fields, const char *name);

/* How many of the first bytes are those of a token (RFC 9110, 5.6.2). */
size_t header_fields_token(const char *text);

/* True for what may be a field's value: no control characters but tab. */
bool header_fields_value_valid(const char *value);

#endif
