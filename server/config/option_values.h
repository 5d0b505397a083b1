/* The values of options that are more than a number or a text: each function checks one, and stores
 * it in the struct server_options that `target` is. For the option table alone. They return 0, or
 * UV_EINVAL with a text. */
#ifndef WS_SERVER_CONFIG_OPTION_VALUES_H
#define WS_SERVER_CONFIG_OPTION_VALUES_H

#include "common/base/error.h"
#include "server/config/server_options.h"

/* What options can be set to, at the most. */
#define MAX_LAG_LIMIT ((uint64_t) 1 << 40)

int option_values_listen(void *target, const char *argument, struct error *error);
int option_values_port(void *target, const char *argument, struct error *error);
int option_values_workers(void *target, const char *argument, struct error *error);
int option_values_path(void *target, const char *argument, struct error *error);
int option_values_prefix(void *target, const char *argument, struct error *error);
int option_values_origin(void *target, const char *argument, struct error *error);
int option_values_trusted_proxy(void *target, const char *argument, struct error *error);
int option_values_server_name(void *target, const char *argument, struct error *error);
int option_values_history_age(void *target, const char *argument, struct error *error);
int option_values_store_sync(void *target, const char *argument, struct error *error);
int option_values_store_patience(void *target, const char *argument, struct error *error);
int option_values_min_read_rate(void *target, const char *argument, struct error *error);
int option_values_max_lag(void *target, const char *argument, struct error *error);
int option_values_slow_consumer(void *target, const char *argument, struct error *error);
int option_values_stdin(void *target, const char *argument, struct error *error);
int option_values_stdout(void *target, const char *argument, struct error *error);
int option_values_publish(void *target, const char *argument, struct error *error);
int option_values_tls_cert(void *target, const char *argument, struct error *error);
int option_values_tls_key(void *target, const char *argument, struct error *error);
int option_values_create_channels(void *target, const char *argument, struct error *error);
int option_values_jwt_key(void *target, const char *argument, struct error *error);
int option_values_auth_cookie(void *target, const char *argument, struct error *error);
int option_values_may_subscribe(void *target, const char *argument, struct error *error);
int option_values_may_publish(void *target, const char *argument, struct error *error);
int option_values_admin(void *target, const char *argument, struct error *error);
int option_values_page(void *target, const char *argument, struct error *error);
int option_values_subprotocol(void *target, const char *argument, struct error *error);
int option_values_health_path(void *target, const char *argument, struct error *error);
int option_values_log_level(void *target, const char *argument, struct error *error);
int option_values_log_format(void *target, const char *argument, struct error *error);

#endif
