#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread.h"

static int ends[2];

static int open_pipe(void **state)
{
    (void)state;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    log_init(ends[1], LOG_INFO);
    return 0;
}

static int close_pipe(void **state)
{
    (void)state;
    log_init(STDERR_FILENO, LOG_INFO);
    return close(ends[0]) | close(ends[1]);
}

static struct json *read_line(void)
{
    static char buffer[LIMIT_LOG_LINE_BYTES + 100];
    size_t size = 0;
    while (size == 0 || buffer[size - 1] != '\n') {
        assert_true(size < sizeof(buffer));
        assert_int_equal(read(ends[0], buffer + size, 1), 1);
        size++;
    }
    struct json *line = NULL;
    struct err err = {0};
    if (json_parse(buffer, size, &line, &err) < 0)
        fail_msg("%s: %.*s", err.text, (int)size, buffer);
    return line;
}

static void a_line_is_an_object(void **state)
{
    (void)state;
    errno = EBUSY;
    log_event(LOG_DEBUG, "not this one", NULL);
    log_event(
        LOG_WARNING, "it \"failed\"", "unit", "bank/ledger", "epoch", log_number(-7), "peer", NULL, NULL);
    assert_int_equal(errno, EBUSY);
    _cleanup_(json_freep) struct json *line = read_line();
    assert_int_equal(json_count(line), 6);
    assert_string_equal(json_string(json_get(line, "level")), "warning");
    assert_string_equal(json_string(json_get(line, "text")), "it \"failed\"");
    assert_string_equal(json_string(json_get(line, "unit")), "bank/ledger");
    assert_int_equal(json_int(json_get(line, "epoch")), -7);
    assert_int_equal(json_type(json_at(line, 5)), JSON_NULL);
    assert_int_equal(json_string_size(json_get(line, "time")), 24);
    assert_true(log_enabled(LOG_ERROR));
    assert_false(log_enabled(LOG_DEBUG));
}

static void long_lines_are_cut_between_pairs(void **state)
{
    (void)state;
    char text[LIMIT_LOG_LINE_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_event(LOG_ERROR, "long", "unit", "a", "error", text, "actor", "b", NULL);
    _cleanup_(json_freep) struct json *line = read_line();
    assert_string_equal(json_string(json_get(line, "unit")), "a");
    assert_null(json_get(line, "error"));
    assert_null(json_get(line, "actor"));
    assert_true(json_bool(json_get(line, "cut")));
    log_event(LOG_ERROR, text, "unit", "a", NULL);
    _cleanup_(json_freep) struct json *second = read_line();
    assert_int_equal(json_string_size(json_get(second, "text")), LIMIT_LOG_LINE_BYTES / 16);
    assert_string_equal(json_string(json_get(second, "unit")), "a");
}

static void write_many(void *ctx)
{
    for (int i = 0; i < 200; i++)
        log_event(LOG_INFO, "from a thread", "name", ctx, "i", log_number(i), NULL);
}

static void lines_do_not_mix(void **state)
{
    (void)state;
    char names[2][2] = {"a", "b"};
    struct thread *threads[2];
    int next[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(thread_start(&threads[i], "writer", write_many, names[i], NULL), 0);
    for (int i = 0; i < 400; i++) {
        _cleanup_(json_freep) struct json *line = read_line();
        int who = json_string(json_get(line, "name"))[0] - 'a';
        assert_int_equal(json_int(json_get(line, "i")), next[who]++);
    }
    thread_join(threads[0]);
    thread_join(threads[1]);
}

static void common_pairs_are_in_every_line(void **state)
{
    (void)state;
    log_set_common("system", "bank");
    log_set_common("node", "\"1\"");
    log_event(LOG_INFO, "x", NULL);
    _cleanup_(json_freep) struct json *line = read_line();
    assert_string_equal(json_string(json_get(line, "system")), "bank");
    assert_string_equal(json_string(json_get(line, "node")), "\"1\"");
}

static void levels_by_name(void **state)
{
    (void)state;
    enum log_level level = LOG_INFO;
    struct err err = {0};
    assert_int_equal(log_level_parse("error", &level, &err), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_level_parse("loud", &level, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

#define with_pipe(test) cmocka_unit_test_setup_teardown(test, open_pipe, close_pipe)
TEST_GROUP(log, with_pipe(a_line_is_an_object), with_pipe(long_lines_are_cut_between_pairs),
    with_pipe(lines_do_not_mix), with_pipe(common_pairs_are_in_every_line), cmocka_unit_test(levels_by_name));
