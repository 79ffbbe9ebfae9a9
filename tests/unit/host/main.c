#include "unit/actor/support.h"

#include "suites.h"

int main(void)
{
    int failed = _cmocka_run_group_tests("pure", pure_tests, pure_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("host", host_tests, host_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("buffers", buffers_tests, buffers_test_count, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
