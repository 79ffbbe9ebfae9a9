#include "unit/api/suites.h"

#include <string.h>

#include "api/pod.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "unit/api/object_support.h"

static const struct pod *read_pod(const char *more, const char *rest)
{
    return (const struct pod *)object_read(pod_decode, pod_release, more, rest);
}

static void free_pod(const struct pod *pod)
{
    kube_object_unref((struct kube_object *)(uintptr_t)&pod->head);
}

static void a_running_pod_has_what_the_operator_needs(void **state)
{
    (void)state;
    const struct pod *pod = read_pod(
        "'creationTimestamp': '2026-11-23T12:00:00Z', 'labels': {'histrio.dev/system': 'bank', 'other': "
        "'x'}, "
        "'annotations': {'histrio.dev/template-hash': '00c0ffee00c0ffee', 'histrio.dev/index': '7'}, "
        "'ownerReferences': [{'uid': 'no'}, {'uid': 'owner', 'controller': true}]",
        "'spec': {'nodeName': 'machine-1'}, 'status': {'phase': 'Running', 'podIP': '10.0.0.7', "
        "'conditions': [{'type': 'Ready', 'status': 'True'}, {'type': 'PodScheduled', 'status': 'True', "
        "'reason': 'x'}], 'containerStatuses': [{'name': 'sidecar', 'state': {'terminated': {'exitCode': "
        "1}}}, "
        "{'name': 'node', 'state': {'running': {}}}]}");
    const char *reason;
    const char *message;
    assert_string_equal(pod->head.name, "bank");
    assert_string_equal(pod->owner_uid, "owner");
    assert_string_equal(pod->system, "bank");
    assert_string_equal(pod->ip, "10.0.0.7");
    assert_string_equal(pod->kube_node, "machine-1");
    assert_string_equal(pod->template_hash, "00c0ffee00c0ffee");
    assert_int_equal(pod->index, 7);
    assert_int_equal(pod->phase, POD_RUNNING);
    assert_int_equal(pod->container, POD_CONTAINER_RUNNING); /* not the sidecar's state */
    assert_true(pod->is_ready);
    assert_int_equal(pod->created_wall_ms, INT64_C(1795435200000));
    assert_false(pod->is_deleting || pod->is_cordoned || pod->is_draining || pod->is_disrupted);
    assert_false(pod_trouble(pod, &reason, &message));
    free_pod(pod);
}

static void an_ended_container_is_told_with_its_cause(void **state)
{
    (void)state;
    const struct pod *pod = read_pod("'deletionTimestamp': '2026-11-23T12:00:00Z'",
        "'status': {'phase': 'Failed', 'containerStatuses': [{'name': 'node', 'state': {'terminated': "
        "{'exitCode': 137, 'signal': 9, 'reason': 'OOMKilled', 'message': 'unit tellers.0'}}}]}");
    const char *reason;
    const char *message;
    assert_int_equal(pod->container, POD_CONTAINER_TERMINATED);
    assert_int_equal(pod->exit_code, 137);
    assert_int_equal(pod->signal, 9);
    assert_int_equal(pod->phase, POD_FAILED);
    assert_true(pod->is_deleting);
    assert_true(pod_trouble(pod, &reason, &message));
    assert_string_equal(reason, "OOMKilled");
    assert_string_equal(message, "unit tellers.0");
    free_pod(pod);
}

static void a_container_that_ended_well_is_no_trouble(void **state)
{
    (void)state;
    const struct pod *pod =
        read_pod("", "'status': {'phase': 'Succeeded', 'containerStatuses': [{'name': 'node', "
                     "'state': {'terminated': {'exitCode': 0, 'reason': 'Completed'}}}]}");
    const char *reason;
    const char *message;
    assert_int_equal(pod->container, POD_CONTAINER_TERMINATED);
    assert_int_equal(pod->index, -1);
    assert_false(pod_trouble(pod, &reason, &message));
    free_pod(pod);
}

static void expect_trouble(const char *status, const char *expected_reason, const char *expected_message)
{
    char *rest = xasprintf("'status': {%s}", status);
    const struct pod *pod = read_pod("", rest);
    const char *reason = "";
    const char *message = "";
    assert_int_equal(pod_trouble(pod, &reason, &message), expected_reason[0] != '\0');
    assert_string_equal(reason, expected_reason);
    assert_string_equal(message, expected_message);
    free_pod(pod);
    free(rest);
}

static void troubles_are_named_and_usual_waits_are_none(void **state)
{
    (void)state;
    expect_trouble(
        "'phase': 'Pending', 'containerStatuses': [{'name': 'node', 'state': {'waiting': {'reason': "
        "'ImagePullBackOff', 'message': 'Back-off pulling'}}}]",
        "ImagePullBackOff", "Back-off pulling");
    expect_trouble(
        "'phase': 'Pending', 'containerStatuses': [{'name': 'node', 'state': {'waiting': {'reason': "
        "'ContainerCreating'}}}]",
        "", "");
    expect_trouble("'phase': 'Pending', 'conditions': [{'type': 'PodScheduled', 'status': 'False', 'reason': "
                   "'Unschedulable', 'message': '0/3 nodes'}]",
        "Unschedulable", "0/3 nodes");
    expect_trouble("'phase': 'Failed', 'reason': 'Evicted', 'message': 'low on memory', 'containerStatuses': "
                   "[{'name': 'node', 'state': {'terminated': {'exitCode': 137, 'reason': 'Error'}}}]",
        "Evicted", "low on memory");
    expect_trouble("'phase': 'Failed', 'containerStatuses': [{'name': 'node', 'state': {'terminated': "
                   "{'exitCode': 1}}}]",
        "Error", "");
    expect_trouble("'phase': 'Pending'", "", "");
}

static void draining_implies_cordoned(void **state)
{
    (void)state;
    const struct pod *drained = read_pod("'annotations': {'histrio.dev/drain': 'true'}", "");
    const struct pod *cordoned = read_pod("'annotations': {'histrio.dev/cordon': 'true'}", "");
    const struct pod *neither =
        read_pod("'annotations': {'histrio.dev/cordon': 'yes', 'histrio.dev/index': '-3'}", "");
    assert_true(drained->is_draining && drained->is_cordoned);
    assert_true(!cordoned->is_draining && cordoned->is_cordoned);
    assert_true(!neither->is_draining && !neither->is_cordoned);
    assert_int_equal(neither->index, -1);
    free_pod(drained);
    free_pod(cordoned);
    free_pod(neither);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    enum { LENGTH = 3000 };
    char *text = xmalloc(2 * LENGTH + 2);
    text[0] = 'x'; /* so that the limit falls into the middle of a character */
    for (size_t i = 0; i < LENGTH; i++)
        memcpy(text + 1 + 2 * i, "\xc3\xa9", 2);
    text[2 * LENGTH + 1] = '\0';
    char *rest = xasprintf("'status': {'message': '%s', 'containerStatuses': [{'name': 'node', 'state': "
                           "{'terminated': {'message': '%s'}}}]}",
        text, text);
    const struct pod *pod = read_pod("", rest);
    assert_int_equal(strlen(pod->message), 511);
    assert_int_equal(strlen(pod->container_message), 4095); /* a crash record is longer */
    free_pod(pod);
    free(rest);
    free(text);
}

static void members_of_wrong_types_count_as_absent(void **state)
{
    (void)state;
    const struct pod *pod = read_pod("'labels': [], 'annotations': 'x', 'ownerReferences': {}",
        "'spec': 1, 'status': {'phase': 'Odd', 'podIP': 7, 'conditions': {'a': 1}, 'containerStatuses': "
        "[1, {'name': 'node', 'state': {'terminated': {'exitCode': 99999999999, 'reason': []}}}]}");
    struct err err = {0};
    struct json *list = object_parse("[]");
    assert_int_equal(pod->phase, POD_UNKNOWN);
    assert_string_equal(pod->ip, "");
    assert_int_equal(pod->container, POD_CONTAINER_TERMINATED);
    assert_int_equal(pod->exit_code, 0);
    assert_null(pod_decode(list, NULL, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    json_free(list);
    free_pod(pod);
}

const struct CMUnitTest pod_tests[7] = {
    cmocka_unit_test(a_running_pod_has_what_the_operator_needs),
    cmocka_unit_test(an_ended_container_is_told_with_its_cause),
    cmocka_unit_test(a_container_that_ended_well_is_no_trouble),
    cmocka_unit_test(troubles_are_named_and_usual_waits_are_none),
    cmocka_unit_test(draining_implies_cordoned),
    cmocka_unit_test(long_texts_are_cut_between_characters),
    cmocka_unit_test(members_of_wrong_types_count_as_absent),
};
