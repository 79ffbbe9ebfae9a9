/* The shell with nodes that never come up: requests on the Run socket, credentials, stopping. What it does
 * with real nodes is tested in tests/integration. */
#include "suites.h"

#include "base/err.h"
#include "base/thread.h"
#include "operator/run.h"
#include "operator/run_folder.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "support/temp_folder.h"
#include "types/system.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

struct fixture {
    char *folder;
    struct system_spec *spec;
    struct run *run;
    struct thread *thread;
    int loop_result;
    struct err loop_err;
    atomic_uint events, warnings; /* plain counts, looked at by the test's thread */
};

static void on_event(const struct run_event *event, void *ctx)
{
    struct fixture *fixture = ctx;
    assert_non_null(event->text);
    atomic_fetch_add(&fixture->events, 1);
    atomic_fetch_add(&fixture->warnings, event->is_warning);
}

static void run_thread(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->loop_result = run_loop(fixture->run, &fixture->loop_err);
}

/* From now on every write of the process to a file fails, as on a full disk. */
static void fill_disk(bool is_full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void begin_on(struct fixture *fixture, const char *script, bool is_full)
{
    struct err err = {0};
    *fixture = (struct fixture){.folder = temp_folder_new(), .spec = system_spec_new()};
    assert_int_equal(setenv("HISTRIO_RUN_DIR", fixture->folder, 1), 0);
    assert_int_equal(setenv("HISTRIO_STATE_DIR", fixture->folder, 1), 0);
    temp_folder_write(fixture->folder, "node", script, 0700);
    char *program = file_join(fixture->folder, "node");
    fixture->spec->name = xstrdup("bank");
    fixture->spec->nodes.replicas = 1;
    fixture->spec->nodes.drain_timeout_ms = 1000;
    fixture->spec->supervision.backoff.initial_ms = 100;
    fixture->spec->supervision.backoff.max_ms = 1000;
    fixture->spec->failure.node_lease_ms = 3000;
    struct run_config config = {.spec = fixture->spec,
        .node_program = program,
        .code_folders = "/",
        .software = "test/1",
        .input_fd = -1,
        .listener = {.event = on_event, .ctx = fixture}};
    if (run_new(&config, &fixture->run, &err) < 0)
        fail_msg("%s", err.text);
    free(program);
    if (is_full)
        fill_disk(true);
    assert_int_equal(thread_start(&fixture->thread, "run", run_thread, fixture, NULL), 0);
}

static void begin(struct fixture *fixture, const char *script)
{
    begin_on(fixture, script, false);
}

static void end(struct fixture *fixture)
{
    thread_join(fixture->thread);
    run_free(fixture->run);
    system_spec_unref(fixture->spec);
    temp_folder_remove(fixture->folder);
}

/* One call with the right credential, or with another one. */
static int call(const char *method, bool is_ours, const char *unit, struct wire_arena *arena,
    const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_response, struct err *err)
{
    struct rpc_loop *loop = NULL;
    struct rpc_client *client = NULL;
    char *address, *credential;
    uint8_t *secret, *response = NULL;
    size_t secret_size, size = 0;
    assert_int_equal(run_folder_find("bank", &address, &credential, NULL), 0);
    assert_int_equal(run_folder_unhex(credential, &secret, &secret_size, NULL), 0);
    if (!is_ours)
        secret[0] ^= 1;
    /* All four requests have their credential in a field of their own; explain serves for those with a unit.
     */
    uint8_t *request;
    size_t request_size;
    Histrio__V1__ExplainRequest explain = HISTRIO__V1__EXPLAIN_REQUEST__INIT;
    Histrio__V1__StatusRequest status = HISTRIO__V1__STATUS_REQUEST__INIT;
    Histrio__V1__StopRequest stop = HISTRIO__V1__STOP_REQUEST__INIT;
    explain.unit = (char *)(uintptr_t)(unit ? unit : "");
    explain.credential = status.credential = stop.credential = (ProtobufCBinaryData){secret_size, secret};
    const void *message = strstr(method, "Status") ? (void *)&status
                          : strstr(method, "Stop") ? (void *)&stop
                                                   : (void *)&explain;
    assert_int_equal(wire_pack(message, 10000, &request, &request_size, NULL), 0);
    assert_int_equal(rpc_loop_new("test", &loop, NULL), 0);
    struct rpc_client_config config = {.address = address};
    assert_int_equal(rpc_client_new(loop, &config, &client, NULL), 0);
    int result =
        rpc_client_call_wait(client, method, request, request_size, 60000, true, &response, &size, err);
    if (result == 0 && type)
        assert_int_equal(wire_unpack(type, response, size, 1000000, arena, ret_response, NULL), 0);
    rpc_client_free(client);
    rpc_loop_free(loop);
    free(response);
    free(request);
    free(secret);
    free(credential);
    free(address);
    return result;
}

static void stop(void)
{
    assert_int_equal(call("/histrio.v1.Run/Stop", true, NULL, NULL, NULL, NULL, NULL), 0);
}

static void test_requests(void **state)
{
    struct fixture fixture;
    struct wire_arena arena;
    ProtobufCMessage *response = NULL;
    struct err err = {0};
    (void)state;
    begin(&fixture, "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 0.01; done\n");
    wire_arena_init(&arena, NULL, 0, 1000000);
    assert_int_equal(call("/histrio.v1.Run/Status", false, NULL, NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(call("/histrio.v1.Run/Status", true, NULL, &arena,
                         &histrio__v1__status_response__descriptor, &response, NULL),
        0);
    assert_non_null(strstr(((Histrio__V1__StatusResponse *)response)->status_json, "\"system\":\"bank\""));
    assert_int_equal(call("/histrio.v1.Run/Explain", true, "nobody", &arena,
                         &histrio__v1__explain_response__descriptor, &response, NULL),
        0);
    assert_int_equal(((Histrio__V1__ExplainResponse *)response)->error, HISTRIO__V1__ERROR__ERROR_NOT_FOUND);
    assert_int_equal(call("/histrio.v1.Run/Resume", true, "nobody", &arena,
                         &histrio__v1__resume_response__descriptor, &response, NULL),
        0);
    assert_int_equal(((Histrio__V1__ResumeResponse *)response)->error, HISTRIO__V1__ERROR__ERROR_NOT_FOUND);
    wire_arena_done(&arena);
    stop();
    end(&fixture);
    assert_int_equal(fixture.loop_result, 0);
}

/* A second run of the same system is refused and harms the first one in nothing. */
static void test_second_run(void **state)
{
    struct fixture fixture;
    struct run *second = NULL;
    struct err err = {0};
    (void)state;
    begin(&fixture, "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 0.01; done\n");
    struct run_config config = {.spec = fixture.spec,
        .node_program = "/bin/true",
        .code_folders = "/",
        .software = "t",
        .input_fd = -1};
    assert_int_equal(run_new(&config, &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_true(run_folder_is_alive("bank"));
    stop();
    end(&fixture);
}

/* Nodes that end at once are made again with pauses, and the run can be stopped all the same. */
static void test_nodes_that_fail(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, "#!/bin/sh\nexit 78\n");
    stop();
    end(&fixture);
    assert_int_equal(fixture.loop_result, 0);
    assert_true(atomic_load(&fixture.events) > 0);
}

/* R0: nothing is started before the term is on disk; when there is room again, all goes on. */
static void test_full_disk(void **state)
{
    struct fixture fixture;
    struct pollfd nothing = {.fd = -1};
    (void)state;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    begin_on(&fixture,
        "#!/bin/sh\ntrap 'exit 0' TERM\ntouch $HISTRIO_RUN_DIR/started\nwhile :; do sleep 0.01; done\n",
        true);
    char *marker = file_join(fixture.folder, "started");
    char *record = file_join(fixture.folder, "bank/fence.json");
    for (int i = 0; i < 1000 && atomic_load(&fixture.warnings) == 0; i++)
        (void)poll(&nothing, 1, 10); /* events have no descriptor */
    assert_true(atomic_load(&fixture.warnings) > 0);
    assert_int_equal(access(marker, F_OK), -1);
    assert_int_equal(access(record, F_OK), -1);
    fill_disk(false);
    for (int i = 0; i < 1000 && access(marker, F_OK) < 0; i++)
        (void)poll(&nothing, 1, 10);
    assert_int_equal(access(marker, F_OK), 0);
    assert_int_equal(access(record, F_OK), 0);
    stop();
    end(&fixture);
    assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    free(record);
    free(marker);
}

static void test_bad_fence_record(void **state)
{
    struct run *run = NULL;
    struct err err = {0};
    char *folder = temp_folder_new();
    struct system_spec *spec = system_spec_new();
    (void)state;
    spec->name = xstrdup("bank");
    assert_int_equal(setenv("HISTRIO_RUN_DIR", folder, 1), 0);
    assert_int_equal(setenv("HISTRIO_STATE_DIR", folder, 1), 0);
    char *system_folder = file_join(folder, "bank");
    assert_int_equal(file_make_folder(system_folder, 0700, NULL), 0);
    temp_folder_write(folder, "bank/fence.json", "{broken", 0600);
    struct run_config config = {
        .spec = spec, .node_program = "/bin/true", .code_folders = "/", .software = "t", .input_fd = -1};
    assert_int_equal(run_new(&config, &run, &err), -1);
    assert_non_null(strstr(err.text, "fence.json"));
    assert_false(run_folder_is_alive("bank"));
    system_spec_unref(spec);
    free(system_folder);
    temp_folder_remove(folder);
}

const struct CMUnitTest run_tests[] = {
    cmocka_unit_test(test_requests),
    cmocka_unit_test(test_second_run),
    cmocka_unit_test(test_nodes_that_fail),
    cmocka_unit_test(test_full_disk),
    cmocka_unit_test(test_bad_fence_record),
};
const size_t run_test_count = sizeof(run_tests) / sizeof(run_tests[0]);
