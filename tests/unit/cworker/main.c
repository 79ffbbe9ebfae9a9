#include "suites.h"

int main(void)
{
    int failed = _cmocka_run_group_tests("messages", messages_tests, messages_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("lives", lives_tests, lives_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("spawns", spawns_tests, spawns_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("snapshots", snapshots_tests, snapshots_test_count, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
