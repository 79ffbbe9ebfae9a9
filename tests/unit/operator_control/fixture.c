#include "fixture.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "support/temp_folder.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"
#include "wire/wire.h"

enum { WAIT_MS = 60 * 1000, LOCK_RANK = 10 };

/* ---- the node ---- */

static void send(struct fixture *fixture, const node_message *message)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(wire_pack(message, 1000000, &data, &size, NULL), 0);
    assert_int_equal(rpc_stream_write(fixture->stream, data, size, NULL), 0);
    free(data);
}

static void say_hello(struct fixture *fixture)
{
    static uint8_t credential[] = {1, 2, 3};
    node_message message = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__NodeHello hello = HISTRIO__V1__NODE_HELLO__INIT;
    Histrio__V1__Hello inner = HISTRIO__V1__HELLO__INIT;
    inner.protocol_min = inner.protocol_max = 1;
    inner.system_uid = (char *)(uintptr_t)fixture->system_uid;
    inner.node_name = (char *)(uintptr_t) "bank-nodes-0";
    inner.credential = (ProtobufCBinaryData){fixture->node_creds ? 0 : sizeof(credential), credential};
    Histrio__V1__Refused refused = HISTRIO__V1__REFUSED__INIT;
    hello.hello = &inner;
    message.node_uid = UID;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    if (fixture->refuses_with_term) {
        refused.reason = HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_TERM;
        refused.highest_term = fixture->refuses_with_term;
        message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_REFUSED;
        message.refused = &refused;
    }
    send(fixture, &message);
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct fixture *fixture = ctx;
    ProtobufCMessage *message = NULL;
    (void)stream;
    mutex_lock(&fixture->lock);
    assert_int_equal(wire_unpack(&histrio__v1__operator_message__descriptor, data, size, 1000000,
                         &fixture->arena, &message, NULL),
        0);
    operator_message *received = (operator_message *)message;
    bool is_hello = received->body_case == HISTRIO__V1__OPERATOR_MESSAGE__BODY_HELLO;
    vec_push(&fixture->received, received);
    condition_broadcast(&fixture->changed);
    mutex_unlock(&fixture->lock);
    if (is_hello)
        say_hello(fixture);
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct fixture *fixture = ctx;
    (void)status;
    if (fixture->stream == stream)
        fixture->stream = NULL;
    rpc_stream_free(stream);
}

static const struct rpc_stream_events node_events = {.message = on_message, .closed = on_closed};

static void on_open(struct rpc_stream *stream, void *ctx)
{
    struct fixture *fixture = ctx;
    rpc_stream_listen(stream, &node_events, fixture);
    fixture->stream = stream;
    mutex_lock(&fixture->lock);
    fixture->streams++;
    condition_broadcast(&fixture->changed);
    mutex_unlock(&fixture->lock);
}

void fixture_start_node(struct fixture *fixture)
{
    const char *addresses[] = {fixture->address, NULL};
    struct rpc_method method = {"/histrio.v1.Control/Session", on_open, fixture};
    struct rpc_server_config config = {
        .addresses = addresses, .methods = &method, .method_count = 1, .creds = fixture->node_creds};
    assert_int_equal(rpc_server_new(fixture->loop, &config, &fixture->server, NULL), 0);
    free(fixture->address);
    fixture->address = xstrdup(rpc_server_address(fixture->server, 0));
}

void fixture_stop_node(struct fixture *fixture)
{
    rpc_server_free(fixture->server, 0);
    fixture->server = NULL;
}

struct node_send {
    struct fixture *fixture;
    const node_message *message;
};

static void run_send(void *ctx)
{
    struct node_send *order = ctx;
    send(order->fixture, order->message);
}

void fixture_send(struct fixture *fixture, const node_message *message)
{
    struct node_send order = {fixture, message};
    rpc_loop_call(fixture->loop, run_send, &order);
}

void fixture_ask_echo(struct fixture *fixture, uint64_t nonce)
{
    node_message message = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__LeaseRequest request = HISTRIO__V1__LEASE_REQUEST__INIT;
    request.nonce = nonce;
    message.node_uid = UID;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
    message.lease = &request;
    fixture_send(fixture, &message);
}

/* ---- the operator ---- */

static void on_event(struct control_event *event, void *ctx)
{
    struct fixture *fixture = ctx;
    mutex_lock(&fixture->lock);
    list_push_back(&fixture->events, control_event_link(event));
    condition_broadcast(&fixture->changed);
    mutex_unlock(&fixture->lock);
}

void fixture_begin(struct fixture *fixture)
{
    fixture_begin_with(fixture, &(struct fixture_options){.address = NULL});
}

void fixture_begin_with(struct fixture *fixture, const struct fixture_options *options)
{
    static const uint8_t credential[] = {1, 2, 3};
    *fixture =
        (struct fixture){.folder = temp_folder_new(), .spec = system_spec_new(), .system_uid = "uid-1"};
    fixture->address =
        options->address ? xstrdup(options->address) : xasprintf("unix:%s/control.sock", fixture->folder);
    fixture->node_creds = options->node_creds;
    mutex_init(&fixture->lock, LOCK_RANK, "test");
    condition_init(&fixture->changed);
    list_init(&fixture->events);
    wire_arena_init(&fixture->arena, NULL, 0, 10000000);
    fixture->spec->name = xstrdup("bank");
    fixture->spec->nodes.replicas = 1;
    fixture->spec->failure.node_lease_ms = 3000;
    struct library_spec *library = vec_push_new(&fixture->spec->code.c);
    *library = (struct library_spec){.library = xstrdup("bank"), .path = xstrdup("/code/libbank.so")};
    struct code_spec *code = &fixture->spec->code;
    code->has_python = true;
    code->python_config_map = xstrdup("bank-code");
    vec_push(&code->python_path, xstrdup("."));
    vec_push(&code->python_preload, xstrdup("bank"));
    code->python_workers = 2;
    code->python_handler_timeout_ms = 30000;
    code->python_memory_bytes = 512 * 1024 * 1024;
    code->has_c_workers = true;
    code->c_worker_count = 3;
    code->c_handler_timeout_ms = 5000;
    code->c_memory_bytes = 64 * 1024 * 1024;
    fixture->core = core_new(&(struct core_options){.system_uid = "uid-1", .seed = 1}, fixture->spec, NULL);
    assert_int_equal(rpc_loop_new("node", &fixture->loop, NULL), 0);
    struct control_config config = {.system = "bank",
        .system_uid = "uid-1",
        .credential = credential,
        .credential_size = options->operator_creds ? 0 : sizeof(credential),
        .creds = options->operator_creds,
        .loop = options->loop,
        .gate = options->gate,
        .software = "test/1",
        .code_folders = "/code:/more",
        .listener = on_event,
        .ctx = fixture};
    assert_int_equal(control_new(&config, &fixture->control, NULL), 0);
    control_set_term(fixture->control, 7);
}

void fixture_end(struct fixture *fixture)
{
    struct list_node *link;
    control_free(fixture->control);
    rpc_server_free(fixture->server, 0);
    rpc_loop_free(fixture->loop);
    while ((link = list_pop_front(&fixture->events)))
        control_event_free(control_event_of_link(link));
    core_free(fixture->core);
    system_spec_unref(fixture->spec);
    vec_done(&fixture->received);
    wire_arena_done(&fixture->arena);
    condition_done(&fixture->changed);
    mutex_done(&fixture->lock);
    free(fixture->address);
    temp_folder_remove(fixture->folder);
}

const char *fixture_next_event(struct fixture *fixture)
{
    static char text[256];
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    const char *why = "";
    mutex_lock(&fixture->lock);
    while (list_is_empty(&fixture->events))
        assert_true(condition_wait_until(&fixture->changed, &fixture->lock, deadline_ns));
    struct control_event *event = control_event_of_link(list_pop_front(&fixture->events));
    mutex_unlock(&fixture->lock);
    assert_string_equal(control_event_node(event), "bank-nodes-0");
    fixture->last_echo_ms = control_event_last_echo_ms(event);
    (void)control_event_apply(event, fixture->core, &why); /* why says it */
    (void)snprintf(text, sizeof(text), "%s", why);
    control_event_free(event);
    return text;
}

const operator_message *fixture_received(struct fixture *fixture, size_t index)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    mutex_lock(&fixture->lock);
    while (fixture->received.count <= index)
        assert_true(condition_wait_until(&fixture->changed, &fixture->lock, deadline_ns));
    const operator_message *message = fixture->received.items[index];
    mutex_unlock(&fixture->lock);
    return message;
}
