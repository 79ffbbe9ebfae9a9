/* What we write against the schemas of the definitions: a server with them drops no field and refuses
 * nothing, however long the texts are. */
#include "unit/api/suites.h"

#include <string.h>

#include "api/fence_object.h"
#include "api/object_owner.h"
#include "api/placement_objects.h"
#include "api/status_json.h"
#include "base/epoch.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "types/fence_record.h"
#include "types/status.h"
#include "unit/api/schema_support.h"

enum { LONG = 5000, UNIT_BYTES = 100 };

static const struct object_owner owner = {"ns", "bank", "u-1"};

static char *text_of(size_t size)
{
    char *text = xmalloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

static void add_node(struct status *status)
{
    *vec_push_new(&status->nodes) = (struct status_node){.node = text_of(253),
        .pod = text_of(36),
        .kube_node = text_of(253),
        .zone = text_of(63),
        .state = xstrdup("Disconnected"),
        .reason = text_of(LONG),
        .message = text_of(LONG),
        .template_hash = text_of(16),
        .uid = UINT64_MAX,
        .pid = 7,
        .link_address = text_of(100),
        .gateway_address = text_of(100),
        .started_wall_ms = 1};
}

static void add_rows(struct status *status)
{
    add_node(status);
    *vec_push_new(&status->units) = (struct status_unit){.unit = text_of(UNIT_BYTES),
        .entry = xstrdup("e"),
        .node = text_of(253),
        .epoch = UINT64_MAX,
        .state = xstrdup("Quarantined"),
        .reason = text_of(LONG),
        .rule = xstrdup("Assertion"),
        .restarts = INT64_MAX};
    *vec_push_new(&status->actor_rows) = (struct status_actor){.path = text_of(LIMIT_ADDRESS_BYTES),
        .unit = text_of(UNIT_BYTES),
        .node = text_of(253),
        .state = xstrdup("Quarantined"),
        .behavior = xstrdup("b"),
        .epoch = UINT64_MAX,
        .incarnation = INT64_MAX,
        .last_exit = text_of(LONG),
        .last_exit_wall_ms = 1};
    *vec_push_new(&status->exits) = (struct status_exit){.actor = text_of(LIMIT_ADDRESS_BYTES),
        .unit = text_of(UNIT_BYTES),
        .node = text_of(253),
        .reason = text_of(LONG),
        .decision = xstrdup("RestartRest"),
        .cause = text_of(LIMIT_ADDRESS_BYTES),
        .rule = xstrdup("Assertion"),
        .backtrace = text_of(LONG),
        .epoch = UINT64_MAX,
        .incarnation = INT64_MAX,
        .at_wall_ms = 1};
    *vec_push_new(&status->quarantined) =
        (struct status_quarantine){.unit = text_of(UNIT_BYTES), .reason = text_of(LONG), .at_wall_ms = 1};
}

static struct status a_long_status(void)
{
    struct status status = {.system = xstrdup("bank"),
        .system_uid = text_of(36),
        .term = UINT32_MAX,
        .units_desired = UINT32_MAX,
        .units_running = UINT32_MAX,
        .nodes_desired = UINT32_MAX,
        .nodes_ready = UINT32_MAX,
        .started_wall_ms = 1};
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        status.conditions[kind] = (struct status_condition){.is_unknown = kind == CONDITION_READY,
            .reason = xstrdup("UnitQuarantined"),
            .message = text_of(LONG),
            .since_wall_ms = 1};
    add_rows(&status);
    return status;
}

static void a_status_is_as_its_schema_says(void **state)
{
    (void)state;
    struct json *schema = schema_load("actorsystems");
    struct status status = a_long_status();
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    schema_expect(json_get(json_get(schema, "properties"), "status"), json);
    json_free(json);
    json_free(schema);
    status_done(&status);
}

static void the_largest_status_is_small(void **state)
{
    (void)state;
    struct status status = a_long_status();
    for (int i = 0; i < 200; i++)
        add_rows(&status);
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    char *text = json_to_text(json, JSON_COMPACT);
    assert_in_range(strlen(text), 100 * 1024, 256 * 1024);
    free(text);
    json_free(json);
    status_done(&status);
}

static void a_placement_is_as_its_schema_says(void **state)
{
    (void)state;
    struct json *schema = schema_load("actorplacements");
    struct placement_objects *objects = placement_objects_new(&owner);
    struct status status = a_long_status();
    placement_objects_update(objects, &status);
    struct json *body = placement_objects_body(objects, 0, &status);
    assert_int_equal(json_count(json_get(body, "actors")), 1);
    assert_int_equal(json_string_size(json_get(json_at(json_get(body, "actors"), 0), "reason")), 256);
    schema_expect(schema, body);
    json_free(body);
    json_free(schema);
    placement_objects_free(objects);
    status_done(&status);
}

static void a_fence_is_as_its_schema_says(void **state)
{
    (void)state;
    struct json *schema = schema_load("actorfences");
    struct fence_record record = {.system = xstrdup("bank"),
        .system_uid = xstrdup("u-1"),
        .term = UINT32_MAX,
        .lease_ms = 60000,
        .next_serial = INT64_MAX,
        .spread_nodes = UINT32_MAX};
    struct roster_member member = {.uid = UINT64_MAX,
        .node = (char *)(uintptr_t) "n",
        .pod_uid = (char *)(uintptr_t) "p",
        .link_address = (char *)(uintptr_t) "l",
        .gateway_address = (char *)(uintptr_t) "g"};
    roster_add(&record.current, &member);
    roster_add(&record.previous, &member);
    (void)fence_record_add_dead(&record, 1);
    fence_record_add_quarantine(&record, "u", "r", 1);
    vec_push(&record.cordons, xstrdup("n"));
    struct json *object = fence_object_new(&owner, &record, "1");
    schema_expect(schema, object);
    json_free(object);
    json_free(schema);
    fence_record_done(&record);
}

const struct CMUnitTest written_tests[4] = {
    cmocka_unit_test(a_status_is_as_its_schema_says),
    cmocka_unit_test(the_largest_status_is_small),
    cmocka_unit_test(a_placement_is_as_its_schema_says),
    cmocka_unit_test(a_fence_is_as_its_schema_says),
};
