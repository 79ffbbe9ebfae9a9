/* The process driver, with shell scripts in the place of histrio-node. */
#include "suites.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/vec.h"
#include "drivers/process.h"
#include "support/temp_folder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 60 * 1000 };

struct seen {
    enum driver_event_kind kind;
    uint64_t node_uid;
    pid_t pid;
    int exit_code, signal;
    char name[64], unit[64], backtrace[64];
};

struct fixture {
    char *folder;
    struct driver *driver;
    VEC(struct seen) events;
};

static void on_event(const struct driver_event *event, void *ctx)
{
    struct fixture *fixture = ctx;
    struct seen *seen = vec_push_new(&fixture->events);
    *seen =
        (struct seen){event->kind, event->node_uid, event->pid, event->exit_code, event->signal, "", "", ""};
    (void)snprintf(seen->name, sizeof(seen->name), "%s", event->name);
    (void)snprintf(seen->unit, sizeof(seen->unit), "%s", event->unit);
    (void)snprintf(seen->backtrace, sizeof(seen->backtrace), "%s", event->backtrace);
}

/* `script` is what the node does. */
static void begin(struct fixture *fixture, const char *script)
{
    char *text = xasprintf("#!/bin/sh\n%s\n", script);
    *fixture = (struct fixture){.folder = temp_folder_new()};
    temp_folder_write(fixture->folder, "node", text, 0700);
    char *program = file_join(fixture->folder, "node");
    struct process_driver_config config = {
        program, fixture->folder, "bank", "uid-1", "00ff", "/code", on_event, fixture};
    assert_int_equal(process_driver_new(&config, &fixture->driver, NULL), 0);
    free(program);
    free(text);
}

static void end(struct fixture *fixture)
{
    fixture->driver->free(fixture->driver);
    vec_done(&fixture->events);
    temp_folder_remove(fixture->folder);
}

static void create(struct fixture *fixture)
{
    struct err err = {0};
    struct driver_node node = {"bank-nodes-0", "", "zone-a"};
    if (fixture->driver->create(fixture->driver, &node, &err) < 0)
        fail_msg("create: %s", err.text);
}

static const struct seen *find(const struct fixture *fixture, enum driver_event_kind kind)
{
    vec_for_each (seen, &fixture->events) {
        if (seen->kind == kind)
            return seen;
    }
    return NULL;
}

/* Dispatches until such an event is there. */
static const struct seen *await(struct fixture *fixture, enum driver_event_kind kind)
{
    int64_t deadline_ms = clock_now_ms(clock_system()) + WAIT_MS;
    while (!find(fixture, kind)) {
        struct pollfd wait = {.fd = fixture->driver->fd(fixture->driver), .events = POLLIN};
        if (clock_now_ms(clock_system()) > deadline_ms)
            fail_msg("no event of kind %d", (int)kind);
        (void)poll(&wait, 1, 100);
        fixture->driver->dispatch(fixture->driver);
    }
    return find(fixture, kind);
}

/* An event that must be there already. */
static struct seen told(const struct fixture *fixture, enum driver_event_kind kind)
{
    const struct seen *seen = find(fixture, kind);
    if (seen)
        return *seen;
    fail_msg("no event of kind %d", (int)kind);
    return (struct seen){0};
}

static void test_life_of_a_node(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "echo hello from $HISTRIO_NODE_NAME $HISTRIO_SYSTEM $HISTRIO_SYSTEM_UID $HISTRIO_CREDENTIAL "
        "$HISTRIO_ZONE "
        "$HISTRIO_CODE_FOLDERS $HISTRIO_CONTROL_ADDRESS; echo on stderr >&2\n"
        "echo '{\"event\":\"started\",\"uid\":\"00000000000000aa\",\"pid\":'$$'}' >&$HISTRIO_REPORT_FD\n"
        "echo 'no json at all' >&$HISTRIO_REPORT_FD\n"
        "echo "
        "'{\"event\":\"exited\",\"uid\":\"00000000000000aa\",\"exitCode\":0,\"signal\":11,\"unit\":"
        "\"vandal\","
        "\"actor\":\"vandal\",\"backtrace\":\"smash\"}' >&$HISTRIO_REPORT_FD\n"
        "exit 78");
    create(&fixture);
    const struct seen *gone = await(&fixture, DRIVER_NODE_GONE);
    assert_int_equal(gone->exit_code, 78);
    assert_string_equal(gone->name, "bank-nodes-0");
    struct seen started = told(&fixture, DRIVER_RUNTIME_STARTED);
    assert_int_equal(started.node_uid, 0xaa);
    assert_int_equal(started.pid, gone->pid);
    struct seen exited = told(&fixture, DRIVER_RUNTIME_EXITED);
    assert_int_equal(exited.node_uid, 0xaa);
    assert_int_equal(exited.signal, SIGSEGV);
    assert_string_equal(exited.unit, "vandal");
    assert_string_equal(exited.backtrace, "smash");
    assert_int_equal(fixture.events.count, 3);
    char *log = temp_folder_read(fixture.folder, "logs/bank-nodes-0.log");
    char *expected =
        xasprintf("hello from bank-nodes-0 bank uid-1 00ff zone-a /code unix:%s/nodes/0/control.sock\n",
            fixture.folder);
    assert_non_null(strstr(log, expected));
    assert_non_null(strstr(log, "on stderr\n"));
    free(expected);
    free(log);
    end(&fixture);
}

static void test_names_of_nodes(void **state)
{
    struct fixture fixture;
    struct driver_node node = {"bank-nodes-0", "", ""};
    struct err err = {0};
    (void)state;
    begin(&fixture, "exec sleep 1000");
    create(&fixture);
    assert_int_equal(fixture.driver->create(fixture.driver, &node, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(fixture.driver->remove(fixture.driver, "bank-nodes-1", DRIVER_KILL, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    char *address = fixture.driver->control_address(fixture.driver, "bank-nodes-17");
    char *expected = xasprintf("unix:%s/nodes/17/control.sock", fixture.folder);
    assert_string_equal(address, expected);
    free(expected);
    free(address);
    end(&fixture); /* kills the sleeping one */
}

static void test_program_is_missing(void **state)
{
    struct driver *driver = NULL;
    struct err err = {0};
    struct process_driver_config config = {
        "/nonexistent/node", "/tmp", "bank", "u", "00", "/", on_event, NULL};
    (void)state;
    assert_int_equal(process_driver_new(&config, &driver, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(driver);
}

static void test_drain_and_kill(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "trap 'exit 0' TERM; echo '{\"event\":\"started\",\"uid\":\"00000000000000aa\",\"pid\":'$$'}' >&3\n"
        "while :; do sleep 0.01; done");
    create(&fixture);
    (void)await(&fixture, DRIVER_RUNTIME_STARTED); /* so the trap is set */
    assert_int_equal(fixture.driver->remove(fixture.driver, "bank-nodes-0", DRIVER_DRAIN, NULL), 0);
    const struct seen *gone = await(&fixture, DRIVER_NODE_GONE);
    assert_int_equal(gone->exit_code, 0);
    assert_int_equal(gone->signal, 0);
    vec_clear(&fixture.events);
    create(&fixture); /* the name is free again */
    (void)await(&fixture, DRIVER_RUNTIME_STARTED);
    assert_int_equal(fixture.driver->remove(fixture.driver, "bank-nodes-0", DRIVER_KILL, NULL), 0);
    gone = await(&fixture, DRIVER_NODE_GONE);
    assert_int_equal(gone->signal, SIGKILL);
    end(&fixture);
}

/* The parent is killed and can tell nothing: its runtime is killed by us, and its end is told when it is
 * certain. */
static void test_parent_is_killed(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "sleep 1000 3>&- >/dev/null 2>&1 &\n"
        "echo '{\"event\":\"started\",\"uid\":\"00000000000000bb\",\"pid\":'$!'}' >&3; exec sleep 1000");
    create(&fixture);
    const struct seen *started = await(&fixture, DRIVER_RUNTIME_STARTED);
    pid_t runtime = started->pid;
    assert_int_equal(kill(runtime, 0), 0);
    assert_int_equal(fixture.driver->remove(fixture.driver, "bank-nodes-0", DRIVER_KILL, NULL), 0);
    (void)await(&fixture, DRIVER_NODE_GONE);
    assert_int_equal(fixture.events.count, 3);
    assert_int_equal(fixture.events.items[1].kind, DRIVER_RUNTIME_EXITED);
    assert_int_equal(fixture.events.items[1].node_uid, 0xbb);
    assert_int_equal(fixture.events.items[2].kind, DRIVER_NODE_GONE);
    /* Dead: gone, or a zombie that init has not reaped yet. */
    char *path = xasprintf("/proc/%d/stat", (int)runtime);
    char *stat = temp_folder_read("/", path + 1);
    assert_true(!*stat || strstr(stat, ") Z ") || strstr(stat, ") X "));
    free(stat);
    free(path);
    end(&fixture);
}

static void test_children_of_others(void **state)
{
    struct fixture fixture;
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    pid_t pid;
    int status;
    (void)state;
    begin(&fixture, "exit 3");
    assert_int_equal(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ), 0);
    create(&fixture);
    assert_int_equal(await(&fixture, DRIVER_NODE_GONE)->exit_code, 3);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    end(&fixture);
}

/* Nothing of ours is left when the driver is freed, whatever its nodes do. */
static void test_free_kills(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "trap '' TERM INT HUP; echo '{\"event\":\"started\",\"uid\":\"00000000000000aa\",\"pid\":'$$'}' >&3\n"
        "while :; do sleep 0.01; done");
    create(&fixture);
    pid_t pid = await(&fixture, DRIVER_RUNTIME_STARTED)->pid;
    end(&fixture);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

const struct CMUnitTest process_tests[] = {
    cmocka_unit_test(test_life_of_a_node),
    cmocka_unit_test(test_names_of_nodes),
    cmocka_unit_test(test_program_is_missing),
    cmocka_unit_test(test_drain_and_kill),
    cmocka_unit_test(test_parent_is_killed),
    cmocka_unit_test(test_children_of_others),
    cmocka_unit_test(test_free_kills),
};
const size_t process_test_count = sizeof(process_tests) / sizeof(process_tests[0]);
