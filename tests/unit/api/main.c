#include "unit/api/suites.h"

int main(void)
{
    int failed = cmocka_run_group_tests_name("manifest", manifest_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("problems", problems_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("status_json", status_json_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("status_past", status_past_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("pod", pod_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("kube_node", kube_node_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("actor_system", actor_system_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("fence_object", fence_object_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("placement_objects", placement_objects_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("crd", crd_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("written", written_tests, NULL, NULL);
}
