#ifndef UNIT_API_SUITES_H
#define UNIT_API_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct CMUnitTest manifest_tests[7];
extern const struct CMUnitTest problems_tests[3];
extern const struct CMUnitTest status_json_tests[4];
extern const struct CMUnitTest status_past_tests[4];
extern const struct CMUnitTest pod_tests[7];
extern const struct CMUnitTest kube_node_tests[2];
extern const struct CMUnitTest actor_system_tests[7];
extern const struct CMUnitTest fence_object_tests[3];
extern const struct CMUnitTest placement_objects_tests[9];
extern const struct CMUnitTest crd_tests[3];
extern const struct CMUnitTest written_tests[4];

#endif
