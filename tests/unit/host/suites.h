/* The tests of this folder's files, run by main.c. */
#ifndef UNIT_HOST_SUITES_H
#define UNIT_HOST_SUITES_H

extern const struct CMUnitTest host_tests[], buffers_tests[], pure_tests[];
extern const size_t host_test_count, buffers_test_count, pure_test_count;

#endif
