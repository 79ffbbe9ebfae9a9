/* Control streams against a node played by the test: hello both ways, echoes, events for the core, what the
 * core wants to be sent, refusals, and a node that comes late, goes and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/vec.h"
#include "core/core.h"
#include "operator_control/control.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "support/temp_folder.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/control.pb-c.h>

enum { WAIT_MS = 10 * 1000, UID = 0xa1, LOCK_RANK = 10 };

typedef Histrio__V1__OperatorMessage operator_message;
typedef Histrio__V1__NodeMessage node_message;

struct fixture {
    char *folder;
    char *address;
    struct system_spec *spec;
    struct core *core;
    struct control *control;
    struct mutex lock;
    struct condition changed;
    /* Guarded by the lock. */
    struct list events;
    VEC(operator_message *) received; /* by the node */
    unsigned streams;
    /* The node's loop. */
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct rpc_stream *stream;
    const char *system_uid;
    uint64_t refuses_with_term; /* 0: it does not */
    struct wire_arena arena;
};

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
    inner.credential = (ProtobufCBinaryData){sizeof(credential), credential};
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

static void start_node(struct fixture *fixture)
{
    const char *addresses[] = {fixture->address, NULL};
    struct rpc_method method = {"/histrio.v1.Control/Session", on_open, fixture};
    struct rpc_server_config config = {.addresses = addresses, .methods = &method, .method_count = 1};
    assert_int_equal(rpc_server_new(fixture->loop, &config, &fixture->server, NULL), 0);
}

static void stop_node(struct fixture *fixture)
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

static void node_send(struct fixture *fixture, const node_message *message)
{
    struct node_send order = {fixture, message};
    rpc_loop_call(fixture->loop, run_send, &order);
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

static void begin(struct fixture *fixture)
{
    static const uint8_t credential[] = {1, 2, 3};
    *fixture =
        (struct fixture){.folder = temp_folder_new(), .spec = system_spec_new(), .system_uid = "uid-1"};
    char *path = file_join(fixture->folder, "control.sock");
    fixture->address = xasprintf("unix:%s", path);
    free(path);
    mutex_init(&fixture->lock, LOCK_RANK, "test");
    condition_init(&fixture->changed);
    list_init(&fixture->events);
    wire_arena_init(&fixture->arena, NULL, 0, 10000000);
    fixture->spec->name = xstrdup("bank");
    fixture->spec->nodes.replicas = 1;
    fixture->spec->failure.node_lease_ms = 3000;
    struct library_spec *library = vec_push_new(&fixture->spec->code.c);
    *library = (struct library_spec){.library = xstrdup("bank"), .path = xstrdup("/code/libbank.so")};
    fixture->core = core_new(&(struct core_options){.system_uid = "uid-1", .seed = 1}, fixture->spec, NULL);
    assert_int_equal(rpc_loop_new("node", &fixture->loop, NULL), 0);
    struct control_config config = {.system = "bank",
        .system_uid = "uid-1",
        .credential = credential,
        .credential_size = sizeof(credential),
        .software = "test/1",
        .code_folders = "/code:/more",
        .listener = on_event,
        .ctx = fixture};
    assert_int_equal(control_new(&config, &fixture->control, NULL), 0);
    control_set_term(fixture->control, 7);
}

static void end(struct fixture *fixture)
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

/* The next event, applied to the core; its text when it was a bad one, else "". */
static const char *next_event(struct fixture *fixture)
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
    (void)control_event_apply(event, fixture->core, &why); /* why says it */
    (void)snprintf(text, sizeof(text), "%s", why);
    control_event_free(event);
    return text;
}

/* The message number `index` that the node got. */
static const operator_message *received(struct fixture *fixture, size_t index)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    mutex_lock(&fixture->lock);
    while (fixture->received.count <= index)
        assert_true(condition_wait_until(&fixture->changed, &fixture->lock, deadline_ns));
    const operator_message *message = fixture->received.items[index];
    mutex_unlock(&fixture->lock);
    return message;
}

static void test_hello_and_echo(void **state)
{
    struct fixture fixture;
    node_message lease = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__LeaseRequest request = HISTRIO__V1__LEASE_REQUEST__INIT;
    (void)state;
    begin(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address); /* before it listens */
    start_node(&fixture);
    assert_string_equal(next_event(&fixture), "");
    const operator_message *hello = received(&fixture, 0);
    assert_int_equal(hello->term, 7);
    assert_string_equal(hello->hello->system_uid, "uid-1");
    assert_int_equal(hello->hello->credential.len, 3);
    assert_int_equal(hello->hello->node_uid, 0);
    request.nonce = 99;
    lease.node_uid = UID;
    lease.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
    lease.lease = &request;
    control_set_term(fixture.control, 8);
    node_send(&fixture, &lease);
    /* No echo before the owner takes the uid for alive. What a dead one gets does not say that. */
    struct core_action action = {.kind = CORE_SEND_DEAD, .uid = UID};
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(received(&fixture, 1)->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_DEAD);
    action.kind = CORE_REQUEST_INVENTORY;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(received(&fixture, 2)->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY);
    const operator_message *echo = received(&fixture, 3);
    assert_int_equal(echo->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO);
    assert_int_equal(echo->echo->nonce, 99);
    assert_int_equal(echo->echo->node_uid, UID);
    assert_int_equal(echo->term, 8);
    end(&fixture);
}

static void test_node_comes_back(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(next_event(&fixture), "");
    stop_node(&fixture);
    assert_string_equal(next_event(&fixture), ""); /* disconnected */
    start_node(&fixture);
    assert_string_equal(next_event(&fixture), ""); /* connected again */
    assert_int_equal(fixture.streams, 2);
    control_hang_up(fixture.control, "bank-nodes-0");
    assert_string_equal(next_event(&fixture), ""); /* disconnected, and not dialled again */
    end(&fixture);
}

static void test_node_of_another_run(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    fixture.system_uid = "uid-2";
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_non_null(strstr(next_event(&fixture), "belongs to another run"));
    end(&fixture);
}

static void test_garbage(void **state)
{
    struct fixture fixture;
    node_message strange = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__Inventory inventory = HISTRIO__V1__INVENTORY__INIT;
    Histrio__V1__HeldUnit unit = HISTRIO__V1__HELD_UNIT__INIT;
    Histrio__V1__HeldUnit *units[] = {&unit};
    (void)state;
    begin(&fixture);
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(next_event(&fixture), "");
    strange.node_uid = UID;
    strange.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY;
    strange.inventory = &inventory;
    inventory.units = units;
    inventory.n_units = 1;
    unit.state = (Histrio__V1__UnitState)77;
    node_send(&fixture, &strange);
    assert_non_null(strstr(next_event(&fixture), "unknown state"));
    strange.node_uid = UID + 1; /* says that it is somebody else */
    node_send(&fixture, &strange);
    assert_non_null(strstr(next_event(&fixture), "changed its uid"));
    end(&fixture);
}

/* The node knows a higher term than the operator: the core hears it, and raises its own above. */
static void test_higher_term(void **state)
{
    struct fixture fixture;
    struct core_plan plan;
    (void)state;
    begin(&fixture);
    fixture.refuses_with_term = 41;
    core_node_started(fixture.core, "bank-nodes-0", UID, 1);
    assert_true(core_fence_record(fixture.core)->term < 41);
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(next_event(&fixture), "");
    core_plan(fixture.core, &plan); /* which asks for the write of the record */
    assert_true(core_fence_record(fixture.core)->term > 41);
    end(&fixture);
}

static struct core_action action_of(enum core_action_kind kind)
{
    return (struct core_action){.kind = kind, .uid = UID};
}

static void test_configuration_and_roster(void **state)
{
    struct fixture fixture;
    static const uint64_t dead[] = {5, 6};
    (void)state;
    begin(&fixture);
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(next_event(&fixture), "");
    struct core_action action = action_of(CORE_SEND_CONFIGURATION);
    action.generation = 3;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__Configuration *configuration = received(&fixture, 1)->configuration;
    assert_int_equal(configuration->generation, 3);
    assert_int_equal(configuration->lease_ms, 3000);
    assert_int_equal(configuration->n_libraries, 1);
    assert_string_equal(configuration->libraries[0]->path, "/code/libbank.so");
    assert_int_equal(configuration->n_code_folders, 2);
    assert_string_equal(configuration->code_folders[1], "/more");
    struct roster roster = {.version = 4};
    struct roster_member member = {.uid = UID,
        .node = (char *)(uintptr_t) "bank-nodes-0",
        .pod_uid = (char *)(uintptr_t) "pod",
        .link_address = (char *)(uintptr_t) "unix:/l",
        .gateway_address = (char *)(uintptr_t) "unix:/g"};
    roster_add(&roster, &member);
    action = action_of(CORE_SEND_ROSTER);
    action.roster = &roster;
    action.dead = dead;
    action.dead_count = 2;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__RosterUpdate *update = received(&fixture, 2)->roster;
    assert_int_equal(update->current->version, 4);
    assert_int_equal(update->current->node_uids[0], UID);
    assert_string_equal(update->members[0]->link_address, "unix:/l");
    assert_int_equal(update->n_dead_uids, 2);
    assert_int_equal(update->dead_uids[1], 6);
    roster_done(&roster);
    end(&fixture);
}

static void add_entry(struct system_spec *spec)
{
    struct entry_spec *entry = vec_push_new(&spec->entries);
    entry->replicas = 1;
    entry->root.name = xstrdup("tellers");
    entry->root.under = xstrdup("");
    entry->root.is_supervisor = true;
    entry->root.shutdown_ms = SHUTDOWN_INFINITY;
    entry->root.supervisor = (struct supervisor_spec){STRATEGY_REST_FOR_ONE, {3, 5000}};
    struct child_spec *child = vec_push_new(&entry->children);
    child->name = xstrdup("counter");
    child->under = xstrdup("");
    child->behavior_c = xstrdup("bank.counter");
    child->arguments = xmemdup("\xc0", 1);
    child->arguments_size = 1;
    child->restart = RESTART_TRANSIENT;
    child->shutdown_ms = 1234;
    child->mailbox = (struct mailbox_spec){10, OVERFLOW_DROP_OLDEST, MAILBOX_DROP};
}

static void test_assign_and_others(void **state)
{
    struct fixture fixture;
    struct unit_list units;
    (void)state;
    begin(&fixture);
    add_entry(fixture.spec);
    units_from_spec(fixture.spec, &units);
    start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(next_event(&fixture), "");
    struct core_action action = action_of(CORE_ASSIGN);
    action.unit = &units.units.items[0];
    action.epoch = 77;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__Assign *assign = received(&fixture, 1)->assign;
    assert_string_equal(assign->unit->name, "tellers");
    assert_int_equal(assign->epoch, 77);
    assert_int_equal(assign->node_uid, UID);
    assert_true(assign->unit->generation == units.units.items[0].generation);
    assert_int_equal(assign->unit->root->supervisor->strategy, HISTRIO__V1__STRATEGY__STRATEGY_REST_FOR_ONE);
    assert_int_equal(assign->unit->root->supervisor->restarts_max, 3);
    assert_true(assign->unit->root->shutdown_infinity);
    const Histrio__V1__Child *child = assign->unit->children[0];
    assert_string_equal(child->behavior_c, "bank.counter");
    assert_int_equal(child->arguments.len, 1);
    assert_int_equal(child->restart, HISTRIO__V1__RESTART__RESTART_TRANSIENT);
    assert_int_equal(child->shutdown_ms, 1234);
    assert_int_equal(child->mailbox_capacity, 10);
    assert_int_equal(child->mailbox_overflow, HISTRIO__V1__OVERFLOW__OVERFLOW_DROP_OLDEST);
    assert_int_equal(child->mailbox_on_restart, HISTRIO__V1__ON_RESTART__ON_RESTART_DROP);
    assert_null(child->supervisor);
    struct core_route routes[] = {{"tellers", 77, UID}, {"ledger", 5, 0}};
    action = action_of(CORE_SEND_ROUTES);
    action.routes = routes;
    action.route_count = 2;
    action.version = 12;
    action.is_full = true;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(received(&fixture, 2)->routes->version, 12);
    assert_string_equal(received(&fixture, 2)->routes->placements[1]->unit, "ledger");
    action = action_of(CORE_REVOKE);
    action.unit_name = "tellers";
    action.epoch = 77;
    control_send(fixture.control, fixture.core, &action);
    assert_string_equal(received(&fixture, 3)->revoke->unit, "tellers");
    action = action_of(CORE_DRAIN);
    action.timeout_ms = 900;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(received(&fixture, 4)->drain->timeout_ms, 900);
    action = action_of(CORE_REQUEST_INVENTORY);
    action.uid = UID + 1; /* nobody: not sent */
    control_send(fixture.control, fixture.core, &action);
    action = action_of(CORE_SEND_DEAD);
    action.dead = (const uint64_t[]){9};
    action.dead_count = 1;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(received(&fixture, 5)->dead->node_uids[0], 9);
    unit_list_done(&units);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_and_echo),
        cmocka_unit_test(test_node_comes_back),
        cmocka_unit_test(test_node_of_another_run),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_higher_term),
        cmocka_unit_test(test_configuration_and_roster),
        cmocka_unit_test(test_assign_and_others),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
