#include "suites.h"

int main(void)
{
    return _cmocka_run_group_tests("nodes", nodes_tests, nodes_test_count, NULL, NULL);
}
