#include "unit/api/suites.h"

#include "api/kube_node.h"
#include "unit/api/object_support.h"

static void a_machine_has_labels_zone_and_state(void **state)
{
    (void)state;
    struct kube_object *object = object_read(kube_node_decode, kube_node_release,
        "'labels': {'topology.kubernetes.io/zone': 'z1', 'disk': 'ssd'}",
        "'spec': {'unschedulable': true, 'taints': [{'key': 'a'}]}, 'status': {'conditions': "
        "[{'type': 'MemoryPressure', 'status': 'True'}, {'type': 'Ready', 'status': 'True'}]}");
    const struct kube_node *node = (const struct kube_node *)object;
    assert_string_equal(node->zone, "z1");
    assert_string_equal(label_list_get(&node->labels, "disk"), "ssd");
    assert_true(node->is_ready && node->is_unschedulable);
    assert_false(node->is_out_of_service || node->is_deleting);
    kube_object_unref(object);
}

static void a_machine_that_is_asserted_to_be_off(void **state)
{
    (void)state;
    struct kube_object *object = object_read(kube_node_decode, kube_node_release, "",
        "'spec': {'taints': [{'key': 'node.kubernetes.io/out-of-service', 'effect': 'NoExecute'}]}, "
        "'status': "
        "{'conditions': [{'type': 'Ready', 'status': 'Unknown'}]}");
    const struct kube_node *node = (const struct kube_node *)object;
    assert_true(node->is_out_of_service);
    assert_false(node->is_ready || node->is_unschedulable);
    assert_string_equal(node->zone, "");
    kube_object_unref(object);
}

const struct CMUnitTest kube_node_tests[2] = {
    cmocka_unit_test(a_machine_has_labels_zone_and_state),
    cmocka_unit_test(a_machine_that_is_asserted_to_be_off),
};
