#include "unit/core/suites.h"

int main(void)
{
    int failed = cmocka_run_group_tests_name("life", life_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("restart", restart_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("rollout", rollout_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("loss", loss_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("spec", spec_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("fencing", fencing_tests, NULL, NULL);
}
