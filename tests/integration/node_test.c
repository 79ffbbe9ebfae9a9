/* The real histrio-node, driven over Control, its gateway, its report descriptor and signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "suites.h"

#include <signal.h>

#define RUN(name) _cmocka_run_group_tests(#name, name##_tests, name##_test_count, NULL, NULL)

/* One argument: a pattern of test names. */
int main(int argument_count, char **arguments)
{
    int failed = 0;
    (void)signal(SIGPIPE, SIG_IGN); /* nodes end while we write */
    if (argument_count > 1)
        cmocka_set_test_filter(arguments[1]);
    failed += RUN(node_sessions);
    failed += RUN(node_units);
    failed += RUN(node_lives);
    failed += RUN(node_tls);
    return failed;
}
