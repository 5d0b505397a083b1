#include "server/broadcast/round_robin.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PEERS = 12 };

/* A peer, and all that the model knows of it. */
struct node {
    struct list place;
    bool ready;
    uint64_t got; /* bytes, of `appended` */
};

struct scene {
    struct round_robin ring;
    struct node nodes[PEERS];
    uint64_t appended;
    unsigned visits;
};

static void scene_init(struct scene *scene, unsigned ready)
{
    *scene = (struct scene){.appended = 0};
    round_robin_init(&scene->ring);
    for (unsigned i = 0; i < PEERS; i++)
        list_init(&scene->nodes[i].place);
    for (unsigned i = 0; i < ready; i++) {
        round_robin_add(&scene->ring, &scene->nodes[i].place);
        scene->nodes[i].ready = true;
    }
}

static void add(struct scene *scene, struct node *node)
{
    round_robin_add(&scene->ring, &node->place);
    node->ready = true;
    node->got = scene->appended; /* it is new, or flushed at once */
}

static void drop(struct scene *scene, struct node *node)
{
    round_robin_remove(&scene->ring, &node->place);
    node->ready = false;
}

static void publish(struct scene *scene, uint64_t bytes)
{
    scene->appended += bytes;
    round_robin_note_end(&scene->ring, scene->appended);
}

/* Begins a visit, and begins a lap if need be: the node, which is told all there is. */
static struct node *take(struct scene *scene)
{
    struct list *behind;
    struct node *node;

    if (round_robin_is_lap_over(&scene->ring))
        round_robin_begin_lap(&scene->ring, scene->appended);
    node = container_of(round_robin_take(&scene->ring, &behind), struct node, place);
    assert_true(node->ready);
    node->got = scene->appended;
    scene->visits++;
    return node;
}

static struct node *visit(struct scene *scene)
{
    struct node *node = take(scene);

    (void) round_robin_visited(&scene->ring);
    return node;
}

static uint64_t least_got(const struct scene *scene)
{
    uint64_t least = scene->appended;

    for (unsigned i = 0; i < PEERS; i++)
        if (scene->nodes[i].ready && scene->nodes[i].got < least)
            least = scene->nodes[i].got;
    return least;
}

static void finish(struct scene *scene)
{
    while (!round_robin_is_done(&scene->ring))
        (void) visit(scene);
    round_robin_rest(&scene->ring);
}

/* ---- one at a time ---- */

static void each_is_visited_once_in_turn_when_something_is_new(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 3);
    assert_true(round_robin_is_done(&scene.ring));
    assert_null(round_robin_peek(&scene.ring));
    publish(&scene, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(round_robin_peek(&scene.ring), &scene.nodes[i].place);
        assert_ptr_equal(visit(&scene), &scene.nodes[i]);
    }
    assert_true(round_robin_is_done(&scene.ring));
}

static void what_was_appended_when_a_lap_began_is_reached_at_its_end(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 3);
    publish(&scene, 10);
    (void) visit(&scene);
    publish(&scene, 5);
    (void) visit(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 0);
    (void) visit(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 10);
    finish(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 15);
}

/* The lap begins in the middle of the ring: the one at its beginning is the last to be visited. */
static void one_that_joins_within_a_lap_does_not_shorten_it(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 3);
    publish(&scene, 10);
    (void) visit(&scene);
    publish(&scene, 10);
    finish(&scene);
    publish(&scene, 10);
    assert_ptr_equal(visit(&scene), &scene.nodes[1]);
    add(&scene, &scene.nodes[3]);
    (void) visit(&scene);
    (void) visit(&scene);
    assert_true(round_robin_delivered(&scene.ring) <= least_got(&scene));
    assert_int_equal(scene.nodes[0].got, 30);
    finish(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 30);
}

static void one_that_joins_has_nothing_to_get_until_something_is_new(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 2);
    publish(&scene, 1);
    (void) visit(&scene);
    add(&scene, &scene.nodes[2]);
    finish(&scene);
    assert_int_equal(scene.visits, 2);
    publish(&scene, 1);
    finish(&scene);
    assert_int_equal(scene.visits, 5);
}

static void the_next_one_may_leave(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 3);
    publish(&scene, 1);
    drop(&scene, &scene.nodes[0]);
    assert_ptr_equal(visit(&scene), &scene.nodes[1]);
    drop(&scene, &scene.nodes[2]);
    assert_int_equal(least_got(&scene), 1);
    finish(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 1);
}

static void a_visit_may_remove_the_last_one(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 1);
    publish(&scene, 7);
    drop(&scene, take(&scene));
    (void) round_robin_visited(&scene.ring);
    assert_true(round_robin_is_done(&scene.ring));
    finish(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 7);
}

static void without_nodes_all_is_reached(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, 0);
    publish(&scene, 7);
    assert_true(round_robin_is_done(&scene.ring));
    finish(&scene);
    assert_int_equal(round_robin_delivered(&scene.ring), 7);
}

/* Removals leave the counts uncertain, and never more than all. */
static void nobody_is_visited_twice_because_many_have_left(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene, PEERS);
    publish(&scene, 1);
    (void) visit(&scene);
    for (unsigned i = 2; i < PEERS; i++)
        drop(&scene, &scene.nodes[i]);
    scene.visits = 0;
    finish(&scene);
    assert_true(scene.visits <= 2);
}

/* ---- against a naive model ---- */

enum { STEPS = 2000, RUNS = 200 };

static unsigned draw(unsigned *seed, unsigned below)
{
    return (unsigned) rand_r(seed) % below;
}

static struct node *any(struct scene *scene, unsigned *seed, bool ready)
{
    unsigned first = draw(seed, PEERS);

    for (unsigned i = 0; i < PEERS; i++) {
        struct node *node = &scene->nodes[(first + i) % PEERS];

        if (node->ready == ready)
            return node;
    }
    return NULL;
}

/* Anything that may happen between two visits, or within one. */
static void happen(struct scene *scene, unsigned *seed)
{
    bool leaves = draw(seed, 2) == 0;
    struct node *node = any(scene, seed, leaves);

    switch (draw(seed, 4)) {
    case 0:
    case 1:
        publish(scene, draw(seed, 100));
        break;
    case 2:
        scene->appended += draw(seed, 100); /* by another thread, which has yet to tell */
        break;
    default:
        if (node != NULL && leaves)
            drop(scene, node);
        else if (node != NULL)
            add(scene, node);
        break;
    }
}

static void check(const struct scene *scene, unsigned seed)
{
    if (round_robin_delivered(&scene->ring) <= least_got(scene))
        return;
    print_error("seed %u: reached %llu, but a peer has got %llu\n", seed,
                (unsigned long long) round_robin_delivered(&scene->ring),
                (unsigned long long) least_got(scene));
    fail();
}

/* A flush of so many visits, in which anything may happen. True when all are done. */
static bool flush(struct scene *scene, unsigned budget, unsigned *seed, unsigned run)
{
    while (!round_robin_is_done(&scene->ring)) {
        struct node *node;

        if (round_robin_is_lap_over(&scene->ring))
            round_robin_begin_lap(&scene->ring, scene->appended);
        if (budget-- == 0)
            return false;
        node = take(scene);
        if (draw(seed, 4) == 0)
            happen(scene, seed); /* it may be that one that leaves, or comes back */
        if (node->ready)
            node->got = scene->appended;
        if (node->ready && draw(seed, 5) == 0)
            drop(scene, node); /* its socket is full */
        (void) round_robin_visited(&scene->ring);
        check(scene, run);
    }
    round_robin_rest(&scene->ring);
    return true;
}

static void run_model(unsigned run)
{
    unsigned seed = run;
    struct scene scene;

    scene_init(&scene, draw(&seed, PEERS + 1));
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t marked = scene.ring._marked;

        if (draw(&seed, 3) > 0)
            happen(&scene, &seed);
        else if (flush(&scene, draw(&seed, 2 * PEERS), &seed, run) && least_got(&scene) < marked) {
            print_error("seed %u, step %u: a peer was left out\n", run, step);
            fail();
        }
        check(&scene, run);
    }
    publish(&scene, 1);
    finish(&scene);
    assert_int_equal(least_got(&scene), scene.appended);
    assert_int_equal(round_robin_delivered(&scene.ring), scene.appended);
}

static void whatever_happens_no_more_is_reached_than_all_have_got_and_nobody_is_left_out(
    void **state)
{
    const char *given = getenv("WS_TEST_SEED");
    unsigned first = given != NULL ? (unsigned) strtoul(given, NULL, 10) : (unsigned) time(NULL);

    (void) state;
    print_message("WS_TEST_SEED=%u\n", first);
    for (unsigned run = 0; run < RUNS; run++)
        run_model(first + run);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_visited_once_in_turn_when_something_is_new),
        cmocka_unit_test(what_was_appended_when_a_lap_began_is_reached_at_its_end),
        cmocka_unit_test(one_that_joins_within_a_lap_does_not_shorten_it),
        cmocka_unit_test(one_that_joins_has_nothing_to_get_until_something_is_new),
        cmocka_unit_test(the_next_one_may_leave),
        cmocka_unit_test(a_visit_may_remove_the_last_one),
        cmocka_unit_test(without_nodes_all_is_reached),
        cmocka_unit_test(nobody_is_visited_twice_because_many_have_left),
        cmocka_unit_test(
            whatever_happens_no_more_is_reached_than_all_have_got_and_nobody_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
