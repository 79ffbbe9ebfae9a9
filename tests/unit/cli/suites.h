/* The test tables of the files of this binary. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest text_tests[];
extern const size_t text_test_count;
extern const struct CMUnitTest rows_tests[];
extern const size_t rows_test_count;
extern const struct CMUnitTest manifest_tests[];
extern const size_t manifest_test_count;
extern const struct CMUnitTest logs_tests[];
extern const size_t logs_test_count;
