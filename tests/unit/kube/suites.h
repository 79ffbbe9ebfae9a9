#ifndef UNIT_KUBE_SUITES_H
#define UNIT_KUBE_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest text_tests[9];
extern const struct CMUnitTest config_tests[9];
extern const struct CMUnitTest exec_tests[7];
extern const struct CMUnitTest auth_tests[8];
extern const struct CMUnitTest http_tests[10];
extern const struct CMUnitTest call_tests[15];
extern const struct CMUnitTest stream_tests[6];
extern const struct CMUnitTest verb_tests[6];
extern const struct CMUnitTest list_tests[6];
extern const struct CMUnitTest tls_tests[9];

#endif
