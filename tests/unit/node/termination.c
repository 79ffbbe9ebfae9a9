/* What the kubelet is told of the end of a container. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "node/termination.h"
#include "node_control/life.h"
#include "suites.h"
#include "support/temp_folder.h"

static void test_record(void **state)
{
    char *folder = temp_folder_new();
    char *path = file_join(folder, "log");
    struct life_end end = {
        .node_uid = 0xabc, .signal = 11, .unit = "tellers.1", .actor = "tellers.1/counter"};
    struct json *record = NULL;
    (void)state;
    temp_folder_write(folder, "log", "something longer that was there before, of another life", 0600);
    /* Quotes and line ends take twice their place in JSON: this does not fit as a whole. */
    for (size_t i = 0; i + 1 < sizeof(end.backtrace); i++)
        end.backtrace[i] = "frame\n"[i % 6];
    assert_int_equal(termination_write(path, &end, NULL), 0);
    char *text = temp_folder_read(folder, "log");
    assert_in_range(strlen(text), 1000, TERMINATION_BYTES_MAX);
    assert_int_equal(json_parse(text, strlen(text), &record, NULL), 0);
    assert_string_equal(json_string(json_get(record, "unit")), "tellers.1");
    assert_string_equal(json_string(json_get(record, "actor")), "tellers.1/counter");
    assert_int_equal(json_int(json_get(record, "signal")), 11);
    assert_string_equal(json_string(json_get(record, "uid")), "0000000000000abc");
    assert_true(text_starts_with(json_string(json_get(record, "backtrace")), "frame\nframe\n"));
    json_free(record);
    free(text);
    assert_int_equal(termination_clear(path, NULL), 0);
    text = temp_folder_read(folder, "log");
    assert_string_equal(text, "");
    free(text);
    free(path);
    temp_folder_remove(folder);
}

static void test_no_file(void **state)
{
    char *folder = temp_folder_new();
    char *path = file_join(folder, "log");
    struct life_end end = {.node_uid = 1};
    struct err err = {0};
    (void)state;
    assert_int_equal(termination_write(path, &end, &err), 0);
    assert_int_equal(access(path, F_OK), -1); /* nobody reads it: it is not made */
    assert_int_equal(termination_write(folder, &end, &err), -1);
    assert_non_null(strstr(err.text, folder));
    free(path);
    temp_folder_remove(folder);
}

const struct CMUnitTest termination_tests[] = {
    cmocka_unit_test(test_record),
    cmocka_unit_test(test_no_file),
};
const size_t termination_test_count = sizeof(termination_tests) / sizeof(termination_tests[0]);
