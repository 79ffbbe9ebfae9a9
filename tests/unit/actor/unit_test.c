#include "support.h"

#include "suites.h"

const struct CMUnitTest unit_tests[] = {{0}};
const size_t unit_test_count = 0;
