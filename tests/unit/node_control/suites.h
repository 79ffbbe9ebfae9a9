/* The test tables of this binary, one a file; main.c runs them. */
#pragma once

#include <cmocka.h>

extern const struct CMUnitTest lease_tests[], assignments_tests[], convert_tests[], unit_spec_tests[],
    life_tests[], queues_tests[], code_folder_tests[];
extern const size_t lease_test_count, assignments_test_count, convert_test_count, unit_spec_test_count,
    life_test_count, queues_test_count, code_folder_test_count;
