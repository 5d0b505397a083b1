/* Going on where we were: which position is asked for when a connection is opened (--since,
 * --state-file, or what the last connection came to), what was lost between, and keeping the
 * position of what has been printed, or of the commands that have ended. It outlives connections.
 */
#ifndef WS_CLIENT_RESUME_RESUME_H
#define WS_CLIENT_RESUME_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "client/connect/client_handshake.h"
#include "client/options/client_options.h"
#include "client/resume/ledger.h"
#include "client/resume/position.h"
#include "client/resume/state_file.h"
#include "common/base/error.h"

#define RESUME_UNTRACKED UINT64_MAX /* the number of a message whose way is not followed */

struct resume {
    struct position position; /* of the last message that has come */
    const struct client_options *_options;
    bool _opened;  /* there was a connection: --since has been heard */
    bool _unheard; /* the server does not send us our own messages */
    uint64_t _own; /* of these, those that it has not counted yet, as far as we know */
    uint64_t _gap; /* before the next message; POSITION_UNKNOWN as ever */
    struct ledger _ledger;
    struct state_file _file;
    struct position _live; /* where history ended when the connection was opened */
    bool _stored;          /* there is a position in the file */
    char _id[EVENT_ID_SIZE];
    char *_target; /* of the request, if it is not the URL's */
};

/* Reads the state file, if there is to be one, for `url`. `options` is borrowed. Returns 0, or a
 * negative UV_E* code with a text, and then there is nothing to deinit. */
int resume_init(struct resume *resume, const struct client_options *options, const char *url,
                struct error *error);
void resume_deinit(struct resume *resume);

/* Adds to a request what it is to ask for; that is valid until the next call. Returns 0 or
 * UV_ENOMEM. */
int resume_ask(struct resume *resume, struct client_handshake_request *request);

/* A connection is open; `text` is the response's Last-Event-ID, or NULL. `unheard`: our own
 * messages are left out of what the server sends, and pings tell how far they reach. `*lost` is how
 * many messages have been lost, as in position.h. Returns 0, or a negative UV_E* code when the
 * position cannot be stored. */
int resume_open(struct resume *resume, const char *text, bool unheard, uint64_t *lost);

/* Within resume_open's connection: `text` is the response's Live-Event-ID, or NULL. False when it
 * does not say how far history goes. */
bool resume_aim(struct resume *resume, const char *text);

/* True when all has come that the server had when the connection was opened. */
static inline bool resume_is_live(const struct resume *resume)
{
    return resume->_live.known && resume->position.known &&
           resume->position.id.epoch == resume->_live.id.epoch &&
           resume->position.id.sequence >= resume->_live.id.sequence;
}

/* A message of our own goes out. */
static inline void resume_sent(struct resume *resume)
{
    resume->_own += resume->_unheard ? 1 : 0;
}

/* A message has come: nothing here is done more often. */
static inline void resume_count(struct resume *resume)
{
    position_count(&resume->position);
}

/* A message has come, and is passed over. Returns 0, or a negative UV_E* code when the position
 * cannot be stored. */
int resume_skip(struct resume *resume);

/* A ping has come. `*lost` is how many messages have been lost: those by which the position moves,
 * but for our own where they are left out. Returns 0, or a negative UV_E* code when the position
 * cannot be stored. */
int resume_ping(struct resume *resume, const uint8_t *payload, size_t len, uint64_t *lost);

/* The ID of the last message, "" when the server gives none; valid until the next call. */
const char *resume_id(struct resume *resume);

/* How many messages were lost just before the last one; it is told once. */
uint64_t resume_take_gap(struct resume *resume);

/* The last message is on its way out. Returns 0 and its number, which may be RESUME_UNTRACKED; or
 * UV_ENOMEM. */
int resume_track(struct resume *resume, uint64_t *number);

/* It is out: its place is stored as soon as those before it are out, too. Returns 0 or a negative
 * UV_E* code. */
int resume_arrive(struct resume *resume, uint64_t number);

/* The same for the first that is not out yet. */
int resume_arrive_next(struct resume *resume);

#endif
