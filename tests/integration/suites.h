/* The test tables of node_test, one a file. */
#pragma once

#include <cmocka.h>

extern const struct CMUnitTest node_sessions_tests[], node_units_tests[], node_lives_tests[],
    node_tls_tests[];
extern const size_t node_sessions_test_count, node_units_test_count, node_lives_test_count,
    node_tls_test_count;
