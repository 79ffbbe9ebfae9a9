/* Large data of messages between worker processes (puppet/shared.c): it is handed on, and the node keeps no
 * descriptor longer than its message. */
#include "unit/actor/support.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/value.h"
#include "host/host.h"
#include "suites.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 8192, PATIENCE_S = 20 };

static struct host *host;

/* In the node: it gets the bytes themselves. */
static enum histrio_result look(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (message->kind != HISTRIO_ASK)
        return HISTRIO_CONTINUE;
    struct str text = STR_INIT(64);
    const char *inside =
        message->size > FILE_BYTES ? (const char *)message->value + message->size - FILE_BYTES : "";
    value_put_string(&text, inside);
    histrio_reply(ctx, (const uint8_t *)text.data, text.size);
    str_done(&text);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior looker = {.name = "looker", .receive = look};
static const struct histrio_behavior *const behaviors[] = {&looker, NULL};

/* Descriptors of this process that are files of large data. */
static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char target[64] = "";
        if (readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1) > 0)
            count += strstr(target, "histrio-data") != NULL;
    }
    (void)closedir(folder);
    return count;
}

static void wait_open_files(unsigned wanted)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_S * NS_PER_S;
    while (open_files() != wanted && clock_now_ns(clock_system()) < deadline_ns)
        continue;
    assert_int_equal(open_files(), wanted);
}

static void start(uint64_t shared_bytes_max)
{
    struct err err = {0};
    struct host_config config = {.system = "bank",
        .node = "node-0",
        .node_uid = TEST_NODE_UID,
        .script_fd = -1,
        .program = HOST_PUPPET,
        .shared_bytes_max = shared_bytes_max};
    assert_int_equal(host_new(&config, &host, &err), 0);
    host_configure(host, &(struct host_app){.interpreter = HOST_PUPPET, .workers = 2});
    support_start_hosting(2, behaviors, host_hosting(host));
    support_unit("looker", "test.looker");
    struct actor_child_spec children[3] = {
        {.name = "one",
            .under = "",
            .behavior = "m:One",
            .shutdown_ms = 500,
            .isolation = ACTOR_ISOLATION_PROCESS},
        {.name = "two",
            .under = "",
            .behavior = "m:Two",
            .shutdown_ms = 500,
            .isolation = ACTOR_ISOLATION_PROCESS},
    };
    struct actor_child_spec in_c = {.name = "three",
        .under = "",
        .behavior = "test.looker",
        .shutdown_ms = 500,
        .isolation = ACTOR_ISOLATION_PROCESS};
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit",
            .is_supervisor = true,
            .restarts_max = 100,
            .period_ms = 60000,
            .shutdown_ms = ACTOR_SHUTDOWN_INFINITY},
        .children = children,
        .child_count = 3};
    children[2] = in_c;
    support_unit_spec(&spec);
}

static void stop(void)
{
    support_stop();
    host_free(host);
    assert_int_equal(open_files(), 0);
}

/* The text that comes back, with the error before it. */
static const char *deed(const char *target, const char *method, const char *what)
{
    static char text[256];
    struct str value = STR_INIT(256);
    value_put_string(&value, what);
    struct answer got = ask(target, method, value.data, value.size, 60000);
    str_done(&value);
    const char *said = (const char *)got.value;
    size_t size = got.size;
    if (got.error == HISTRIO_OK && !value_get_string(value_of(got.value, got.size), &said, &size))
        size = 0;
    (void)snprintf(text, sizeof(text), "%s:%.*s", histrio_error_name(got.error), (int)size, said);
    return text;
}

static void tell_deed(const char *target, const char *method, const char *what)
{
    struct str value = STR_INIT(256);
    value_put_string(&value, what);
    assert_int_equal(
        actor_system_tell(support_system(), target, method, (const uint8_t *)value.data, value.size), 0);
    str_done(&value);
}

static uint64_t held_bytes(void)
{
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.shared_bytes, counters.shared_files * FILE_BYTES);
    return counters.shared_bytes;
}

static void it_comes_and_goes_and_is_closed(void **state)
{
    (void)state;
    start(0);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(deed("unit/one", "share", "unit/two"), "OK:shared");
        assert_string_equal(deed("unit/one", "fetch", "unit/two"), "OK:given");
    }
    wait_open_files(0);
    assert_int_equal(held_bytes(), 0);
    stop();
}

static void others_get_the_bytes(void **state)
{
    (void)state;
    start(0);
    assert_string_equal(deed("unit/one", "share", "looker"), "OK:shared");
    assert_string_equal(deed("unit/one", "share", "unit/three"), "OK:=shared"); /* in C, in a process */
    struct answer given = ask("unit/one", "give", NULL, 0, 60000); /* a client: cut to what it has room for */
    assert_int_equal(given.error, HISTRIO_OK);
    assert_string_equal(deed("unit/one", "share", "nobody"), "NotFound:no such actor");
    wait_open_files(0);
    stop();
}

static void it_waits_with_its_message(void **state)
{
    (void)state;
    start(0);
    tell_deed("unit/two", "stuck", "");
    for (unsigned i = 0; i < 5; i++)
        tell_deed("unit/one", "share", "unit/two");
    wait_open_files(5);
    assert_int_equal(held_bytes(), 5 * FILE_BYTES);
    stop(); /* and nothing is left */
}

static void it_goes_with_its_holder(void **state)
{
    (void)state;
    start(0);
    tell_deed("unit/two", "stuck", "");
    for (unsigned i = 0; i < 5; i++)
        tell_deed("unit/one", "share", "unit/two");
    wait_open_files(5);
    tell_deed("unit/one", "kill", "unit/two");
    wait_open_files(0);
    assert_string_equal(deed("unit/one", "share", "unit/two"), "OK:shared");
    stop();
}

static void room_is_bounded(void **state)
{
    (void)state;
    start(FILE_BYTES * 2 + 1);
    tell_deed("unit/two", "stuck", "");
    for (unsigned i = 0; i < 2; i++)
        tell_deed("unit/one", "share", "unit/two");
    wait_open_files(2);
    assert_string_equal(deed("unit/one", "share", "unit/two"),
        "MailboxFull:the large data that waits in the node takes all memory that it may take");
    wait_open_files(2);
    stop();
}

/* Whether unit/one has ended so often for that reason, at last. */
static bool count_exits(size_t wanted)
{
    static const char reason[] = "broke the protocol: ";
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_S * NS_PER_S;
    size_t count = 0;
    while (count < wanted && clock_now_ns(clock_system()) < deadline_ns) {
        count = 0;
        for (const char *at = notes("exit:unit/one:"); (at = strstr(at, reason)) != NULL; at++)
            count++;
    }
    return count == wanted;
}

static void hostile_files_end_their_process(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "unsealed", "shorter", "empty", "huge", "two", "three", "none", "unasked", "unknown", "kind"};
    start(0);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        tell_deed("unit/one", "hostile", ways[i]);
        struct host_counters counters;
        do
            host_counters(host, &counters);
        while (counters.processes_lost < i + 1);
        assert_true(count_exits(i + 1));
        assert_string_equal(deed("unit/one", "share", "unit/two"), "OK:shared");
        wait_open_files(0);
    }
    stop();
}

const struct CMUnitTest buffers_tests[] = {
    cmocka_unit_test(it_comes_and_goes_and_is_closed),
    cmocka_unit_test(others_get_the_bytes),
    cmocka_unit_test(it_waits_with_its_message),
    cmocka_unit_test(it_goes_with_its_holder),
    cmocka_unit_test(room_is_bounded),
    cmocka_unit_test(hostile_files_end_their_process),
};
const size_t buffers_test_count = sizeof(buffers_tests) / sizeof(buffers_tests[0]);
