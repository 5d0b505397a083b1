#include <inttypes.h>

#include "client/wire/traffic.h"
#include "common/base/plural.h"

/* Where lines of standard input must all be with the server, those that could not be sent count. */
static bool has_sent_all(const struct traffic *traffic, struct error *error)
{
    const struct client_options *options = traffic->_options;
    uint64_t skipped;

    (void) error_set(error, 0, "%s", "");
    if (!options->send)
        return true;
    skipped = traffic->_unsendable + input_skipped(&traffic->_input);
    if (options->input_eof == CLIENT_EOF_CLOSE && skipped > 0) {
        (void) error_set(error, 0, "%" PRIu64 " line%s of standard input %s not sent", skipped,
                         plural(skipped), skipped == 1 ? "was" : "were");
        return false;
    }
    return input_status(&traffic->_input) == 0; /* it has been said what went wrong */
}

bool traffic_is_complete(const struct traffic *traffic, struct error *error)
{
    const struct client_options *options = traffic->_options;

    if (options->until_live && resume_is_live(traffic->_resume))
        return has_sent_all(traffic, error);
    if (options->until_live && traffic->_until == NULL && options->count == 0) {
        (void) error_set(error, 0, "it ended before all came that the server had kept");
        return false;
    }
    if (traffic->_until != NULL && !traffic->_matched) {
        (void) error_set(error, 0, "it ended before a message came that --until matches");
        return false;
    }
    if (!traffic->_matched && traffic->_received < options->count) {
        (void) error_set(error, 0,
                         "%" PRIu64 " of %" PRIu64 " message%s came before the connection was "
                         "closed",
                         traffic->_received, options->count, plural(options->count));
        return false;
    }
    return has_sent_all(traffic, error);
}
