/* What wsbroadcastd is told on its command line. */
#ifndef WS_SERVER_CONFIG_SERVER_OPTIONS_H
#define WS_SERVER_CONFIG_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/cli/options.h"
#include "common/tls/tls_context.h"
#include "server/broadcast/channel_settings.h"
#include "server/syntax/trusted_proxies.h"

enum {
    SERVER_OPTIONS_MAX_LISTENS = 16,
    SERVER_OPTIONS_MAX_ORIGINS = 64,
    SERVER_OPTIONS_MAX_NAMES = 64,
    SERVER_OPTIONS_MAX_WORKERS = 1024,
    SERVER_OPTIONS_MAX_JWT_KEYS = 16,
};

/* Who may do something; what is not given follows from the others: see server_options_settings. */
enum server_options_who {
    SERVER_OPTIONS_NOT_GIVEN,
    SERVER_OPTIONS_ANYONE,
    SERVER_OPTIONS_AUTHORIZED,
    SERVER_OPTIONS_NOBODY,
};

struct server_options {
    const char *listens[SERVER_OPTIONS_MAX_LISTENS]; /* as given */
    size_t listen_count;                             /* 0: the default */
    bool tls_wanted;                                 /* by one of them */
    const char *admin;                               /* as given; NULL: there is none */
    const char *admin_token_file;                    /* NULL: none is asked for */
    const char *health_path;                         /* "": there is none */
    uint64_t workers;
    const char *path;
    const char *page; /* its path; NULL: /, where only this machine listens */
    bool no_page;
    const char *prefix;
    const char *subprotocols[CHANNEL_MAX_SUBPROTOCOLS];
    size_t subprotocol_count;
    const char *stdin_channel; /* "": the default one; NULL: standard input is not read */
    const char *stdout_channel;
    bool no_echo;
    const char *origins[SERVER_OPTIONS_MAX_ORIGINS];
    size_t origin_count;
    const char *server_names[SERVER_OPTIONS_MAX_NAMES];
    size_t server_name_count; /* 0: any */
    struct trusted_proxies trusted_proxies;
    unsigned publish; /* bits: CHANNEL_BY_WS … */
    enum server_options_who may_subscribe;
    enum server_options_who may_publish;
    const char *token_file;                            /* NULL: there is none */
    const char *jwt_keys[SERVER_OPTIONS_MAX_JWT_KEYS]; /* names of files */
    size_t jwt_key_count;
    const char *jwt_issuer; /* NULL: any */
    const char *jwt_audience;
    uint64_t jwt_leeway; /* milliseconds */
    bool jwt_allow_no_expiry;
    const char *auth_cookie; /* NULL: none bears a token */
    const char *new_token;   /* the user for whom one is to be made; NULL: none */
    /* Limits: 0 turns each of them off. Times are in milliseconds. */
    uint64_t max_message; /* bytes */
    uint64_t max_lag;     /* bytes */
    uint64_t max_lag_messages;
    uint64_t max_lag_time; /* that a message may wait */
    bool skip_slow;        /* a subscriber that lags further misses messages, and is not closed */
    uint64_t max_fragments;
    uint64_t max_empty_fragments;
    uint64_t max_header_bytes;
    uint64_t max_header_count;
    uint64_t max_connections;
    uint64_t max_connections_per_address;
    uint64_t max_connections_per_user;
    uint64_t max_auth_failures; /* in a minute, from one address */
    uint64_t max_messages_per_second;
    uint64_t max_bytes_per_second;
    uint64_t max_control_per_second;
    uint64_t max_memory;    /* bytes that all clients together may make the server hold */
    uint64_t min_read_rate; /* bytes a second, if it is given; else */
    bool read_mildly;       /* a mild form of it holds while memory is scarce (see peer_memory.h) */
    uint64_t handshake_timeout;
    uint64_t keepalive_timeout;
    uint64_t close_timeout;
    uint64_t message_timeout;
    uint64_t idle_timeout;
    uint64_t ping_interval;
    uint64_t ping_timeout;
    struct history_policy history;
    uint64_t history_total;  /* bytes of all channels: of memory, or of the store */
    uint64_t history_memory; /* with a store: bytes of memory of the newest of them */
    const char *store;       /* a file; NULL: messages are kept in memory alone */
    bool store_fast;         /* a commit does not wait for the disk */
    uint64_t store_patience; /* milliseconds */
    bool check_store;
    bool new_epoch;
    uint64_t max_subscribers;
    uint64_t max_channels;    /* beside the default one */
    bool listed_channels;     /* clients make none; those of the pipes are there */
    bool authorized_channels; /* only who has a right there makes one */
    bool no_compression;
    uint64_t compression_level;           /* 1 to 9 */
    uint64_t compression_min;             /* bytes of payload */
    const char *tls_certs[TLS_MAX_PAIRS]; /* names of PEM files */
    const char *tls_keys[TLS_MAX_PAIRS];  /* of each its key */
    size_t tls_cert_count;                /* 0: ws:// */
    size_t tls_key_count;
    const char *tls_client_ca; /* NULL: clients need no certificate */
    enum log_level log_level;
    bool log_json;        /* or text */
    const char *log_file; /* NULL: stderr */
    bool log_connections;
    uint64_t drain_delay;    /* milliseconds */
    uint64_t drain;          /* milliseconds */
    const char *config_file; /* NULL: there is none */
    bool check_config;
    bool print_config;
    bool help;
    bool version;
};

#define SERVER_OPTIONS_UNSET UINT64_MAX /* before server_options_settle */

extern const struct option_table server_options_table;

/* Fills in the defaults, then what the arguments say; strings are borrowed from `argv`. Returns 0,
 * or UV_EINVAL with a text for the user. config.h does the same with a file. */
int server_options_parse(struct server_options *options, int argc, char **argv,
                         struct error *error);

/* Fills in the defaults. */
void server_options_init(struct server_options *options);

/* What the options mean together, once all are stored. Returns 0, or UV_EINVAL with a text. */
int server_options_settle(struct server_options *options, struct error *error);

/* True if there is a source of credentials. */
bool server_options_authenticate(const struct server_options *options);

/* What bounds each step of the server's own end, in milliseconds: --close-timeout, or its default
 * where that is turned off, as the end must come. */
uint64_t server_options_stop_timeout(const struct server_options *options);

/* Bytes that a reader may lag behind; 0: any number. */
uint64_t server_options_max_lag(const struct server_options *options);

/* What the options say of channels: who may do what where that is not given is anyone, or, with a
 * token file or a JWT key, who is authorized. Not the prefix, which is the default channel's alone.
 * Strings are the options' own. */
struct channel_settings server_options_settings(const struct server_options *options);

#endif
