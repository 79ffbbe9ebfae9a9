#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "suites.h"

#define RUN(name) _cmocka_run_group_tests(#name, name##_tests, name##_test_count, NULL, NULL)

int main(void)
{
    int failed = 0;
    failed += RUN(environment);
    failed += RUN(crash);
    failed += RUN(parent);
    failed += RUN(report);
    failed += RUN(termination);
    failed += RUN(hosting);
    return failed;
}
