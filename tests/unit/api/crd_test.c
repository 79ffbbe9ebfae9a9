/* The schema of ActorSystem against the decoder: what an API server fills in must be what the decoder
 * assumes, and what one knows the other must know. */
#include "unit/api/suites.h"

#include <string.h>

#include "api/manifest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"
#include "types/unit.h"
#include "unit/api/object_support.h"
#include "unit/api/schema_support.h"

static struct json *system_schema;

static int load_schema(void **state)
{
    (void)state;
    system_schema = schema_load("actorsystems");
    return 0;
}

static int free_schema(void **state)
{
    (void)state;
    json_free(system_schema);
    system_schema = NULL;
    return 0;
}

static const struct json *spec_schema(void)
{
    return json_get(json_get(system_schema, "properties"), "spec");
}

/* As an API server does: missing members that have a default get it, then what is inside. */
static void fill_defaults(const struct json *schema, struct json *node)
{
    const struct json *properties = json_get(schema, "properties");
    if (json_type(node) == JSON_ARRAY) {
        json_for_each(item, node) fill_defaults(json_get(schema, "items"), item);
        return;
    }
    if (json_type(node) != JSON_OBJECT)
        return;
    for (size_t i = 0; i < json_count(properties); i++) {
        const char *key = json_key_at(properties, i);
        const struct json *property = json_at(properties, i);
        const struct json *value = json_get(property, "default");
        if (!json_get(node, key) && value)
            (void)json_set_take(node, key, json_dup(value));
        if (json_get(node, key))
            fill_defaults(property, json_get(node, key));
    }
}

static struct system_spec *decode(const struct json *manifest)
{
    struct api_problems problems;
    struct str text = STR_INIT(100000);
    api_problems_init(&problems, NULL);
    struct system_spec *spec = manifest_decode(manifest, NULL, &problems);
    api_problems_print(&problems, &text);
    if (!spec)
        fail_msg("%s", str_text(&text));
    str_done(&text);
    api_problems_done(&problems);
    return spec;
}

static void expect_same(const char *spec_text)
{
    char *text =
        xasprintf("{'apiVersion': 'histrio.dev/v1alpha1', 'kind': 'ActorSystem', 'metadata': {'name': "
                  "'bank'}, 'spec': %s}",
            spec_text);
    struct json *plain = object_parse(text);
    struct json *filled = json_dup(plain);
    fill_defaults(spec_schema(), json_get(filled, "spec"));
    assert_false(json_equal(plain, filled));
    struct system_spec *before = decode(plain);
    struct system_spec *after = decode(filled);
    struct unit_list units_before;
    struct unit_list units_after;
    assert_int_equal(system_spec_compare(before, after), SPEC_CHANGE_NONE);
    units_from_spec(before, &units_before);
    units_from_spec(after, &units_after);
    assert_int_equal(units_before.units.count, units_after.units.count);
    for (size_t i = 0; i < units_before.units.count; i++)
        assert_int_equal(units_before.units.items[i].generation, units_after.units.items[i].generation);
    unit_list_done(&units_before);
    unit_list_done(&units_after);
    system_spec_unref(before);
    system_spec_unref(after);
    json_free(plain);
    json_free(filled);
    free(text);
}

static void defaults_are_those_of_the_decoder(void **state)
{
    (void)state;
    expect_same("{'actors': []}");
    expect_same(
        "{'nodes': {'update': {}, 'capacity': {}}, 'supervision': {'intensity': {}, 'backoff': {}}, "
        "'failure': {}, 'state': {}, 'code': {'c': [{'library': 'b', 'path': 'p'}], 'python': {}}, "
        "'actors': [{'name': 'a', 'behavior': {'c': 'b.a'}, 'mailbox': {}, 'supervisor': {}, 'placement': "
        "{}, 'state': {}}, {'name': 'k', 'keyed': {}, 'behavior': {'python': 'b:K'}}, {'name': 's', "
        "'replicas': 2, 'children': [{'name': 'x', 'supervisor': {'backoff': {}}}, {'name': 'y', 'under': "
        "'x', "
        "'behavior': {'c': 'b.y'}, 'mailbox': {'capacity': 5}}]}]}");
}

static void expect_enum(const char *field, const struct json *schema, const char *const *names)
{
    const struct json *values = json_get(json_get(json_get(schema, "properties"), field), "enum");
    size_t count = 0;
    for (; names[count]; count++)
        assert_string_equal(json_string(json_at(values, count)), names[count]);
    assert_int_equal(json_count(values), count);
}

static const struct json *property(const struct json *schema, const char *key)
{
    return json_get(json_get(schema, "properties"), key);
}

static void enumerations_are_those_of_the_decoder(void **state)
{
    (void)state;
    const struct json *entry = json_get(property(spec_schema(), "actors"), "items");
    const struct json *child = json_get(property(entry, "children"), "items");
    const struct json *both[] = {entry, child};
    for (size_t i = 0; i < 2; i++) {
        expect_enum("restart", both[i], child_restart_names);
        expect_enum("isolation", both[i], child_isolation_names);
        expect_enum("overflow", property(both[i], "mailbox"), mailbox_overflow_names);
        expect_enum("onRestart", property(both[i], "mailbox"), mailbox_on_restart_names);
        expect_enum("strategy", property(both[i], "supervisor"), child_strategy_names);
    }
    expect_enum("spread", property(entry, "placement"), spread_kind_names);
    expect_enum("store", property(spec_schema(), "state"), store_kind_names);
    expect_enum("policy", property(spec_schema(), "failure"), failure_policy_names);
}

/* A value that the schema allows for it. The decoder may find it wrong, but not unknown. */
static struct json *example_of(const struct json *schema)
{
    const char *type = json_string(json_get(schema, "type"));
    const struct json *properties = json_get(schema, "properties");
    if (json_get(schema, "enum"))
        return json_dup(json_at(json_get(schema, "enum"), 0));
    if (text_equal(type, "integer"))
        return json_int_new(1);
    if (text_equal(type, "boolean"))
        return json_bool_new(true);
    if (text_equal(type, "string"))
        return json_string_new(json_get(schema, "default") ? json_string(json_get(schema, "default")) : "a");
    if (text_equal(type, "array")) {
        struct json *array = json_array_new();
        (void)json_add_take(array, example_of(json_get(schema, "items")));
        return array;
    }
    struct json *object = json_object_new();
    for (size_t i = 0; i < json_count(properties); i++)
        (void)json_set_take(object, json_key_at(properties, i), example_of(json_at(properties, i)));
    return object;
}

static void every_field_of_the_schema_is_known_to_the_decoder(void **state)
{
    (void)state;
    struct json *manifest = object_parse(
        "{'apiVersion': 'histrio.dev/v1alpha1', 'kind': 'ActorSystem', 'metadata': {'name': 'bank'}}");
    struct api_problems problems;
    (void)json_set_take(manifest, "spec", example_of(spec_schema()));
    api_problems_init(&problems, NULL);
    system_spec_unref(manifest_decode(manifest, NULL, &problems));
    vec_for_each (problem, &problems.items)
        if (strstr(problem->text, "unknown"))
            fail_msg("%s: %s", problem->path, problem->text);
    api_problems_done(&problems);
    json_free(manifest);
}

const struct CMUnitTest crd_tests[3] = {
    cmocka_unit_test_setup_teardown(defaults_are_those_of_the_decoder, load_schema, free_schema),
    cmocka_unit_test_setup_teardown(enumerations_are_those_of_the_decoder, load_schema, free_schema),
    cmocka_unit_test_setup_teardown(
        every_field_of_the_schema_is_known_to_the_decoder, load_schema, free_schema),
};
