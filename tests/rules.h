/* Configurations that come from no file, for unit tests, fuzzers and benchmarks. */
#ifndef WS_TESTS_RULES_H
#define WS_TESTS_RULES_H

#include "server/broadcast/channel_settings.h"
#include "server/config/config.h"

/* What the options say, for all channels. */
static inline void rules_of_options(struct config *config, const struct server_options *options)
{
    *config = (struct config){.options = *options};
    config->rules.others = server_options_settings(options);
    config->rules.of_default = config->rules.others;
    config->rules.of_default.prefix = options->prefix;
}

/* Everything is open, and so much is kept, in all channels; valid until the next call. */
static inline const struct channel_rules *rules_keeping(const struct history_policy *policy)
{
    static struct channel_rules rules;

    rules = (struct channel_rules){.others = channel_settings_none};
    rules.others.history = *policy;
    rules.of_default = rules.others;
    return &rules;
}

#endif
