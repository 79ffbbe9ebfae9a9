/* The gateway with whole nodes behind it. */
#include "support.h"

int main(void)
{
    int failed = _cmocka_run_group_tests("ask", ask_tests, ask_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("requests", request_tests, request_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("list and watch", look_tests, look_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("http", http_tests, http_test_count, NULL, NULL);
    return failed;
}
