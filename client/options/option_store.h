/* Options whose argument has a form of its own: how each is stored in `target`, a struct
 * client_options, for the table. All return 0; UV_EINVAL with a text that says what the argument
 * should be; or another UV_E* code with a text, when a file cannot be read or memory is out. */
#ifndef WS_CLIENT_OPTIONS_OPTION_STORE_H
#define WS_CLIENT_OPTIONS_OPTION_STORE_H

#include "common/base/error.h"

int option_store_message(void *target, const char *argument, struct error *error);
int option_store_message_file(void *target, const char *argument, struct error *error);
int option_store_field(void *target, const char *argument, struct error *error);
int option_store_close(void *target, const char *argument, struct error *error);
int option_store_event(void *target, const char *argument, struct error *error);
int option_store_query(void *target, const char *argument, struct error *error);
int option_store_sni(void *target, const char *argument, struct error *error);
int option_store_subprotocol(void *target, const char *argument, struct error *error);
int option_store_origin(void *target, const char *argument, struct error *error);
int option_store_user_agent(void *target, const char *argument, struct error *error);
int option_store_resolve(void *target, const char *argument, struct error *error);
int option_store_connect_to(void *target, const char *argument, struct error *error);
int option_store_proxy(void *target, const char *argument, struct error *error);
int option_store_unix_socket(void *target, const char *argument, struct error *error);
int option_store_since(void *target, const char *argument, struct error *error);

#endif
