/* The queues between worker threads and the control loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "node_control/changes.h"
#include "node_control/exits.h"
#include "suites.h"

static struct actor_exit_report report_of(uint64_t incarnation)
{
    return (struct actor_exit_report){.path = "tellers.0/counter",
        .unit = "tellers.0",
        .epoch = 3,
        .incarnation = incarnation,
        .reason = "error",
        .at_wall_ms = 1,
        .decision = "Restart",
        .cause = ""};
}

static struct exits *exits_of(uint64_t count)
{
    struct exits *exits = xmalloc(sizeof(*exits));
    exits_init(exits);
    for (uint64_t i = 1; i <= count; i++) {
        struct actor_exit_report report = report_of(i);
        assert_int_equal(exits_add(exits, &report), i == 1);
    }
    return exits;
}

static void free_exits(struct exits *exits)
{
    exits_done(exits);
    free(exits);
}

static void test_exits_come_in_order_and_batches(void **state)
{
    struct exit_batch batch = {0};
    uint64_t next = 1;
    (void)state;
    struct exits *exits = exits_of(600);
    while (exits_take(exits, &batch)) {
        assert_true(batch.entries.count <= EXITS_PER_BATCH);
        vec_for_each (entry, &batch.entries)
            assert_int_equal(entry->incarnation, next++);
        assert_int_equal(batch.lost, 0);
        exit_batch_done(&batch);
    }
    assert_int_equal(next, 601);
    free_exits(exits);
}

static void test_oldest_exits_are_lost_and_counted(void **state)
{
    struct exit_batch batch = {0};
    (void)state;
    struct exits *exits = exits_of(EXITS_MAX + 5);
    assert_true(exits_take(exits, &batch));
    assert_int_equal(batch.lost, 5);
    assert_int_equal(batch.entries.items[0].incarnation, 6);
    exits_add_lost(exits, &batch); /* it could not be sent */
    size_t undelivered = batch.entries.count + 5;
    exit_batch_done(&batch);
    assert_true(exits_take(exits, &batch));
    assert_int_equal(batch.lost, undelivered);
    exit_batch_done(&batch);
    free_exits(exits);
}

static void test_missing_texts_become_empty(void **state)
{
    struct actor_exit_report report = {.path = "a"};
    struct exit_batch batch = {0};
    (void)state;
    struct exits *exits = exits_of(0);
    assert_false(exits_take(exits, &batch));
    assert_true(exits_add(exits, &report));
    assert_true(exits_take(exits, &batch));
    assert_string_equal(batch.entries.items[0].cause, "");
    exit_batch_done(&batch);
    free_exits(exits);
}

enum { CHANGES_PER_THREAD = 2000 };

static void add_changes(void *ctx)
{
    for (uint64_t i = 1; i <= CHANGES_PER_THREAD; i++)
        (void)changes_add(ctx, "u", i, UNIT_RUNNING, NULL);
}

static void test_changes_of_two_threads_keep_each_ones_order(void **state)
{
    struct changes changes;
    struct thread *thread = NULL;
    size_t seen = 0;
    (void)state;
    changes_init(&changes);
    assert_int_equal(thread_start(&thread, "adder", add_changes, &changes, NULL), 0);
    uint64_t last = 0;
    while (seen < CHANGES_PER_THREAD) {
        struct change_list list = changes_take(&changes);
        vec_for_each (change, &list.items) {
            assert_int_equal(change->epoch, last + 1);
            last = change->epoch;
        }
        seen += list.items.count;
        change_list_done(&list);
    }
    thread_join(thread);
    assert_true(changes_add(&changes, "u", 1, UNIT_FAILED, "why"));
    assert_false(changes_add(&changes, "u", 1, UNIT_FAILED, "why"));
    changes_done(&changes);
}

const struct CMUnitTest queues_tests[] = {
    cmocka_unit_test(test_exits_come_in_order_and_batches),
    cmocka_unit_test(test_oldest_exits_are_lost_and_counted),
    cmocka_unit_test(test_missing_texts_become_empty),
    cmocka_unit_test(test_changes_of_two_threads_keep_each_ones_order),
};
const size_t queues_test_count = sizeof(queues_tests) / sizeof(queues_tests[0]);
