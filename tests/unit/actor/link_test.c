#include "support.h"

#include "suites.h"

const struct CMUnitTest link_tests[] = {{0}};
const size_t link_test_count = 0;
