/* Log files: filters, order, following over a rotation. */
#include "suites.h"

#include "base/err.h"
#include "cli/log_lines.h"
#include "support/temp_folder.h"

#include <stdio.h>

static void append(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void assert_lines(struct log_lines *lines, bool with_old, const char *expected)
{
    struct str text = STR_INIT(10000);
    assert_int_equal(log_lines_read(lines, with_old, NULL), 0);
    log_lines_take(lines, UINT64_MAX, &text);
    assert_string_equal(str_text(&text), expected);
    str_done(&text);
}

static void test_actor_on_two_nodes(void **state)
{
    char *folder = temp_folder_new();
    struct log_lines lines;
    (void)state;
    append(folder, "bank-nodes-0.log",
        "{\"time\":\"T1\",\"level\":\"info\",\"text\":\"one\",\"actor\":\"tellers.0/counter\"}\n"
        "{\"time\":\"T2\",\"level\":\"info\",\"text\":\"other\",\"actor\":\"tellers.01/counter\"}\n"
        "something else\n"
        "{\"time\":\"T5\",\"level\":\"info\",\"text\":\"three\",\"actor\":\"bank/tellers.0/"
        "counter\",\"amount\":5}\n");
    append(folder, "bank-nodes-1.log",
        "{\"time\":\"T3\",\"level\":\"error\",\"text\":\"two\",\"actor\":\"tellers.0\"}\n");
    log_lines_init(&lines, folder, "bank", NULL, "tellers.0", false);
    assert_lines(&lines, true,
        "T1 info tellers.0/counter: one\nT3 error tellers.0: two\n"
        "T5 info bank/tellers.0/counter: three amount=5\n");
    assert_lines(&lines, false, "");
    log_lines_done(&lines);
    log_lines_init(&lines, folder, "bank", NULL, "tellers.0/counter", true);
    assert_lines(&lines, true,
        "{\"time\":\"T1\",\"level\":\"info\",\"text\":\"one\",\"actor\":\"tellers.0/counter\"}\n"
        "{\"time\":\"T5\",\"level\":\"info\",\"text\":\"three\",\"actor\":\"bank/tellers.0/"
        "counter\",\"amount\":5}\n");
    log_lines_done(&lines);
    temp_folder_remove(folder);
}

static void test_node_and_rotation(void **state)
{
    char *folder = temp_folder_new();
    char *path = file_join(folder, "bank-nodes-0.log");
    char *old = file_join(folder, "bank-nodes-0.log.1");
    struct log_lines lines;
    (void)state;
    append(folder, "bank-nodes-0.log.1", "oldest\n");
    append(folder, "bank-nodes-0.log", "old\nbegin of ");
    append(folder, "bank-nodes-1.log", "not this\n");
    log_lines_init(&lines, folder, "bank", "bank-nodes-0", NULL, false);
    assert_lines(&lines, true, "oldest\nold\n");
    append(folder, "bank-nodes-0.log", "a line\n");
    assert_int_equal(rename(path, old), 0);
    append(folder, "bank-nodes-0.log", "new\n");
    assert_lines(&lines, false, "begin of a line\nnew\n");
    log_lines_done(&lines);
    free(old);
    free(path);
    temp_folder_remove(folder);
}

static void test_last_lines(void **state)
{
    char *folder = temp_folder_new();
    struct log_lines lines;
    struct str text = STR_INIT(1000);
    (void)state;
    append(folder, "bank-nodes-0.log", "1\n2\n3\n");
    log_lines_init(&lines, folder, "bank", NULL, NULL, false);
    assert_int_equal(log_lines_read(&lines, true, NULL), 0);
    log_lines_take(&lines, 2, &text);
    assert_string_equal(str_text(&text), "2\n3\n");
    str_done(&text);
    log_lines_done(&lines);
    temp_folder_remove(folder);
}

static void test_no_logs(void **state)
{
    char *folder = temp_folder_new();
    struct log_lines lines;
    struct err err = {0};
    (void)state;
    log_lines_init(&lines, folder, "bank", "bank-nodes-9", NULL, false);
    assert_int_equal(log_lines_read(&lines, true, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    log_lines_done(&lines);
    temp_folder_remove(folder);
}

const struct CMUnitTest logs_tests[] = {
    cmocka_unit_test(test_actor_on_two_nodes),
    cmocka_unit_test(test_node_and_rotation),
    cmocka_unit_test(test_last_lines),
    cmocka_unit_test(test_no_logs),
};
const size_t logs_test_count = sizeof(logs_tests) / sizeof(logs_tests[0]);
