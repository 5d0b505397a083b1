#include "common/tls/tls_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 33 };

/* A connection that does as it is told. */
struct fake {
    struct tls_loop_node place;
    bool admitted;
    int turn; /* in which it was given its turn, or looked at; 0: it was not */
};

static uv_loop_t uv;
static struct tls_loop loop;
static struct fake fakes[MANY];
static int turn;
static size_t order[MANY], count;
static size_t unadmitted;

static struct fake *fake_of(struct tls_loop_node *place)
{
    return container_of(place, struct fake, place);
}

static void note(struct fake *fake)
{
    fake->turn = turn;
    order[count++] = (size_t) (fake - fakes);
}

static void take_turn(struct tls_loop_node *place)
{
    note(fake_of(place));
}

static bool is_admitted(struct tls_loop_node *place)
{
    note(fake_of(place));
    return fake_of(place)->admitted;
}

static struct stream *stream_of(struct tls_loop_node *place)
{
    return (struct stream *) (void *) fake_of(place); /* only its address counts */
}

static const struct tls_loop_ops ops = {take_turn, is_admitted, stream_of};

static void on_unadmitted(struct tls_loop *which, struct stream *stream)
{
    struct fake *fake = (struct fake *) (void *) stream;

    assert_ptr_equal(which, &loop);
    assert_false(fake->admitted);
    unadmitted++;
}

/* Returns how many of the fakes were visited in it. */
static size_t run_turn(void)
{
    size_t before = count;

    turn++;
    (void) uv_run(&uv, UV_RUN_NOWAIT);
    return count - before;
}

static int set_up(void **state)
{
    (void) state;
    turn = 0;
    count = unadmitted = 0;
    memset(fakes, 0, sizeof fakes);
    if (uv_loop_init(&uv) != 0)
        return -1;
    tls_loop_init(&loop, &uv, NULL, on_unadmitted);
    for (size_t i = 0; i < MANY; i++)
        tls_loop_node_init(&fakes[i].place, &ops);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    tls_loop_close(&loop);
    (void) uv_run(&uv, UV_RUN_DEFAULT);
    return uv_loop_close(&uv);
}

/* ---- turns ---- */

static void a_turn_has_so_many_steps_and_the_next_one_has_them_again(void **state)
{
    (void) state;
    for (int i = 0; i < 3; i++) {
        for (int step = 0; step < TLS_LOOP_STEPS; step++) {
            assert_true(tls_loop_has_room(&loop));
            tls_loop_count_step(&loop, false);
        }
        assert_false(tls_loop_has_room(&loop));
        (void) run_turn();
    }
    assert_int_equal(loop.steps, 3 * TLS_LOOP_STEPS);
}

static void who_waits_is_served_in_order_so_many_a_turn(void **state)
{
    (void) state;
    for (size_t i = 0; i < MANY; i++)
        tls_loop_wait(&loop, &fakes[i].place);
    for (size_t left = MANY; left > 0;) {
        size_t served = run_turn();

        assert_int_equal(served, left < TLS_LOOP_STEPS ? left : TLS_LOOP_STEPS);
        left -= served;
        assert_int_equal(tls_loop_has_room(&loop), left == 0 && served < TLS_LOOP_STEPS);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(order[i], i);
}

static void nobody_overtakes_who_waits(void **state)
{
    (void) state;
    tls_loop_wait(&loop, &fakes[0].place);
    assert_false(tls_loop_has_room(&loop));
    assert_int_equal(run_turn(), 1);
    assert_true(tls_loop_has_room(&loop));
}

static void the_loop_does_not_sleep_while_one_waits_and_sleeps_when_none_does(void **state)
{
    (void) state;
    assert_false(uv_loop_alive(&uv));
    tls_loop_wait(&loop, &fakes[0].place);
    assert_int_equal(uv_backend_timeout(&uv), 0);
    assert_int_equal(run_turn(), 1);
    (void) run_turn();
    assert_false(uv_loop_alive(&uv));
    tls_loop_count_step(&loop, false);
    assert_int_equal(uv_backend_timeout(&uv), 0);
    (void) run_turn();
    assert_false(uv_loop_alive(&uv));
}

static void who_leaves_gets_no_turn(void **state)
{
    (void) state;
    tls_loop_wait(&loop, &fakes[0].place);
    tls_loop_wait(&loop, &fakes[1].place);
    tls_loop_leave(&fakes[0].place);
    assert_int_equal(run_turn(), 1);
    assert_int_equal(fakes[0].turn, 0);
}

/* ---- certificates ---- */

static void all_certificates_are_verified_some_in_each_turn(void **state)
{
    (void) state;
    for (size_t i = 0; i < MANY; i++) {
        fakes[i].admitted = i % 3 != 0;
        tls_loop_list(&loop, &fakes[i].place, true);
    }
    assert_int_equal(run_turn(), 0);
    tls_loop_verify_all(&loop);
    for (size_t left = MANY; left > 0;) {
        size_t verified = run_turn();

        assert_int_equal(verified, left < TLS_LOOP_CHECKS ? left : TLS_LOOP_CHECKS);
        left -= verified;
    }
    assert_int_equal(unadmitted, MANY / 3);
    count = 0;
    tls_loop_verify_all(&loop); /* those that are left */
    while (run_turn() > 0)
        continue;
    assert_int_equal(count, MANY - MANY / 3);
    assert_int_equal(unadmitted, MANY / 3);
}

static void who_was_judged_by_old_rules_is_verified_at_once(void **state)
{
    (void) state;
    tls_loop_list(&loop, &fakes[0].place, false);
    assert_int_equal(run_turn(), 1);
    assert_int_equal(unadmitted, 1);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_LOOP(a_turn_has_so_many_steps_and_the_next_one_has_them_again),
        WITH_LOOP(who_waits_is_served_in_order_so_many_a_turn),
        WITH_LOOP(nobody_overtakes_who_waits),
        WITH_LOOP(the_loop_does_not_sleep_while_one_waits_and_sleeps_when_none_does),
        WITH_LOOP(who_leaves_gets_no_turn),
        WITH_LOOP(all_certificates_are_verified_some_in_each_turn),
        WITH_LOOP(who_was_judged_by_old_rules_is_verified_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
