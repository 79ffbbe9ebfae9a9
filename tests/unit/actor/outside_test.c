#include "support.h"

#include "suites.h"

const struct CMUnitTest outside_tests[] = {{0}};
const size_t outside_test_count = 0;
