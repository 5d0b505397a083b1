/* The command of --token-command: it prints a fresh token, before each attempt to connect. What it
 * prints is secret: no message shows it. */
#ifndef WS_CLIENT_CONNECT_TOKEN_COMMAND_H
#define WS_CLIENT_CONNECT_TOKEN_COMMAND_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/error.h"

struct token_command;
struct token_command_run;

struct token_command_ops {
    /* It has ended well: the first line that it printed, borrowed for the call. */
    void (*on_token)(struct token_command *command, const char *token);
    /* It has failed, and why. */
    void (*on_failed)(struct token_command *command, const struct error *error);
};

struct token_command {
    uv_loop_t *_loop;
    const char *_text;
    const struct token_command_ops *_ops;
    struct token_command_run *_run; /* while it runs, or NULL */
};

/* `text`, for /bin/sh, and `ops` are borrowed. */
void token_command_init(struct token_command *command, uv_loop_t *loop, const char *text,
                        const struct token_command_ops *ops);

/* Starts it, unless it runs. What comes of it is told later, or within the call if it cannot be
 * started. */
void token_command_start(struct token_command *command);

/* True while it runs. */
bool token_command_is_running(const struct token_command *command);

/* Kills it, with all that it has started, if it runs: nothing is told. Run the loop once more
 * before it ends. */
void token_command_cancel(struct token_command *command);

#endif
