#include "support.h"

#include "suites.h"
#include "supervision_test.h"

struct suite {
    const char *name;
    const struct CMUnitTest *tests;
    const size_t *count;
};

/* cmocka's group macro wants an array whose size it can see. */
static int run(const struct suite *suite)
{
    return _cmocka_run_group_tests(suite->name, suite->tests, *suite->count, NULL, NULL);
}

int main(void)
{
    const struct suite suites[] = {
        {"supervision", supervision_tests, &supervision_test_count},
        {"wheel", wheel_tests, &wheel_test_count},
        {"messages", message_tests, &message_test_count},
        {"mailboxes", mailbox_tests, &mailbox_test_count},
        {"links", link_tests, &link_test_count},
        {"units", unit_tests, &unit_test_count},
        {"outside", outside_tests, &outside_test_count},
        {"supervisor", supervisor_tests, &supervisor_test_count},
        {"hosted", hosted_tests, &hosted_test_count},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        failed += run(&suites[i]);
    return failed == 0 ? 0 : 1;
}
