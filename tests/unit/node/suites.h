/* The test tables of this binary, one a file; main.c runs them. */
#pragma once

#include <cmocka.h>

extern const struct CMUnitTest environment_tests[], crash_tests[], parent_tests[], report_tests[],
    termination_tests[], hosting_tests[];
extern const size_t environment_test_count, crash_test_count, parent_test_count, report_test_count,
    termination_test_count, hosting_test_count;
