/* Routes as a pure table. */
#include "suites.h"
#include "support.h"

#include "transport/router.h"

static void test_placements_go_forward_only(void **state)
{
    (void)state;
    struct router router;
    router_init(&router, 1);
    assert_true(router_place(&router, "a", 5, 2));
    assert_false(router_place(&router, "a", 4, 3));
    struct route_unit *unit = router_find(&router, "a", 1);
    assert_int_equal(unit->node_uid, 2);
    assert_false(router_learn(unit, 5, 9)); /* as old as what is known */
    assert_true(router_learn(unit, 6, 9));
    assert_int_equal(unit->node_uid, 9);
    assert_true(router_place(&router, "a", 6, 0)); /* revoked */
    assert_int_equal(router_send(&router, unit), ROUTE_UNAVAILABLE);
    router_done(&router);
}

static void test_verdicts_of_senders(void **state)
{
    (void)state;
    struct router router;
    router_init(&router, 1);
    assert_int_equal(router_send(&router, NULL), ROUTE_NOT_FOUND);
    assert_true(router_place(&router, "a", 5, 2));
    struct route_unit *unit = router_find(&router, "a", 1);
    assert_int_equal(router_send(&router, unit), ROUTE_FORWARD);
    assert_true(router_place(&router, "a", 6, 1));
    assert_int_equal(router_send(&router, unit), ROUTE_UNAVAILABLE); /* ours, and not started */
    router_start(&router, unit, 6);
    assert_int_equal(router_send(&router, unit), ROUTE_UNAVAILABLE); /* not all of it */
    router_hold(&router, unit, 6);
    assert_int_equal(router_send(&router, unit), ROUTE_DELIVER);
    router_release(unit, 5); /* of another life */
    assert_int_equal(router_send(&router, unit), ROUTE_DELIVER);
    router_release(unit, 6);
    assert_int_equal(router_send(&router, unit), ROUTE_UNAVAILABLE);
    router_begin_full(&router);
    router_end_full(&router);
    assert_int_equal(router_send(&router, unit), ROUTE_NOT_FOUND);
    router_done(&router);
}

static void test_verdicts_of_receivers(void **state)
{
    (void)state;
    struct router router;
    router_init(&router, 1);
    struct route_unit *unit = router_add(&router, "a");
    assert_int_equal(router_receive(NULL, 3), ROUTE_BOUNCE);
    assert_int_equal(router_receive(unit, 3), ROUTE_BOUNCE);
    router_start(&router, unit, 3);
    assert_int_equal(router_receive(unit, 3), ROUTE_BOUNCE);
    router_hold(&router, unit, 3);
    assert_int_equal(router_receive(unit, 3), ROUTE_DELIVER);
    assert_int_equal(router_receive(unit, 2), ROUTE_BOUNCE);
    assert_int_equal(router_receive(unit, 4), ROUTE_BOUNCE);
    assert_int_equal(router_receive_from(unit, 3), ROUTE_DELIVER);
    assert_int_equal(router_receive_from(unit, 4), ROUTE_DELIVER);
    assert_int_equal(router_receive_from(unit, 2), ROUTE_FENCED);
    assert_int_equal(router_receive_from(NULL, 0), ROUTE_DELIVER);
    /* Placed elsewhere meanwhile: held, but not obeyed as a place to send to. */
    assert_true(router_place(&router, "a", 9, 2));
    assert_int_equal(router_send(&router, unit), ROUTE_FORWARD);
    router_done(&router);
}

static void test_names(void **state)
{
    (void)state;
    struct router router;
    router_init(&router, 1);
    assert_int_equal(router_unit_size("tellers.0/counter/x"), 9);
    assert_int_equal(router_unit_size("ledger"), 6);
    assert_null(router_add(&router, ""));
    assert_null(router_add(&router, "a/b"));
    char name[200] = {0};
    memset(name, 'a', sizeof(name) - 1);
    assert_null(router_add(&router, name));
    assert_ptr_equal(router_add(&router, "a"), router_add(&router, "a"));
    router_done(&router);
}

int router_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placements_go_forward_only),
        cmocka_unit_test(test_verdicts_of_senders),
        cmocka_unit_test(test_verdicts_of_receivers),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
