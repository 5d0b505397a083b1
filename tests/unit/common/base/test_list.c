#include "common/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static struct item items[4];

static void make_items(void)
{
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
}

/* The members' numbers as the digits of one number, read forwards and, to be sure, backwards. */
static int members(const struct list *head)
{
    int forwards = 0, backwards = 0, unit = 1;

    for (const struct list *node = head->next; node != head; node = node->next)
        forwards = forwards * 10 + container_of(node, struct item, node)->number + 1;
    for (const struct list *node = head->prev; node != head; node = node->prev) {
        backwards += unit * (container_of(node, struct item, node)->number + 1);
        unit *= 10;
    }
    assert_int_equal(forwards, backwards);
    return forwards;
}

static void fill(struct list *head, int from, int to)
{
    list_init(head);
    for (int i = from; i < to; i++)
        list_append(head, &items[i].node);
}

static void appended_members_stand_in_order(void **state)
{
    struct list head;

    (void) state;
    make_items();
    fill(&head, 0, 3);
    assert_int_equal(members(&head), 123);
    assert_false(list_empty(&head));
    assert_true(list_linked(&items[0].node));
    assert_false(list_linked(&items[3].node));
}

static void a_removed_member_is_in_no_list(void **state)
{
    struct list head;

    (void) state;
    make_items();
    fill(&head, 0, 3);
    list_remove(&items[1].node);
    assert_int_equal(members(&head), 13);
    assert_false(list_linked(&items[1].node));
    list_remove(&items[1].node); /* harmless */
    assert_int_equal(members(&head), 13);
    list_remove(&items[0].node);
    list_remove(&items[2].node);
    assert_true(list_empty(&head));
}

static void a_moved_member_leaves_its_list_and_ends_the_other(void **state)
{
    struct list from, to;

    (void) state;
    make_items();
    fill(&from, 0, 2);
    fill(&to, 2, 4);
    list_move(&to, &items[0].node);
    assert_int_equal(members(&from), 2);
    assert_int_equal(members(&to), 341);
    list_move(&to, &items[3].node); /* within one list */
    assert_int_equal(members(&to), 314);
}

static void a_splice_moves_everybody_in_order(void **state)
{
    struct list from, to;

    (void) state;
    make_items();
    fill(&to, 0, 2);
    fill(&from, 2, 4);
    list_splice(&to, &from);
    assert_int_equal(members(&to), 1234);
    assert_true(list_empty(&from));
    list_splice(&to, &from); /* nothing to move */
    assert_int_equal(members(&to), 1234);
    list_splice(&from, &to); /* to an empty list */
    assert_int_equal(members(&from), 1234);
    assert_true(list_empty(&to));
}

static void taking_the_first_empties_the_list_in_order(void **state)
{
    struct list head;

    (void) state;
    make_items();
    fill(&head, 0, 2);
    assert_ptr_equal(list_take_first(&head), &items[0].node);
    assert_false(list_linked(&items[0].node));
    assert_ptr_equal(list_take_first(&head), &items[1].node);
    assert_null(list_take_first(&head));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_members_stand_in_order),
        cmocka_unit_test(a_removed_member_is_in_no_list),
        cmocka_unit_test(a_moved_member_leaves_its_list_and_ends_the_other),
        cmocka_unit_test(a_splice_moves_everybody_in_order),
        cmocka_unit_test(taking_the_first_empties_the_list_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
