/* The test tables of the files of this binary. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest nodes_tests[];
extern const size_t nodes_test_count;
