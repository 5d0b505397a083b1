/* What wsbroadcastd is told on its command line. */
#ifndef WS_SERVER_OPTIONS_H
#define WS_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/log.h"
#include "common/options.h"

enum { SERVER_OPTIONS_MAX_LISTENS = 16 };

struct server_options {
    const char *listens[SERVER_OPTIONS_MAX_LISTENS]; /* HOST:PORT, as given */
    size_t listen_count;
    const char *path;
    const char *prefix;
    uint64_t max_message; /* bytes; 0: no limit */
    bool no_compression;
    uint64_t compression_level; /* 1 to 9 */
    uint64_t compression_min;   /* bytes of payload */
    const char *tls_cert;       /* names of PEM files; NULL: ws:// */
    const char *tls_key;
    const char *tls_client_ca; /* NULL: clients need no certificate */
    enum log_level log_level;
    bool help;
    bool version;
};

extern const struct option_table server_options_table;

/* Fills in the defaults, then what the arguments say; strings are borrowed from `argv`. Returns 0,
 * or UV_EINVAL with a text for the user. */
int server_options_parse(struct server_options *options, int argc, char **argv,
                         struct error *error);

/* Cuts "HOST:PORT" or "[V6]:PORT" into its parts, NUL-terminated. Returns 0, or UV_EINVAL with a
 * text. */
int server_options_split_listen(const char *text, char host[256], char port[6],
                                struct error *error);

#endif
