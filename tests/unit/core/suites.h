#ifndef UNIT_CORE_SUITES_H
#define UNIT_CORE_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest life_tests[11];
extern const struct CMUnitTest restart_tests[8];
extern const struct CMUnitTest fencing_tests[9];
extern const struct CMUnitTest rollout_tests[15];
extern const struct CMUnitTest loss_tests[13];
extern const struct CMUnitTest spec_tests[9];

#endif
