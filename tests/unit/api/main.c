#include "unit/api/suites.h"

int main(void)
{
    int failed = cmocka_run_group_tests_name("manifest", manifest_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("problems", problems_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("status_json", status_json_tests, NULL, NULL);
}
