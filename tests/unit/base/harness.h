/* What the files of this test share. */
#ifndef TESTS_UNIT_BASE_HARNESS_H
#define TESTS_UNIT_BASE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct json;
struct rng;

extern const struct CMUnitTest err_tests[], text_tests[], container_tests[], time_tests[], thread_tests[],
    file_tests[], json_tests[], yaml_tests[], value_tests[], log_tests[], metrics_tests[], httpd_tests[],
    trace_context_tests[];
extern const size_t err_test_count, text_test_count, container_test_count, time_test_count, thread_test_count,
    file_test_count, json_test_count, yaml_test_count, value_test_count, log_test_count, metrics_test_count,
    httpd_test_count, trace_context_test_count;

/* Defines the list and count that main.c runs. */
#define TEST_GROUP(name, ...)                                                                                \
    const struct CMUnitTest name##_tests[] = {__VA_ARGS__};                                                  \
    const size_t name##_test_count = sizeof(name##_tests) / sizeof(name##_tests[0])

/* A tree of random shape, keys, texts and numbers; text of any UTF-8, NUL included. The caller frees it. */
struct json *random_tree(struct rng *rng);
/* Random UTF-8 of at most size_max bytes with size in *ret_size; the caller frees it. */
char *random_text(struct rng *rng, size_t size_max, size_t *ret_size);

/* Runs function in a child that it must kill with SIGABRT; its stderr is swallowed. True when it did. */
int aborts(void (*function)(void));

#endif
