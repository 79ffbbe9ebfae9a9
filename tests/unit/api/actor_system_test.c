#include "unit/api/suites.h"

#include <string.h>

#include "api/actor_system_object.h"
#include "base/json.h"
#include "base/str.h"
#include "types/system.h"
#include "unit/api/object_support.h"

#define LEDGER "'actors': [{'name': 'ledger', 'behavior': {'c': 'bank.ledger'}}]"
#define CODE "'code': {'c': [{'library': 'bank', 'path': 'libbank.so'}]}"

static struct actor_system_object *read_system(const char *more, const char *rest)
{
    return (struct actor_system_object *)object_read(
        actor_system_object_decode, actor_system_object_release, more, rest);
}

static void an_object_as_served_becomes_a_spec(void **state)
{
    (void)state;
    struct actor_system_object *system =
        read_system("'generation': 7, 'creationTimestamp': '2026-11-23T12:00:00Z', 'managedFields': [{}], "
                    "'finalizers': []",
            "'apiVersion': 'histrio.dev/v1alpha1', 'kind': 'ActorSystem', 'spec': {" CODE "," LEDGER
            "}, 'status': {'term': 3}");
    assert_string_equal(system->problems, "");
    assert_non_null(system->spec);
    assert_int_equal(system->generation, 7);
    assert_int_equal(system->spec->generation, 7);
    assert_string_equal(system->spec->name, "bank");
    assert_string_equal(system->spec->namespace, "ns");
    assert_int_equal(system->spec->entries.count, 1);
    assert_false(system->is_deleting || system->has_requests);
    kube_object_unref(&system->head);
}

static void mistakes_are_told_with_their_fields_and_no_line(void **state)
{
    (void)state;
    struct actor_system_object *system = read_system("",
        "'spec': {" CODE ", 'newer': 1, 'actors': [{'name': 'a', 'behavior': {'c': 'other.x'}}, "
        "{'name': 'b', 'children': [{'name': 'c', 'behavior': {'c': 'bank.c'}}, {'name': 'c', 'behavior': "
        "{'c': 'bank.c'}}]}]}");
    assert_null(system->spec);
    assert_string_equal(system->problems,
        "spec.newer: unknown field; remove it (known here: suspend, nodes, code, supervision, actors, state, "
        "failure); spec.actors[0].behavior.c: no library 'other' in spec.code.c; add {library: other, path: "
        "FILE}; spec.actors[1].children[1].name: 'c' is already the name of spec.actors[1].children[0]; "
        "choose "
        "another");
    kube_object_unref(&system->head);
}

static void expect_problem(const char *spec, const char *problem)
{
    struct str rest = STR_INIT(1000);
    str_appendf(&rest, "'spec': {%s}", spec);
    struct actor_system_object *system = read_system("", str_text(&rest));
    assert_null(system->spec);
    assert_string_equal(system->problems, problem);
    kube_object_unref(&system->head);
    str_done(&rest);
}

/* What the API server takes and a Pod could not use. */
static void what_makes_no_sense_on_a_cluster_is_named(void **state)
{
    (void)state;
    expect_problem("'code': {'c': [{'library': 'bank', 'path': 'a/../../x.so'}]}," LEDGER,
        "spec.code.c[0].path: must not lead out of the code folder /app");
    expect_problem("'code': {'c': [{'library': 'bank', 'path': '/etc/x.so'}]}," LEDGER,
        "spec.code.c[0].path: must be below the code folder /app, or relative to it");
    expect_problem(CODE ", 'nodes': {'podTemplate': {'spec': {'containers': 'none'}}}," LEDGER,
        "spec.nodes.podTemplate.spec.containers: must be a list, not a string");
    struct actor_system_object *system = read_system(
        "", "'spec': {'code': {'c': [{'library': 'bank', 'path': '/app/a..b/x.so'}]}," LEDGER "}");
    assert_string_equal(system->problems, "");
    kube_object_unref(&system->head);
    system = read_system("", "'spec': 'line 1: nested more than 64 deep'");
    assert_null(system->spec);
    assert_string_equal(system->problems, "spec: cannot be read: line 1: nested more than 64 deep");
    kube_object_unref(&system->head);
}

static void many_mistakes_fit_into_a_status(void **state)
{
    (void)state;
    struct str spec = STR_INIT(100000);
    str_append(&spec, "'spec': {'actors': [");
    for (int i = 0; i < 90; i++)
        str_appendf(&spec, "%s{'name': 'a-%d', 'restart': 'Sometimes'}", i ? ", " : "", i);
    str_append(&spec, "]}");
    struct actor_system_object *system = read_system("", str_text(&spec));
    assert_null(system->spec);
    assert_in_range(strlen(system->problems), 800, 1024);
    assert_true(text_starts_with(system->problems, "spec.actors[0]"));
    assert_non_null(strstr(system->problems, " more"));
    kube_object_unref(&system->head);
    str_done(&spec);
}

static void an_object_without_a_spec_is_a_mistake_not_a_failure(void **state)
{
    (void)state;
    struct actor_system_object *none = read_system("'deletionTimestamp': '2026-11-23T12:00:00Z'", "");
    struct actor_system_object *odd = read_system("", "'spec': [1]");
    assert_null(none->spec);
    assert_true(none->is_deleting);
    assert_true(text_starts_with(none->problems, "spec: is missing"));
    assert_null(odd->spec);
    assert_string_equal(odd->problems, "spec: must be an object, not an array");
    kube_object_unref(&none->head);
    kube_object_unref(&odd->head);
}

static void annotations_are_requests(void **state)
{
    (void)state;
    struct actor_system_object *system =
        read_system("'annotations': {'histrio.dev/resume': 'vandal, tellers.0', 'histrio.dev/move': "
                    "'ledger=bank-nodes-3', 'histrio.dev/forget': 'bank-nodes-1', 'else': 'x'}",
            "'spec': {" CODE "," LEDGER "}");
    assert_true(system->has_requests);
    assert_string_equal(system->request_problems, "");
    assert_int_equal(system->requests.count, 4);
    const struct system_request *requests = system->requests.items;
    assert_int_equal(requests[0].verb, SYSTEM_RESUME);
    assert_string_equal(requests[1].subject, "tellers.0");
    assert_string_equal(requests[1].target, "");
    assert_int_equal(requests[2].verb, SYSTEM_MOVE);
    assert_string_equal(requests[2].subject, "ledger");
    assert_string_equal(requests[2].target, "bank-nodes-3");
    assert_int_equal(requests[3].verb, SYSTEM_FORGET);
    assert_string_equal(requests[3].subject, "bank-nodes-1");
    kube_object_unref(&system->head);
}

static void wrong_annotations_are_told_and_the_right_ones_done(void **state)
{
    (void)state;
    struct actor_system_object *system = read_system(
        "'annotations': {'histrio.dev/resume': 'Vandal,,ledger', 'histrio.dev/move': 'ledger,a=,=b', "
        "'histrio.dev/forget': ''}",
        "'spec': {" CODE "," LEDGER "}");
    assert_non_null(system->spec); /* they do not make the spec wrong */
    assert_true(system->has_requests);
    assert_int_equal(system->requests.count, 1);
    assert_string_equal(system->requests.items[0].subject, "ledger");
    assert_string_equal(system->request_problems,
        "histrio.dev/resume: 'Vandal' must be the name of a unit; histrio.dev/move: 'ledger' must be "
        "UNIT=NODE, "
        "e.g. tellers.0=bank-nodes-3; histrio.dev/move: 'a=' must be UNIT=NODE, e.g. tellers.0=bank-nodes-3; "
        "histrio.dev/move: '' must be the name of a unit");
    kube_object_unref(&system->head);
}

const struct CMUnitTest actor_system_tests[7] = {
    cmocka_unit_test(an_object_as_served_becomes_a_spec),
    cmocka_unit_test(mistakes_are_told_with_their_fields_and_no_line),
    cmocka_unit_test(what_makes_no_sense_on_a_cluster_is_named),
    cmocka_unit_test(many_mistakes_fit_into_a_status),
    cmocka_unit_test(an_object_without_a_spec_is_a_mistake_not_a_failure),
    cmocka_unit_test(annotations_are_requests),
    cmocka_unit_test(wrong_annotations_are_told_and_the_right_ones_done),
};
