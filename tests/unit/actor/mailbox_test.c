#include "support.h"

#include "suites.h"

const struct CMUnitTest mailbox_tests[] = {{0}};
const size_t mailbox_test_count = 0;
