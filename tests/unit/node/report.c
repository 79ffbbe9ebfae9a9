/* What the parent tells whoever started it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "node/report.h"
#include "suites.h"

struct pair {
    int ours, theirs;
    struct report report;
};

static void open_pair(struct pair *pair)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pair->ours = ends[0];
    pair->theirs = ends[1];
    report_init(&pair->report, pair->ours);
}

static void close_pair(struct pair *pair)
{
    report_done(&pair->report);
    (void)close(pair->ours);
    if (pair->theirs >= 0)
        (void)close(pair->theirs);
}

static void test_lines(void **state)
{
    struct pair pair;
    struct life_end end = {.node_uid = 0xabc, .signal = 11};
    char text[4096] = "";
    struct json *line = NULL;
    (void)state;
    open_pair(&pair);
    (void)snprintf(end.unit, sizeof(end.unit), "tellers.1");
    (void)snprintf(end.backtrace, sizeof(end.backtrace), "a\nb\n");
    report_started(&pair.report, 0xabc, 42);
    report_exited(&pair.report, &end);
    ssize_t size = read(pair.theirs, text, sizeof(text) - 1);
    assert_true(size > 0);
    char *second = strchr(text, '\n') + 1;
    second[-1] = 0;
    assert_string_equal(text, "{\"event\":\"started\",\"uid\":\"0000000000000abc\",\"pid\":42}");
    assert_int_equal(json_parse(second, strlen(second), &line, NULL), 0);
    assert_string_equal(json_string(json_get(line, "event")), "exited");
    assert_int_equal(json_int(json_get(line, "signal")), 11);
    assert_string_equal(json_string(json_get(line, "unit")), "tellers.1");
    assert_string_equal(json_string(json_get(line, "backtrace")), "a\nb\n");
    json_free(line);
    close_pair(&pair);
}

static void test_slow_reader_costs_lines_and_never_waits(void **state)
{
    struct pair pair;
    char buffer[65536];
    size_t lines = 0;
    (void)state;
    open_pair(&pair);
    for (int i = 0; i < 40000; i++) /* more than the socket and the limit hold together */
        report_started(&pair.report, 1, 1);
    assert_true(report_has_pending(&pair.report));
    for (;;) {
        report_flush(&pair.report);
        ssize_t size = recv(pair.theirs, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (size <= 0)
            break;
        for (ssize_t i = 0; i < size; i++)
            lines += buffer[i] == '\n';
    }
    assert_false(report_has_pending(&pair.report));
    assert_true(lines > 10000);
    assert_true(lines < 40000);
    close_pair(&pair);
}

static void test_gone(void **state)
{
    struct pair pair;
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    open_pair(&pair);
    assert_int_equal(write(pair.theirs, "x", 1), 1);
    assert_false(report_is_gone(&pair.report)); /* what it says is of no interest */
    (void)close(pair.theirs);
    pair.theirs = -1;
    assert_true(report_is_gone(&pair.report));
    report_started(&pair.report, 1, 1); /* kept, harmless */
    close_pair(&pair);
}

const struct CMUnitTest report_tests[] = {
    cmocka_unit_test(test_lines),
    cmocka_unit_test(test_slow_reader_costs_lines_and_never_waits),
    cmocka_unit_test(test_gone),
};
const size_t report_test_count = sizeof(report_tests) / sizeof(report_tests[0]);
