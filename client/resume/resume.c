#include "client/resume/resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/log.h"

/* ---- life ---- */

static int load(struct resume *resume, const char *url, struct error *error)
{
    const struct client_options *options = resume->_options;
    char id[EVENT_ID_SIZE];
    int status;

    if (options->state_file == NULL)
        return 0;
    status = state_file_open(&resume->_file, options->state_file, url, &resume->position.id,
                             &resume->_stored, error);
    if (status != 0 || !resume->_stored)
        return status;
    resume->position.known = true;
    if (options->since.kind != CLIENT_SINCE_NOW && !options->since.implied && !options->quiet)
        log_info("going on behind %s, where '%s' says that it ended; --since is not heeded",
                 event_id_print(resume->position.id, id), options->state_file);
    return 0;
}

int resume_init(struct resume *resume, const struct client_options *options, const char *url,
                struct error *error)
{
    int status;

    *resume = (struct resume){._options = options, ._file = {._fd = -1}};
    status = load(resume, url, error);
    if (!resume->position.known && options->since.kind == CLIENT_SINCE_ID)
        resume->position = (struct position){.id = options->since.id, .known = true};
    return status;
}

void resume_deinit(struct resume *resume)
{
    state_file_close(&resume->_file);
    ledger_deinit(&resume->_ledger);
    free(resume->_target);
    resume->_target = NULL;
}

/* ---- asking ---- */

/* `target` is a path and perhaps a query. */
static char *with_history(const char *target, const struct client_since *since)
{
    char separator = strchr(target, '?') != NULL ? '&' : '?';
    char *text = NULL;
    int len;

    if (since->kind == CLIENT_SINCE_ALL)
        len = asprintf(&text, "%s%chistory=all", target, separator);
    else
        len = asprintf(&text, "%s%chistory=%" PRIu64, target, separator, since->count);
    return len >= 0 ? text : NULL;
}

int resume_ask(struct resume *resume, struct client_handshake_request *request)
{
    const struct client_since *since = &resume->_options->since;

    free(resume->_target);
    resume->_target = NULL;
    if (resume->position.known) {
        request->last_event_id = resume_id(resume);
        return 0;
    }
    if (resume->_opened || (since->kind != CLIENT_SINCE_ALL && since->kind != CLIENT_SINCE_LAST))
        return 0;
    resume->_target = with_history(request->target, since);
    request->target = resume->_target;
    return resume->_target != NULL ? 0 : UV_ENOMEM;
}

/* ---- what the server says ---- */

/* What was asked for cannot be had; told once. */
static void warn_of_no_ids(const struct resume *resume)
{
    const struct client_options *options = resume->_options;

    if (options->state_file != NULL)
        log_warn("the server gives no event IDs: the state file '%s' does not change",
                 options->state_file);
    else if (options->fail_on_gap)
        log_warn("the server gives no event IDs: gaps go unseen");
    else if (options->since.kind != CLIENT_SINCE_NOW)
        log_warn("the server gives no event IDs, and perhaps no history: --since may have done "
                 "nothing");
}

static int store(struct resume *resume, struct event_id id)
{
    int status = state_file_store(&resume->_file, id);

    if (status == 0)
        resume->_stored = true;
    return status;
}

int resume_open(struct resume *resume, const char *text, bool unheard, uint64_t *lost)
{
    bool first = !resume->_opened;
    bool back;

    resume->_unheard = unheard;
    resume->_own = 0; /* those of the last connection come as any others */
    *lost = position_open(&resume->position, text, &back);
    resume->_gap = position_add_gaps(resume->_gap, *lost);
    resume->_opened = true;
    if (back)
        log_warn("the server went back to %s: messages come again", resume_id(resume));
    if (!resume->position.known && first)
        warn_of_no_ids(resume);
    /* If killed before the first message, the next run goes on here, too. */
    if (resume->position.known && resume->_options->state_file != NULL && !resume->_stored)
        return store(resume, resume->position.id);
    return 0;
}

bool resume_aim(struct resume *resume, const char *text)
{
    resume->_live.known =
        text != NULL && position_parse(text, strlen(text), &resume->_live.id) == 0 &&
        resume->position.known && resume->position.id.epoch == resume->_live.id.epoch;
    return resume->_live.known;
}

/* Of the messages by which the position has moved, those of our own are not lost. */
static uint64_t without_own(struct resume *resume, uint64_t moved)
{
    uint64_t own = moved < resume->_own ? moved : resume->_own;

    if (moved == POSITION_UNKNOWN)
        return moved;
    resume->_own -= own;
    return moved - own;
}

/* Own messages, and others that are passed over, count as read: after being killed, the next run
 * goes on behind them. */
static int pass_own(struct resume *resume)
{
    uint64_t number;
    int status = resume_track(resume, &number);

    return status == 0 ? resume_arrive(resume, number) : status;
}

int resume_skip(struct resume *resume)
{
    resume_count(resume);
    return pass_own(resume);
}

int resume_ping(struct resume *resume, const uint8_t *payload, size_t len, uint64_t *lost)
{
    uint64_t moved = position_ping(&resume->position, payload, len);

    *lost = without_own(resume, moved);
    resume->_gap = position_add_gaps(resume->_gap, *lost);
    return moved > 0 && *lost == 0 ? pass_own(resume) : 0;
}

/* ---- messages ---- */

const char *resume_id(struct resume *resume)
{
    if (!resume->position.known)
        return "";
    return event_id_print(resume->position.id, resume->_id);
}

uint64_t resume_take_gap(struct resume *resume)
{
    uint64_t gap = resume->_gap;

    resume->_gap = 0;
    return gap;
}

int resume_track(struct resume *resume, uint64_t *number)
{
    *number = RESUME_UNTRACKED;
    if (resume->_options->state_file == NULL || !resume->position.known)
        return 0;
    return ledger_add(&resume->_ledger, resume->position.id, number);
}

int resume_arrive(struct resume *resume, uint64_t number)
{
    struct event_id id;

    if (number == RESUME_UNTRACKED || !ledger_arrive(&resume->_ledger, number, &id))
        return 0;
    return store(resume, id);
}

int resume_arrive_next(struct resume *resume)
{
    return resume_arrive(resume, ledger_first(&resume->_ledger));
}
