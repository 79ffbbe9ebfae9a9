/* The test tables of the files of this binary. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest process_tests[];
extern const size_t process_test_count;
extern const struct CMUnitTest pod_tests[];
extern const size_t pod_test_count;
