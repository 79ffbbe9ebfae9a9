#include "suites.h"

#include "base/rng.h"
#include "drivers/log_file.h"
#include "drivers/report_reader.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct log_file open_log(const char *folder, size_t bytes_max, unsigned kept)
{
    struct log_file log;
    char *path = file_join(folder, "node.log");
    assert_int_equal(log_file_open(&log, path, bytes_max, kept, NULL), 0);
    free(path);
    return log;
}

static void assert_content(const char *folder, const char *name, const char *expected)
{
    char *text = temp_folder_read(folder, name);
    assert_string_equal(text, expected);
    free(text);
}

static void test_log_rotates_between_lines(void **state)
{
    char *folder = temp_folder_new();
    struct log_file log = open_log(folder, 10, 2);
    (void)state;
    log_file_write(&log, "one\ntwo\nthr", 11); /* in portions that are no lines */
    log_file_write(&log, "ee\nfour\nfive\nsix\n", 17);
    assert_content(folder, "node.log", "six\n");
    assert_content(folder, "node.log.1", "four\nfive\n");
    assert_content(folder, "node.log.2", "three\n");
    log_file_write(&log, "seven\n", 6);
    assert_content(folder, "node.log", "six\nseven\n");
    log_file_write(&log, "eight\n", 6);
    assert_content(folder, "node.log", "eight\n");
    assert_content(folder, "node.log.2", "four\nfive\n");
    assert_content(folder, "node.log.3", "");
    log_file_done(&log);
    temp_folder_remove(folder);
}

static void test_log_goes_on(void **state)
{
    char *folder = temp_folder_new();
    struct log_file log = open_log(folder, 100, 1);
    (void)state;
    log_file_write(&log, "before\n", 7);
    log_file_done(&log);
    log = open_log(folder, 100, 1);
    log_file_write(&log, "after\n", 6);
    assert_content(folder, "node.log", "before\nafter\n");
    log_file_done(&log);
    temp_folder_remove(folder);
}

/* However long lines are, files stay near their size. */
static void test_log_with_endless_line(void **state)
{
    char *folder = temp_folder_new();
    struct log_file log = open_log(folder, 100, 1);
    char line[64];
    (void)state;
    memset(line, 'x', sizeof(line));
    for (int i = 0; i < 100; i++)
        log_file_write(&log, line, sizeof(line));
    char *text = temp_folder_read(folder, "node.log");
    assert_true(strlen(text) <= 300);
    free(text);
    log_file_done(&log);
    temp_folder_remove(folder);
}

static void test_log_on_full_disk(void **state)
{
    char *folder = temp_folder_new();
    struct log_file log = open_log(folder, 100, 1);
    (void)state;
    (void)close(log.fd);
    log.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    log_file_write(&log, "lost\n", 5);
    assert_true(log.is_failing);
    log_file_done(&log);
    temp_folder_remove(folder);
}

struct lines {
    size_t starts, exits;
    uint64_t last_uid;
    int last_signal;
    char last_actor[32];
};

static void take(const struct report_line *line, void *ctx)
{
    struct lines *lines = ctx;
    lines->starts += !line->is_exit;
    lines->exits += line->is_exit;
    lines->last_uid = line->node_uid;
    lines->last_signal = line->signal;
    (void)snprintf(lines->last_actor, sizeof(lines->last_actor), "%s", line->actor);
}

static const char report[] =
    "{\"event\":\"started\",\"uid\":\"0123456789abcdef\",\"pid\":7}\n"
    "{\"event\":\"started\",\"uid\":\"0000000000000000\",\"pid\":7}\n"
    "{\"event\":\"started\",\"uid\":\"12\",\"pid\":7}\n"
    "{\"event\":\"sneezed\",\"uid\":\"0123456789abcdef\"}\n"
    "[1,2]\n"
    "\n"
    "{\"event\":\"exited\",\"uid\":\"0123456789abcdef\",\"signal\":9,\"actor\":\"a/b\"}\n";

/* The same lines whatever portions they come in. */
static void test_report_in_portions(void **state)
{
    struct rng rng;
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct report_reader reader;
        struct lines lines = {0};
        rng_seed(&rng, seed);
        report_reader_init(&reader);
        for (size_t at = 0; at < sizeof(report) - 1;) {
            size_t portion = 1 + (size_t)rng_below(&rng, 40);
            if (portion > sizeof(report) - 1 - at)
                portion = sizeof(report) - 1 - at;
            report_reader_feed(&reader, report + at, portion, take, &lines);
            at += portion;
        }
        assert_int_equal(lines.starts, 1);
        assert_int_equal(lines.exits, 1);
        assert_int_equal(lines.last_uid, 0x0123456789abcdef);
        assert_int_equal(lines.last_signal, 9);
        assert_string_equal(lines.last_actor, "a/b");
        assert_int_equal(reader.bad_lines, 5);
        report_reader_done(&reader);
    }
}

static void test_report_too_long(void **state)
{
    struct report_reader reader;
    struct lines lines = {0};
    char junk[1000];
    (void)state;
    memset(junk, '{', sizeof(junk));
    report_reader_init(&reader);
    for (int i = 0; i < 200; i++)
        report_reader_feed(&reader, junk, sizeof(junk), take, &lines);
    report_reader_feed(&reader, "\n", 1, take, &lines);
    report_reader_feed(&reader, report, sizeof(report) - 1, take, &lines);
    assert_int_equal(lines.starts, 1);
    assert_int_equal(lines.exits, 1);
    assert_int_equal(reader.bad_lines, 6);
    report_reader_done(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_rotates_between_lines),
        cmocka_unit_test(test_log_goes_on),
        cmocka_unit_test(test_log_with_endless_line),
        cmocka_unit_test(test_log_on_full_disk),
        cmocka_unit_test(test_report_in_portions),
        cmocka_unit_test(test_report_too_long),
    };
    int failed = cmocka_run_group_tests_name("log and report", tests, NULL, NULL);
    failed += _cmocka_run_group_tests("pod", pod_tests, pod_test_count, NULL, NULL);
    return failed + _cmocka_run_group_tests("process", process_tests, process_test_count, NULL, NULL);
}
