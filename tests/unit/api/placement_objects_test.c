#include "unit/api/suites.h"

#include <string.h>

#include "api/object_owner.h"
#include "api/placement_objects.h"
#include "base/epoch.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/status.h"

static const struct object_owner owner = {"ns", "bank", "u-1"};

static void add_unit(struct status *status, const char *name, const char *state)
{
    struct status_unit *unit = vec_push_new(&status->units);
    *unit = (struct status_unit){.unit = xstrdup(name),
        .entry = xstrdup("e"),
        .node = xstrdup("bank-nodes-0"),
        .epoch = epoch_make(1, 7),
        .state = xstrdup(state),
        .reason = xstrdup("because"),
        .rule = xstrdup("Initial")};
}

static void add_actor(struct status *status, const char *unit, const char *path)
{
    struct status_actor *actor = vec_push_new(&status->actor_rows);
    *actor = (struct status_actor){.path = xstrdup(path),
        .unit = xstrdup(unit),
        .node = xstrdup("bank-nodes-0"),
        .state = xstrdup("Running"),
        .behavior = xstrdup("b"),
        .epoch = epoch_make(1, 7),
        .incarnation = 1,
        .last_exit = xstrdup("")};
}

/* `count` units of `children` actors each, beginning with that number. */
static void fill(struct status *status, size_t first, size_t count, size_t children)
{
    for (size_t i = first; i < first + count; i++) {
        char *unit = xasprintf("u.%zu", i);
        add_unit(status, unit, "Running");
        for (size_t k = 0; k < children; k++) {
            char *path = xasprintf("%s/c%zu", unit, k);
            add_actor(status, unit, path);
            free(path);
        }
        free(unit);
    }
}

static struct status a_status(size_t units, size_t children)
{
    struct status status = {.system = xstrdup("bank"), .system_uid = xstrdup("u-1")};
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        status.conditions[kind] = (struct status_condition){.reason = xstrdup("R"), .message = xstrdup("m")};
    struct status_node *node = vec_push_new(&status.nodes);
    *node = (struct status_node){.node = xstrdup("bank-nodes-0"), .kube_node = xstrdup("machine-1")};
    fill(&status, 0, units, children);
    return status;
}

/* Writes what changed, checks what was written, and returns how many objects that were. */
static size_t write_all(struct placement_objects *objects, const struct status *status)
{
    size_t writes = 0;
    placement_objects_update(objects, status);
    for (size_t number = 0; number < placement_objects_count(objects); number++) {
        if (!placement_objects_is_changed(objects, number))
            continue;
        struct json *body = placement_objects_body(objects, number, status);
        assert_true(json_count(json_get(body, "actors")) <= PLACEMENT_ROWS_MAX);
        assert_int_equal(json_int(json_get(body, "count")), json_count(json_get(body, "actors")));
        json_free(body);
        placement_objects_written(objects, number);
        writes++;
    }
    return writes;
}

static void a_row_says_where_and_how(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(0, 0);
    add_unit(&status, "shard.1", "Backoff");
    status.units.items[0].restarts = 3;
    add_unit(&status, "ledger", "Running");
    add_actor(&status, "ledger", "ledger");
    free(status.actor_rows.items[0].last_exit);
    status.actor_rows.items[0].last_exit = xstrdup("SIGSEGV");
    status.actor_rows.items[0].last_exit_wall_ms = 1000;
    placement_objects_update(objects, &status);
    assert_int_equal(placement_objects_count(objects), 1);
    struct json *body = placement_objects_body(objects, 0, &status);
    char *rows = json_to_text(json_get(body, "actors"), JSON_COMPACT);
    assert_string_equal(rows,
        "[{\"path\":\"shard.1\",\"unit\":\"shard.1\",\"node\":\"bank-nodes-0\",\"kubeNode\":\"machine-1\","
        "\"state\":\"Backoff\",\"reason\":\"because\",\"rule\":\"Initial\",\"epoch\":\"1.7\","
        "\"incarnation\":0,\"restarts\":3},"
        "{\"path\":\"ledger\",\"unit\":\"ledger\",\"node\":\"bank-nodes-0\",\"kubeNode\":\"machine-1\","
        "\"state\":\"Running\",\"rule\":\"Initial\",\"epoch\":\"1.7\",\"incarnation\":1,\"lastExit\":"
        "\"SIGSEGV\","
        "\"lastExitAt\":\"1970-01-01T00:00:01.000Z\"}]");
    assert_string_equal(json_string(json_get(json_get(body, "metadata"), "name")), "bank-0");
    assert_string_equal(json_string(json_get(body, "kind")), "ActorPlacement");
    assert_string_equal(json_string(json_get(body, "system")), "bank");
    free(rows);
    json_free(body);
    status_done(&status);
    placement_objects_free(objects);
}

static void nothing_changed_is_nothing_written(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(1000, 3);
    assert_int_equal(write_all(objects, &status), 16); /* 66 units of 3 in each */
    assert_int_equal(write_all(objects, &status), 0);
    status.actor_rows.items[1500].mailbox_depth = 99; /* changes with every message: not told */
    assert_int_equal(write_all(objects, &status), 0);
    status_done(&status);
    placement_objects_free(objects);
}

static void one_changed_row_is_one_object_written(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(1000, 3);
    (void)write_all(objects, &status);
    status.actor_rows.items[1500].incarnation++;
    assert_int_equal(write_all(objects, &status), 1);
    /* As an actor that has children now. */
    add_actor(&status, "u.500", "u.500/c0/more");
    assert_int_equal(write_all(objects, &status), 1);
    status_done(&status);
    placement_objects_free(objects);
}

static void units_that_come_and_go_leave_the_others_where_they_are(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(1000, 3);
    (void)write_all(objects, &status);
    struct status fewer = a_status(0, 0);
    fill(&fewer, 0, 500, 3);
    fill(&fewer, 501, 499, 3); /* u.500 is gone, in the middle */
    assert_int_equal(write_all(objects, &fewer), 1);
    fill(&fewer, 1000, 1, 3); /* takes its room */
    assert_int_equal(write_all(objects, &fewer), 1);
    status_done(&status);
    status_done(&fewer);
    placement_objects_free(objects);
}

static void a_unit_that_outgrows_its_object_moves(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(100, 2); /* one object, full */
    assert_int_equal(write_all(objects, &status), 1);
    add_actor(&status, "u.50", "u.50/more");
    assert_int_equal(write_all(objects, &status), 2);
    assert_int_equal(placement_objects_count(objects), 2);
    assert_int_equal(write_all(objects, &status), 0);
    status_done(&status);
    placement_objects_free(objects);
}

static void objects_without_rows_are_deleted(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status many = a_status(300, 1);
    struct status few = a_status(10, 1);
    assert_int_equal(write_all(objects, &many), 2);
    placement_objects_update(objects, &few);
    assert_int_equal(placement_objects_count(objects), 2);
    assert_true(placement_objects_is_changed(objects, 1));
    assert_null(placement_objects_body(objects, 1, &few));
    placement_objects_written(objects, 1);
    assert_int_equal(placement_objects_count(objects), 1);
    status_done(&many);
    status_done(&few);
    placement_objects_free(objects);
}

static void a_new_leader_goes_on_with_what_there_is(void **state)
{
    (void)state;
    struct placement_objects *first = placement_objects_new(&owner);
    struct placement_objects *second = placement_objects_new(&owner);
    struct status status = a_status(0, 0);
    fill(&status, 500, 500, 1); /* an order that a new leader does not see */
    (void)write_all(first, &status);
    fill(&status, 0, 500, 1);
    (void)write_all(first, &status);
    struct status again = a_status(1000, 1);
    struct json *other = json_object_new();
    placement_objects_load(second, other); /* not ours */
    for (size_t number = 0; number < placement_objects_count(first); number++) {
        struct json *body = placement_objects_body(first, number, &status);
        placement_objects_load(second, body);
        json_free(body);
    }
    /* The rows of an object come in the order of the status, so only the object that has both halves differs.
     */
    assert_int_equal(write_all(second, &again), 1);
    json_free(other);
    status_done(&status);
    status_done(&again);
    placement_objects_free(first);
    placement_objects_free(second);
}

/* Of the first unit. */
static void set_rule(struct status *status, uint64_t epoch, const char *rule)
{
    struct status_unit *unit = &status->units.items[0];
    unit->epoch = epoch;
    vec_for_each (actor, &status->actor_rows)
        actor->epoch = epoch;
    free(unit->rule);
    unit->rule = xstrdup(rule);
}

static void assert_rule(
    const struct placement_objects *objects, const struct status *status, const char *rule)
{
    struct json *body = placement_objects_body(objects, 0, status);
    assert_string_equal(json_string(json_get(json_at(json_get(body, "actors"), 0), "rule")), rule);
    json_free(body);
}

static void a_new_leader_knows_what_placed_a_unit(void **state)
{
    (void)state;
    struct placement_objects *first = placement_objects_new(&owner);
    struct placement_objects *second = placement_objects_new(&owner);
    struct status status = a_status(1, 2);
    set_rule(&status, epoch_make(1, 9), "Proof");
    (void)write_all(first, &status);
    assert_rule(first, &status, "Proof");
    struct json *body = placement_objects_body(first, 0, &status);
    placement_objects_load(second, body);
    json_free(body);
    /* It finds the unit as the rows say: nothing to write. */
    set_rule(&status, epoch_make(1, 9), "Adopted");
    assert_int_equal(write_all(second, &status), 0);
    assert_rule(second, &status, "Proof");
    /* Not what the rows say: placed once more, by a leader who had no time to write it. */
    set_rule(&status, epoch_make(1, 10), "Adopted");
    assert_int_equal(write_all(second, &status), 1);
    assert_rule(second, &status, "Adopted");
    /* Placed by the new leader itself. */
    set_rule(&status, epoch_make(2, 1), "Assertion");
    assert_int_equal(write_all(second, &status), 1);
    assert_rule(second, &status, "Assertion");
    status_done(&status);
    placement_objects_free(first);
    placement_objects_free(second);
}

static void restarts_of_a_unit_are_told(void **state)
{
    (void)state;
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_status(1, 1);
    (void)write_all(objects, &status);
    status.units.items[0].restarts++;
    assert_int_equal(write_all(objects, &status), 1);
    assert_int_equal(write_all(objects, &status), 0);
    status_done(&status);
    placement_objects_free(objects);
}

const struct CMUnitTest placement_objects_tests[9] = {
    cmocka_unit_test(a_row_says_where_and_how),
    cmocka_unit_test(nothing_changed_is_nothing_written),
    cmocka_unit_test(one_changed_row_is_one_object_written),
    cmocka_unit_test(units_that_come_and_go_leave_the_others_where_they_are),
    cmocka_unit_test(a_unit_that_outgrows_its_object_moves),
    cmocka_unit_test(objects_without_rows_are_deleted),
    cmocka_unit_test(a_new_leader_goes_on_with_what_there_is),
    cmocka_unit_test(a_new_leader_knows_what_placed_a_unit),
    cmocka_unit_test(restarts_of_a_unit_are_told),
};
