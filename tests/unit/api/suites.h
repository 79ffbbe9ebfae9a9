#ifndef UNIT_API_SUITES_H
#define UNIT_API_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest manifest_tests[6];
extern const struct CMUnitTest problems_tests[3];
extern const struct CMUnitTest status_json_tests[2];

#endif
