#include "server/broadcast/channel_settings.h"

#include "server/syntax/pattern.h"

const struct channel_settings channel_settings_none = {
    .prefix = "",
    .publish = CHANNEL_BY_WS | CHANNEL_BY_HTTP,
};

const struct channel_settings *channel_rules_find(const struct channel_rules *rules,
                                                  const char *name)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (pattern_matches(rules->list[i].pattern, name))
            return &rules->list[i].settings;
    }
    return *name == '\0' ? &rules->of_default : &rules->others;
}

/* All settings, by number; NULL behind the last. */
static const struct channel_settings *settings_at(const struct channel_rules *rules, size_t i)
{
    if (i < rules->count)
        return &rules->list[i].settings;
    if (i == rules->count)
        return &rules->others;
    return i == rules->count + 1 ? &rules->of_default : NULL;
}

uint64_t channel_rules_least_lag_time(const struct channel_rules *rules)
{
    const struct channel_settings *settings;
    uint64_t least = 0;

    for (size_t i = 0; (settings = settings_at(rules, i)) != NULL; i++) {
        if (settings->lag.time > 0 && (least == 0 || settings->lag.time < least))
            least = settings->lag.time;
    }
    return least;
}

bool channel_rules_have_age(const struct channel_rules *rules)
{
    const struct channel_settings *settings;

    for (size_t i = 0; (settings = settings_at(rules, i)) != NULL; i++) {
        if (settings->history.age > 0)
            return true;
    }
    return false;
}

bool channel_rules_have_rates(const struct channel_rules *rules)
{
    const struct channel_settings *settings;

    for (size_t i = 0; (settings = settings_at(rules, i)) != NULL; i++) {
        if (settings->max_messages_per_second > 0 || settings->max_bytes_per_second > 0)
            return true;
    }
    return false;
}
