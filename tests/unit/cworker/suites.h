/* The tests of the worker for behaviors in C, run by main.c. */
#ifndef SUITES_H
#define SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest messages_tests[], lives_tests[], spawns_tests[], snapshots_tests[];
extern const size_t messages_test_count, lives_test_count, spawns_test_count, snapshots_test_count;

#endif
