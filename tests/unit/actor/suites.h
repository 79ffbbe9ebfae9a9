/* The tests of this folder's files, run by main.c. */
#ifndef UNIT_ACTOR_SUITES_H
#define UNIT_ACTOR_SUITES_H

#define SUITE(name)                                                                                          \
    extern const struct CMUnitTest name##_tests[];                                                           \
    extern const size_t name##_test_count

SUITE(wheel);
SUITE(message);
SUITE(mailbox);
SUITE(link);
SUITE(unit);
SUITE(outside);
SUITE(supervisor);
SUITE(hosted);

#endif
