#include "server/peer/peer_users.h"

#include <search.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/log.h"
#include "server/auth/auth.h"
#include "server/peer/peer_private.h"

enum {
    TICK = 1000, /* milliseconds between two looks at the wheel */
    BUDGET = 64, /* peers that are judged in a turn */
};

/* ---- the pool ---- */

enum { NUMBERS = 64 /* that there is room for at first */ };

/* A principal, and how many subscribers refer to it. */
struct pooled {
    struct principal *principal;
    size_t peers;
    uint32_t number;
};

static int compare(const void *left, const void *right)
{
    return principal_compare(((const struct pooled *) left)->principal,
                             ((const struct pooled *) right)->principal);
}

/* A quarter of the numbers is free, so that one is found soon. False when out of memory. */
static bool make_room(struct peer_users *users)
{
    uint32_t count = users->_number_count > 0 ? 2 * users->_number_count : NUMBERS;
    struct pooled **larger;

    if (users->_pooled < users->_number_count / 4 * 3)
        return true;
    larger = realloc(users->_numbers, count * sizeof(struct pooled *));
    if (larger == NULL)
        return false;
    for (uint32_t i = users->_number_count; i < count; i++)
        larger[i] = NULL;
    users->_numbers = larger;
    users->_number_count = count;
    return true;
}

static void number(struct peer_users *users, struct pooled *fresh)
{
    while (users->_numbers[users->_next_number] != NULL)
        users->_next_number = (users->_next_number + 1) % users->_number_count;
    fresh->number = users->_next_number;
    users->_numbers[fresh->number] = fresh;
    users->_pooled++;
}

/* Finds the pool's own of those that are equal. False when out of memory. */
static bool share(struct peer_users *users, struct principal *principal, uint32_t *at)
{
    struct pooled *fresh = calloc(1, sizeof *fresh), **found;

    if (fresh == NULL || !make_room(users)) {
        free(fresh);
        return false;
    }
    fresh->principal = principal;
    found = (struct pooled **) tsearch(fresh, &users->_principals, compare);
    if (found == NULL || *found != fresh) {
        free(fresh);
    } else {
        (void) principal_ref(principal);
        number(users, fresh);
    }
    if (found == NULL)
        return false;
    (*found)->peers++;
    *at = (*found)->number;
    return true;
}

static void put_back(struct peer_users *users, uint32_t at)
{
    struct pooled *pooled = users->_numbers[at];

    if (--pooled->peers > 0)
        return;
    (void) tdelete(pooled, &users->_principals, compare);
    users->_numbers[at] = NULL;
    users->_pooled--;
    principal_unref(pooled->principal);
    free(pooled);
}

static struct principal *principal_at(const struct peer_users *users, uint32_t at)
{
    return users->_numbers[at]->principal;
}

/* ---- the lists ---- */

static void turn(struct peer_users *users);

static void on_turn(uv_idle_t *idle)
{
    turn(container_of(idle, struct peer_users, _turn));
}

static void start_turning(struct peer_users *users)
{
    if (!uv_is_closing((uv_handle_t *) &users->_turn))
        (void) uv_idle_start(&users->_turn, on_turn);
}

/* Once a second. After a pause, or when the clock has been set, all slots that it has passed. */
static void on_tick(uv_timer_t *timer)
{
    struct peer_users *users = container_of(timer, struct peer_users, _tick);
    int64_t now = (int64_t) time(NULL);

    if (now < users->_looked || now - users->_looked > PEER_USERS_SLOTS)
        users->_looked = now - PEER_USERS_SLOTS;
    while (users->_looked < now) {
        users->_looked++;
        list_splice(&users->_doubtful, &users->_slots[users->_looked % PEER_USERS_SLOTS]);
    }
    if (!list_empty(&users->_doubtful))
        start_turning(users);
    if (users->_count == 0)
        (void) uv_timer_stop(timer);
}

static void start_ticking(struct peer_users *users)
{
    if (uv_is_active((uv_handle_t *) &users->_tick) || uv_is_closing((uv_handle_t *) &users->_tick))
        return;
    users->_looked = (int64_t) time(NULL) - 1;
    (void) uv_timer_start(&users->_tick, on_tick, TICK, TICK);
}

/* Lists it where it will be looked at. */
static void enlist(struct peer_users *users, struct peer_user *user)
{
    if (user->expires == PEER_USER_NEVER)
        list_move(&users->_lasting, &user->node);
    else
        list_move(&users->_slots[user->expires % PEER_USERS_SLOTS], &user->node);
}

/* ---- judging ---- */

static void end(struct peer *peer, const char *reason)
{
    struct transport *transport = &peer->transport;
    char name[64];

    if (!transport_is_open(transport))
        return; /* it is about to leave */
    log_debug("%s: ended: %s", stream_peer_name(&transport->stream, name, sizeof name), reason);
    if (peer_is_for_events(peer))
        transport_close(transport, CLOSE_POLICY, reason);
    else
        transport_reject(transport, CLOSE_POLICY, reason, NULL);
}

/* Takes over what the configuration of now makes of its credential. False if that is gone. */
static bool renew(struct peer_users *users, struct peer_user *user)
{
    struct limits *limits = users->_context->limits;
    struct principal *before = principal_at(users, user->principal);
    struct principal *renewed = auth_renew(users->_context->auth, before);
    uint32_t at;
    bool shared;

    if (renewed == NULL)
        return false;
    shared = share(users, renewed, &at);
    principal_unref(renewed);
    if (!shared)
        return false; /* closed, not left open */
    limits_rename_user(limits, before->user, principal_at(users, at)->user);
    put_back(users, user->principal);
    user->principal = at;
    return true;
}

static void check_user(struct peer_users *users, struct peer_user *user)
{
    struct peer *peer = user->peer;
    int64_t now = (int64_t) time(NULL);

    enlist(users, user);
    if (user->expires != PEER_USER_NEVER && now >= (int64_t) user->expires)
        end(peer, "token expired");
    else if (!renew(users, user))
        end(peer, "the token is not valid any more");
    else if (peer->_fanout != NULL && !peer_may(peer, PRINCIPAL_SUBSCRIBE))
        end(peer, "no right to subscribe any more");
}

/* Of those without a user: whether they still may. Returns how much of the budget is left. */
static unsigned check_anonymous(struct peer_users *users, unsigned budget)
{
    const struct list *all = &users->_context->records;

    while (users->_record != NULL && budget > 0) {
        struct peer_record *record = container_of(users->_record, struct peer_record, node);
        struct peer *peer = &container_of(record, struct counted_peer, record)->peer;

        if (users->_record == all) {
            users->_record = NULL;
            break;
        }
        users->_record = users->_record->next;
        budget--;
        if (peer_user(peer) == NULL && fanout_has(&peer->subscriber) &&
            !peer_may(peer, PRINCIPAL_SUBSCRIBE))
            end(peer, "no right to subscribe any more");
    }
    return budget;
}

static void turn(struct peer_users *users)
{
    unsigned budget = check_anonymous(users, BUDGET);

    for (; budget > 0 && !list_empty(&users->_doubtful); budget--)
        check_user(users, container_of(users->_doubtful.next, struct peer_user, node));
    if (users->_record == NULL && list_empty(&users->_doubtful))
        (void) uv_idle_stop(&users->_turn);
}

void peer_users_judge_all(struct peer_users *users)
{
    list_splice(&users->_doubtful, &users->_lasting);
    for (size_t i = 0; i < PEER_USERS_SLOTS; i++)
        list_splice(&users->_doubtful, &users->_slots[i]);
    if (!list_empty(&users->_context->records))
        users->_record = users->_context->records.next;
    if (users->_record != NULL || !list_empty(&users->_doubtful))
        start_turning(users);
}

void peer_users_forget_record(struct peer_users *users, const struct list *record)
{
    if (users->_record == record)
        users->_record = record->next;
}

/* ---- coming and going ---- */

const char *peer_users_enter(struct peer *peer, const struct identity *identity)
{
    struct peer_context *context = peer_surroundings(peer);
    struct peer_users *users = &context->users;
    struct peer_user *user;
    const char *limit = "";
    bool shared;

    if (identity->principal == NULL)
        return NULL;
    user = calloc(1, sizeof *user);
    if (user == NULL)
        return "";
    list_init(&user->node);
    user->peer = peer;
    user->expires = identity->expires < (int64_t) PEER_USER_NEVER ? (uint32_t) identity->expires
                                                                  : PEER_USER_NEVER;
    shared = share(users, identity->principal, &user->principal);
    if (shared)
        limit = limits_arrive_user(context->limits, identity->principal->user);
    if (limit != NULL) {
        if (shared)
            put_back(users, user->principal);
        free(user);
        return limit;
    }
    user->cold = peer->_extra;
    peer->_extra = (char *) user + PEER_IS_USER;
    enlist(users, user);
    if (user->expires != PEER_USER_NEVER) {
        users->_count++;
        start_ticking(users);
    }
    return NULL;
}

void peer_users_leave(struct peer *peer)
{
    struct peer_context *context = peer_surroundings(peer);
    struct peer_user *user = peer_user(peer);

    if (user == NULL)
        return;
    peer->_extra = user->cold;
    list_remove(&user->node);
    if (user->expires != PEER_USER_NEVER)
        context->users._count--;
    limits_depart_user(context->limits, principal_at(&context->users, user->principal)->user);
    put_back(&context->users, user->principal);
    free(user);
}

/* ---- what they are, and may ---- */

struct identity peer_identity(const struct peer *peer)
{
    const struct peer_user *user = peer_user(peer);

    if (user == NULL)
        return (struct identity){NULL, PRINCIPAL_NEVER};
    return (struct identity){principal_at(&peer_surroundings(peer)->users, user->principal),
                             user->expires == PEER_USER_NEVER ? PRINCIPAL_NEVER
                                                              : (int64_t) user->expires};
}

bool peer_may(const struct peer *peer, enum principal_right right)
{
    const struct channel *channel = peer->_fanout->channel;
    const struct channel_settings *settings = channel_settings(channel);
    const struct identity identity = peer_identity(peer);

    return auth_may(peer_surroundings(peer)->auth,
                    right == PRINCIPAL_PUBLISH ? settings->may_publish : settings->may_subscribe,
                    &identity, right, channel->name);
}

/* ---- life ---- */

void peer_users_init(struct peer_users *users, uv_loop_t *loop, struct peer_context *context)
{
    users->_context = context;
    for (size_t i = 0; i < PEER_USERS_SLOTS; i++)
        list_init(&users->_slots[i]);
    list_init(&users->_lasting);
    list_init(&users->_doubtful);
    (void) uv_timer_init(loop, &users->_tick);
    (void) uv_idle_init(loop, &users->_turn);
}

void peer_users_deinit(struct peer_users *users)
{
    free(users->_numbers);
}

void peer_users_close(struct peer_users *users)
{
    uv_close((uv_handle_t *) &users->_tick, NULL);
    uv_close((uv_handle_t *) &users->_turn, NULL);
}
