#include "support.h"

#include "actor/hosted.h"
#include "actor/system.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/trace_context.h"
#include "base/value.h"
#include "base/vec.h"
#include "gateway/gateway_private.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "transport/transport.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LOCK_RANK = 940, WORKERS = 2 };

static struct {
    struct test_node nodes[NODES_MAX];
    size_t count;
    uint64_t version;
    char folder[64];
    struct rpc_loop *client_loop;
    struct mutex lock;
    struct condition changed;
    bool is_blocked, may_go; /* these are guarded */
    char running[64];        /* the unit that runs since last */
} test;

struct test_node *node_at(size_t index)
{
    return &test.nodes[index];
}

void test_lock(void) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_lock(&test.lock);
}

void test_unlock(void) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_unlock(&test.lock);
}

void test_changed(void)
{
    condition_broadcast(&test.changed);
}

void test_wait(void) NO_THREAD_SAFETY_ANALYSIS
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    if (!condition_wait_until(&test.changed, &test.lock, deadline_ns))
        fail_msg("waited in vain");
}

/* ---- the behavior ---- */

struct echo {
    uint8_t count;
    struct trace_context trace; /* of the last note_trace */
};

/* The runtime shows it to hosted actors only. */
static void note_trace(
    struct echo *echo, const struct histrio_context *ctx, const struct histrio_message *message)
{
    const struct trace_context *trace = message_trace(hosted_message(ctx, message));
    echo->trace = trace ? *trace : (struct trace_context){0};
}

static void reply_trace(struct histrio_context *ctx, const struct echo *echo)
{
    struct str text = STR_INIT(256), value = STR_INIT(256);
    const uint8_t *bytes = (const uint8_t *)&echo->trace;
    for (size_t i = 0; i < sizeof(echo->trace) && trace_context_is_valid(&echo->trace); i++)
        str_appendf(&text, "%02x", bytes[i]);
    value_put_string(&value, str_text(&text));
    histrio_reply(ctx, (const uint8_t *)value.data, value.size);
    str_done(&value);
    str_done(&text);
}

static enum histrio_result block(void)
{
    mutex_lock(&test.lock);
    test.is_blocked = true;
    condition_broadcast(&test.changed);
    while (!test.may_go)
        condition_wait(&test.changed, &test.lock);
    test.is_blocked = test.may_go = false;
    mutex_unlock(&test.lock);
    return HISTRIO_CONTINUE;
}

static enum histrio_result echo_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct echo *echo = state;
    const char *method = histrio_type_name(message->type);
    if (strcmp(method, "count") == 0) {
        histrio_reply(ctx, &echo->count, 1); /* up to 127 a number is its own msgpack */
        return HISTRIO_CONTINUE;
    }
    echo->count++;
    if (strcmp(method, "trace") == 0 || strcmp(method, "note_trace") == 0)
        note_trace(echo, ctx, message);
    if (strcmp(method, "trace") == 0 || strcmp(method, "noted_trace") == 0)
        reply_trace(ctx, echo);
    else if (strcmp(method, "note_trace") == 0)
        return HISTRIO_CONTINUE;
    else if (strcmp(method, "echo") == 0)
        histrio_reply(ctx, message->value, message->size);
    else if (strcmp(method, "silent") == 0)
        (void)histrio_caller(ctx); /* to answer later: never */
    else if (strcmp(method, "unavailable") == 0)
        histrio_reply_error(ctx, HISTRIO_UNAVAILABLE, "says the actor");
    else if (strcmp(method, "block") == 0)
        return block();
    else if (strcmp(method, "fail") == 0)
        return HISTRIO_FAIL;
    else
        return HISTRIO_UNHANDLED;
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior echo = {
    .name = "echo", .state_size = sizeof(struct echo), .receive = echo_receive};

static enum histrio_result slow_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)ctx, (void)state, (void)arguments, (void)size;
    return block();
}

static const struct histrio_behavior slow = {
    .name = "slow", .state_size = sizeof(struct echo), .start = slow_start, .receive = echo_receive};
static const struct histrio_behavior *const behaviors[] = {&echo, &slow, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "test", behaviors};

void wait_blocked(void)
{
    mutex_lock(&test.lock);
    while (!test.is_blocked)
        test_wait();
    mutex_unlock(&test.lock);
}

void unblock(void)
{
    mutex_lock(&test.lock);
    test.may_go = true;
    condition_broadcast(&test.changed);
    mutex_unlock(&test.lock);
}

/* ---- nodes ---- */

static void actor_exited(void *ctx, const struct actor_exit_report *report)
{
    gateway_actor_exited(((struct test_node *)ctx)->gateway, report);
}

static void unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    gateway_unit_changed(((struct test_node *)ctx)->gateway, unit, epoch, state, reason);
    if (state != UNIT_RUNNING)
        return;
    transport_unit_held(((struct test_node *)ctx)->transport, unit, epoch);
    mutex_lock(&test.lock);
    (void)snprintf(test.running, sizeof(test.running), "%s", unit);
    condition_broadcast(&test.changed);
    mutex_unlock(&test.lock);
}

static void listen_at(struct test_node *node)
{
    const char *addresses[] = {node->address, NULL};
    struct rpc_server_config config = {.addresses = addresses};
    VEC(struct rpc_method) methods = {0};
    size_t link_count, gateway_count;
    struct err err;
    const struct rpc_method *links = transport_methods(node->transport, &link_count);
    const struct rpc_method *ours = gateway_methods(node->gateway, &gateway_count);
    for (size_t i = 0; i < link_count; i++)
        vec_push(&methods, links[i]);
    for (size_t i = 0; i < gateway_count; i++)
        vec_push(&methods, ours[i]);
    config.methods = methods.items;
    config.method_count = methods.count;
    config.write_queue_bytes_max = 1024 * 1024;
    if (rpc_server_new(node->loop, &config, &node->server, &err) < 0)
        fail_msg("%s", err.text);
    vec_done(&methods);
}

static void start_node(struct test_node *node, const struct gateway_config *wanted)
{
    struct err err;
    assert_int_equal(rpc_loop_new("link", &node->loop, &err), 0);
    struct transport_config transport = {.loop = node->loop,
        .system = "bank",
        .system_uid = "system-1",
        .node_name = node->name,
        .node_uid = node->uid};
    assert_int_equal(transport_new(&transport, &node->transport, &err), 0);
    struct actor_system_config actors = {.node_uid = node->uid,
        .system = "bank",
        .worker_count = WORKERS,
        .seed = 1,
        .outbound = transport_outbound(node->transport),
        .events = {.exited = actor_exited, .unit_changed = unit_changed, .ctx = node}};
    assert_int_equal(actor_system_new(&actors, &node->actors, &err), 0);
    assert_int_equal(actor_system_add_library(node->actors, &library, &err), 0);
    transport_attach(node->transport, node->actors);
    struct gateway_config config = {0};
    if (wanted)
        config = *wanted;
    config.loop = node->loop;
    config.transport = node->transport;
    config.node_name = node->name;
    assert_int_equal(gateway_new(&config, &node->gateway, &err), 0);
    gateway_attach(node->gateway, node->actors);
    listen_at(node);
    struct rpc_client_config client = {.address = node->address};
    assert_int_equal(rpc_client_new(test.client_loop, &client, &node->client, &err), 0);
}

void nodes_start(size_t count, const struct gateway_config *config)
{
    struct transport_member members[NODES_MAX];
    memset(&test, 0, sizeof(test));
    test.count = count;
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR);
    mutex_init(&test.lock, LOCK_RANK, "gateway test");
    condition_init(&test.changed);
    (void)snprintf(test.folder, sizeof(test.folder), "/tmp/histrio-gateway-XXXXXX");
    assert_non_null(mkdtemp(test.folder));
    assert_int_equal(rpc_loop_new("client", &test.client_loop, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct test_node *node = &test.nodes[i];
        node->uid = 101 + i;
        (void)snprintf(node->name, sizeof(node->name), "node-%u", (unsigned)i % 10);
        (void)snprintf(
            node->address, sizeof(node->address), "unix:%s/%u.sock", test.folder, (unsigned)i % 10);
        start_node(node, config);
        members[i] = (struct transport_member){node->uid, node->name, node->address};
    }
    for (size_t i = 0; i < count; i++)
        transport_set_roster(test.nodes[i].transport, 1, members, count, NULL, 0);
}

void nodes_stop(void)
{
    for (size_t i = 0; i < test.count; i++) {
        rpc_client_free(test.nodes[i].client);
        gateway_close(test.nodes[i].gateway);
        transport_close(test.nodes[i].transport);
    }
    for (size_t i = 0; i < test.count; i++) {
        struct test_node *node = &test.nodes[i];
        rpc_server_free(node->server, 100);
        actor_system_free(node->actors, 5000);
        gateway_free(node->gateway);
        transport_free(node->transport);
        rpc_loop_free(node->loop);
    }
    rpc_loop_free(test.client_loop);
    condition_done(&test.changed);
    mutex_done(&test.lock);
    assert_int_equal(rmdir(test.folder), 0);
}

void unit_route(size_t node, const char *unit, uint64_t epoch)
{
    struct transport_placement placement = {unit, epoch, node == SIZE_MAX ? 0 : test.nodes[node].uid};
    test.version++;
    for (size_t i = 0; i < test.count; i++)
        transport_set_routes(test.nodes[i].transport, test.version, false, &placement, 1);
}

static void begin(size_t node, const char *unit, uint64_t epoch, const char *behavior)
{
    struct actor_unit_spec spec = {.name = unit,
        .root = {.name = unit,
            .under = "",
            .behavior = behavior,
            .shutdown_ms = 5000,
            .restarts_max = 3,
            .period_ms = 5000}};
    struct err err = {0};
    transport_unit_starts(test.nodes[node].transport, unit, epoch);
    if (actor_system_unit_start(test.nodes[node].actors, &spec, epoch, &err) < 0)
        fail_msg("%s", err.text);
    unit_route(node, unit, epoch);
}

void unit_start(size_t node, const char *unit, uint64_t epoch)
{
    begin(node, unit, epoch, "test.echo");
    mutex_lock(&test.lock);
    while (strcmp(test.running, unit) != 0)
        test_wait();
    mutex_unlock(&test.lock);
}

void unit_start_slowly(size_t node, const char *unit, uint64_t epoch)
{
    begin(node, unit, epoch, "test.slow");
    wait_blocked();
}

/* ---- looking into a gateway ---- */

struct look {
    struct gateway *gateway;
    struct asks asks;
};

static void look_now(void *ctx)
{
    struct look *look = ctx;
    look->asks.all = look->gateway->asking_count;
    for (const struct list_node *node = look->gateway->waiting.head.next;
         node != &look->gateway->waiting.head; node = node->next)
        look->asks.waiting++;
}

struct asks asks_of(size_t node)
{
    struct look look = {.gateway = test.nodes[node].gateway};
    rpc_loop_call(test.nodes[node].loop, look_now, &look);
    return look.asks;
}

void look_again(int64_t deadline_ns, const char *what)
{
    int64_t now_ns = clock_now_ns(clock_system());
    if (now_ns > deadline_ns)
        fail_msg("waited in vain for %s", what);
    mutex_lock(&test.lock);
    (void)condition_wait_until(
        &test.changed, &test.lock, now_ns + NS_PER_MS / 2); /* sooner is fine as well */
    mutex_unlock(&test.lock);
}

void wait_asks(size_t node, size_t all, size_t waiting)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    for (struct asks asks = asks_of(node); asks.all != all || asks.waiting != waiting; asks = asks_of(node))
        look_again(deadline_ns, "asks");
}

void wait_watchers(size_t node, unsigned count)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    while (watchers_of(node) != count)
        look_again(deadline_ns, "watchers");
}

struct rpc_loop *client_loop(void)
{
    return test.client_loop;
}

unsigned watchers_of(size_t node)
{
    return atomic_load(&test.nodes[node].gateway->watcher_count);
}
