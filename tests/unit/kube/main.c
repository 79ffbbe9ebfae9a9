#include "unit/kube/suites.h"

int main(void)
{
    int failed = cmocka_run_group_tests_name("text", text_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("config", config_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("exec", exec_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("auth", auth_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("http", http_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("call", call_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("stream", stream_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("verb", verb_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("list", list_tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("tls", tls_tests, NULL, NULL);
    return failed;
}
