#include "client/session.h"

#include <stdlib.h>

#include "client/session_private.h"
#include "common/base/log.h"

static void push(void *owner)
{
    traffic_push(&((struct session *) owner)->traffic);
}

static void init_handles(struct session *session)
{
    uv_loop_t *loop = &session->loop;

    monitor_init(&session->monitor, loop, session->options, push, session);
    monitor_hide(&session->monitor, target_fields(&session->target));
    /* None of these can fail: they ask nothing of the system that the loop has not got. */
    (void) uv_prepare_init(loop, &session->turn_end);
    (void) uv_prepare_start(&session->turn_end, session_end_on_turn_end);
    (void) uv_timer_init(loop, &session->timeout);
    (void) uv_timer_init(loop, &session->attempt);
    (void) uv_timer_init(loop, &session->pause);
    if (session->options->timeout > 0)
        (void) uv_timer_start(&session->timeout, session_end_on_timeout, session->options->timeout,
                              0);
    signals_init(&session->signals, loop, &session_signals_ops);
}

/* Everything that needs the loop. On failure, which it reports, what was made is left to the end of
 * the process. */
static int start(struct session *session)
{
    struct error error;
    int status = uv_loop_init(&session->loop);

    if (status == 0)
        status = connection_init(&session->connection, &session->loop, session->options,
                                 &session_connection_ops, &session->monitor);
    if (status != 0) {
        log_error("cannot start: %s", uv_strerror(status));
        return status;
    }
    status = traffic_init(&session->traffic, &session->loop,
                          &(struct traffic_config){
                              .options = session->options,
                              .url = target_url(&session->target)->text,
                              .resume = &session->resume,
                              .ops = &session_traffic_ops,
                          },
                          &error);
    if (status != 0) {
        log_error("%s", error.text);
        return status;
    }
    connector_init(&session->connector, &session->loop, session->options, &session_connector_ops);
    token_command_init(&session->token_command, &session->loop, session->options->token_command,
                       &session_token_ops);
    backoff_init(&session->backoff, session->options->retry_max_delay, session->options->retries);
    init_handles(session);
    return 0;
}

static void run(struct session *session)
{
    int status = start(session);

    if (status != 0) {
        session->exit = CLIENT_OUTPUT;
        return;
    }
    session_attempt_begin(session);
    (void) uv_run(&session->loop, UV_RUN_DEFAULT);
    connector_deinit(&session->connector);
    connection_deinit(&session->connection);
    traffic_deinit(&session->traffic);
    tls_context_free(session->tls);
    (void) uv_loop_close(&session->loop);
}

/* What can be wrong with the files that the options name. Returns 0, or an error with a text. */
static int prepare(struct session *session, struct error *error)
{
    const struct client_options *options = session->options;
    int status = traffic_check(options, error);

    if (status == 0)
        status = ready_init(&session->ready, options, error);
    if (status == 0)
        status = target_init(&session->target, options, error);
    if (status != 0)
        return status;
    status = resume_init(&session->resume, options, target_url(&session->target)->href, error);
    if (status != 0)
        target_deinit(&session->target);
    return status;
}

struct session_end session_run(const struct client_options *options)
{
    struct session *session = calloc(1, sizeof *session);
    struct session_end how = {.exit = CLIENT_OUTPUT};
    struct error error;
    int prepared;

    if (session == NULL) {
        log_error("out of memory");
        return how;
    }
    session->options = options;
    prepared = prepare(session, &error);
    if (prepared == 0) {
        run(session);
        resume_deinit(&session->resume);
        target_deinit(&session->target);
    } else {
        log_error("%s", error.text);
        session->exit = state_file_is_full(prepared) ? CLIENT_OUTPUT : CLIENT_USAGE;
    }
    how.exit = session->exit;
    how.signal = session->signal;
    free(session->location);
    free(session->said);
    free(session);
    return how;
}
