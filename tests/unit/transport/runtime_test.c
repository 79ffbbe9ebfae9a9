/* Two whole nodes in one process, with real actors: what a behavior sees of the other node. */
#include "suites.h"
#include "support.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "rpc/loop.h"
#include "rpc/server.h"

#include <histrio/value.h>
#include <unistd.h>

struct pair_node {
    uint64_t uid;
    char address[128];
    struct rpc_loop *loop;
    struct transport *transport;
    struct actor_system *actors;
    struct rpc_server *server;
    struct mutex lock;
    struct condition changed;
    unsigned running; /* guarded by the lock, as the rest */
    unsigned outcomes;
    enum histrio_error error;
    char text[256];
};

struct pair {
    char folder[64];
    struct pair_node nodes[2];
};

/* ---- actors ---- */

struct probe {
    unsigned downs, exits;
    char reason[64];
    uint64_t watch;
    char news[256]; /* "ended:1:why restarted:2:why " */
    struct histrio_caller caller;
};

static const char *text_of(const struct histrio_message *message, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%.*s", (int)message->size, (const char *)message->value);
    return buffer;
}

static bool is(const struct histrio_message *message, const char *type)
{
    return message->type == histrio_type(type);
}

static void answer(struct histrio_context *ctx, const char *text)
{
    histrio_reply(ctx, (const uint8_t *)text, strlen(text));
}

static void note_news(struct probe *probe, const struct histrio_message *message)
{
    const char *reason = "";
    size_t size = 0, used = strlen(probe->news);
    int64_t incarnation = 0;
    (void)histrio_argument_int(message, "incarnation", 0, &incarnation);
    (void)histrio_argument_string(message, "reason", 1, &reason, &size);
    (void)snprintf(probe->news + used, sizeof(probe->news) - used, "%s:%d:%.*s ",
        message->kind == HISTRIO_ENDED ? "ended" : "restarted", (int)incarnation, (int)size, reason);
}

static enum histrio_result probe_outcome(
    struct histrio_context *ctx, struct probe *probe, const struct histrio_message *message)
{
    if (message->kind == HISTRIO_REPLY)
        histrio_reply_to(ctx, probe->caller, message->value, message->size);
    else
        histrio_reply_error_to(
            ctx, probe->caller, (enum histrio_error)message->error, (const char *)message->value);
    return HISTRIO_CONTINUE;
}

static enum histrio_result probe_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct probe *probe = state;
    char name[128], text[128];
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_DOWN:
        probe->downs++;
        (void)text_of(message, probe->reason, sizeof(probe->reason));
        return HISTRIO_CONTINUE;
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED: note_news(probe, message); return HISTRIO_CONTINUE;
    case HISTRIO_EXIT:
        probe->exits++;
        (void)text_of(message, probe->reason, sizeof(probe->reason));
        return strcmp(probe->reason, "shutdown") == 0 ? HISTRIO_STOP : HISTRIO_CONTINUE;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: return probe_outcome(ctx, probe, message);
    case HISTRIO_TELL:
    case HISTRIO_ASK:
    case HISTRIO_TIMER: break;
    }
    (void)text_of(message, name, sizeof(name));
    if (is(message, "monitor"))
        (void)histrio_monitor(ctx, histrio_lookup(ctx, name)); /* its number is not asked for */
    else if (is(message, "watch"))
        probe->watch = histrio_watch(ctx, histrio_lookup(ctx, name));
    else if (is(message, "demonitor"))
        histrio_demonitor(ctx, probe->watch);
    else if (is(message, "news")) {
        answer(ctx, probe->news);
        return HISTRIO_CONTINUE;
    } else if (is(message, "link"))
        histrio_link(ctx, histrio_lookup(ctx, name));
    else if (is(message, "relay")) {
        probe->caller = histrio_caller(ctx);
        (void)histrio_ask(ctx, histrio_lookup(ctx, name), histrio_type("hello"), NULL, 0, 60000);
        return HISTRIO_CONTINUE;
    } else if (is(message, "hello")) {
        (void)histrio_caller(ctx);
        answer(ctx, histrio_path(ctx));
        return HISTRIO_CONTINUE;
    } else if (is(message, "silence")) {
        (void)histrio_caller(ctx); /* never answered */
        return HISTRIO_CONTINUE;
    } else if (is(message, "fail")) {
        histrio_fail(ctx, "as told");
        return HISTRIO_FAIL;
    }
    (void)snprintf(text, sizeof(text), "%u:%u:%s", probe->downs, probe->exits, probe->reason);
    answer(ctx, text);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior probe = {.name = "probe",
    .state_size = sizeof(struct probe),
    .receive = probe_receive,
    .flags = HISTRIO_TRAP_EXITS};
static const struct histrio_behavior *const behaviors[] = {&probe, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "test", behaviors};

/* ---- nodes ---- */

static void unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    struct pair_node *node = ctx;
    (void)unit;
    (void)epoch;
    (void)reason;
    mutex_lock(&node->lock);
    node->running += state == UNIT_RUNNING;
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static void exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    (void)report;
}

static void stuck(void *ctx, const char *path, const char *type, uint64_t running_ms)
{
    (void)ctx;
    (void)path;
    (void)type;
    (void)running_ms;
}

static void start_node(struct pair_node *node)
{
    struct err err = {0};
    mutex_init(&node->lock, 1000, "pair");
    condition_init(&node->changed);
    assert_int_equal(rpc_loop_new("link", &node->loop, &err), 0);
    struct transport_config config = {.loop = node->loop,
        .system = "bank",
        .system_uid = "1",
        .node_uid = node->uid,
        .unreachable_ms = 60000}; /* not for being slow to connect */
    assert_int_equal(transport_new(&config, &node->transport, &err), 0);
    struct actor_system_config actors = {.node_uid = node->uid,
        .system = "bank",
        .worker_count = 2,
        .seed = node->uid,
        .outbound = transport_outbound(node->transport),
        .events = {.exited = exited, .unit_changed = unit_changed, .stuck = stuck, .ctx = node}};
    assert_int_equal(actor_system_new(&actors, &node->actors, &err), 0);
    assert_int_equal(actor_system_add_library(node->actors, &library, &err), 0);
    transport_attach(node->transport, node->actors);
    const char *addresses[] = {node->address, NULL};
    struct rpc_server_config server = {.addresses = addresses};
    server.methods = transport_methods(node->transport, &server.method_count);
    assert_int_equal(rpc_server_new(node->loop, &server, &node->server, &err), 0);
}

static void wait_count(struct pair_node *node, const unsigned *count, unsigned wanted)
{
    int64_t deadline_ns = patience_deadline_ns();
    bool in_time = true;
    mutex_lock(&node->lock);
    while (*count < wanted && in_time)
        in_time = condition_wait_until(&node->changed, &node->lock, deadline_ns);
    mutex_unlock(&node->lock);
    if (!in_time)
        fail_msg("waited in vain");
}

/* Unit "left" on the first node, "right" on the second. */
/* Whether actors that fail are started again. */
static void pair_start_with(struct pair *pair, enum actor_restart restart)
{
    static const char *const units[] = {"left", "right"};
    memset(pair, 0, sizeof(*pair));
    (void)snprintf(pair->folder, sizeof(pair->folder), "/tmp/histrio-pair-XXXXXX");
    assert_non_null(mkdtemp(pair->folder));
    struct transport_member members[2];
    struct transport_placement placements[2];
    for (unsigned i = 0; i < 2; i++) {
        struct pair_node *node = &pair->nodes[i];
        node->uid = 11 + i;
        (void)snprintf(node->address, sizeof(node->address), "unix:%s/%u", pair->folder, i);
        start_node(node);
        members[i] = (struct transport_member){node->uid, units[i], node->address};
        placements[i] = (struct transport_placement){units[i], i + 1, node->uid};
    }
    for (unsigned i = 0; i < 2; i++) {
        struct pair_node *node = &pair->nodes[i];
        struct err err = {0};
        struct actor_unit_spec spec = {.name = units[i],
            .root = {.name = units[i],
                .under = "",
                .behavior = "test.probe",
                .restart = restart,
                .shutdown_ms = 1000,
                .restarts_max = 3,
                .period_ms = 60000}};
        transport_unit_held(node->transport, units[i], i + 1);
        assert_int_equal(actor_system_unit_start(node->actors, &spec, i + 1, &err), 0);
        wait_count(node, &node->running, 1);
        transport_set_roster(node->transport, 1, members, 2, NULL, 0);
        transport_set_routes(node->transport, 1, true, placements, 2);
    }
}

static void pair_start(struct pair *pair)
{
    pair_start_with(pair, ACTOR_TEMPORARY);
}

static void pair_stop(struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++)
        transport_close(pair->nodes[i].transport);
    for (unsigned i = 0; i < 2; i++) {
        struct pair_node *node = &pair->nodes[i];
        rpc_server_free(node->server, 0);
        actor_system_free(node->actors, 2000);
        transport_free(node->transport);
        rpc_loop_free(node->loop);
        condition_done(&node->changed);
        mutex_done(&node->lock);
    }
    assert_int_equal(rmdir(pair->folder), 0);
}

static void outcome(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct pair_node *node = ctx;
    mutex_lock(&node->lock);
    node->error = error;
    (void)snprintf(node->text, sizeof(node->text), "%.*s", (int)size, (const char *)value);
    node->outcomes++;
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static void ask_later(struct pair_node *node, const char *target, const char *type, const char *text)
{
    actor_system_ask(node->actors, target, type, (const uint8_t *)text, strlen(text), 60000, outcome, node);
}

/* The answer's text; the error is in node->error. */
static const char *ask(struct pair_node *node, const char *target, const char *type, const char *text)
{
    unsigned before = node->outcomes;
    ask_later(node, target, type, text);
    wait_count(node, &node->outcomes, before + 1);
    return node->text;
}

/* Until an actor's answer to "state" is this. */
static void wait_answer(struct pair_node *node, const char *target, const char *type, const char *wanted)
{
    int64_t deadline_ns = patience_deadline_ns();
    while (strcmp(ask(node, target, type, ""), wanted) != 0)
        if (clock_now_ns(clock_system()) > deadline_ns)
            fail_msg("%s in place of %s", node->text, wanted);
}

static void wait_state(struct pair_node *node, const char *target, const char *wanted)
{
    wait_answer(node, target, "state", wanted);
}

/* Signals have a stream of their own: what a client sends after them may come before. */
static void wait_signals(const struct pair_node *node, uint64_t wanted)
{
    int64_t deadline_ns = patience_deadline_ns();
    struct transport_counters counters = {0};
    for (; counters.signals_received < wanted; transport_counters(node->transport, &counters))
        if (clock_now_ns(clock_system()) > deadline_ns)
            fail_msg("%u of %u signals came", (unsigned)counters.signals_received, (unsigned)wanted);
}

/* ---- tests ---- */

static void test_asks_between_nodes(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    struct pair_node *left = &pair.nodes[0];
    assert_string_equal(ask(left, "right", "hello", ""), "right"); /* of a client */
    assert_int_equal(left->error, HISTRIO_OK);
    assert_string_equal(ask(left, "left", "relay", "right"), "right"); /* of an actor */
    assert_string_equal(ask(left, "right", "relay", "left"), "left");  /* the other way */
    (void)ask(left, "right/nobody", "hello", "");
    assert_int_equal(left->error, HISTRIO_NOT_FOUND);
    (void)ask(left, "unknown", "hello", "");
    assert_int_equal(left->error, HISTRIO_NOT_FOUND);
    pair_stop(&pair);
}

static void test_monitors_and_links_between_nodes(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    struct pair_node *left = &pair.nodes[0];
    (void)ask(left, "left", "monitor", "right/nobody");
    wait_state(left, "left", "1:0:noproc");
    (void)ask(left, "left", "link", "right/nobody");
    wait_state(left, "left", "1:1:noproc");
    (void)ask(left, "left", "monitor", "right");
    (void)ask(left, "left", "link", "right");
    wait_signals(&pair.nodes[1], 4);
    (void)ask(left, "right", "fail", "");
    assert_int_equal(left->error, HISTRIO_CRASHED);
    wait_state(left, "left", "2:2:as told");
    pair_stop(&pair);
}

static void test_watches_between_nodes(void **state)
{
    (void)state;
    struct pair pair;
    pair_start_with(&pair, ACTOR_PERMANENT);
    struct pair_node *left = &pair.nodes[0], *right = &pair.nodes[1];
    (void)ask(left, "left", "watch", "right");
    wait_signals(right, 1);
    (void)ask(left, "right", "fail", "");
    wait_answer(left, "left", "news", "ended:1:as told restarted:2:as told ");
    (void)ask(left, "right", "fail", "");
    wait_answer(
        left, "left", "news", "ended:1:as told restarted:2:as told ended:2:as told restarted:3:as told ");
    wait_state(left, "left", "0:0:");
    transport_set_dead(left->transport, &right->uid, 1);
    wait_state(left, "left", "1:0:noconnection");
    pair_stop(&pair);
}

static void test_a_watch_between_nodes_is_taken_back(void **state)
{
    (void)state;
    struct pair pair;
    pair_start_with(&pair, ACTOR_PERMANENT);
    struct pair_node *left = &pair.nodes[0], *right = &pair.nodes[1];
    (void)ask(left, "left", "watch", "right");
    wait_signals(right, 1);
    (void)ask(left, "right", "fail", "");
    wait_answer(left, "left", "news", "ended:1:as told restarted:2:as told ");
    (void)ask(left, "left", "demonitor", "");
    wait_signals(right, 2);
    (void)ask(left, "right", "fail", "");
    (void)ask(left, "left", "monitor", "right"); /* behind what the end would have told */
    assert_string_equal(ask(left, "right", "hello", ""), "right");
    assert_string_equal(ask(left, "left", "news", ""), "ended:1:as told restarted:2:as told ");
    pair_stop(&pair);
}

struct arrival {
    struct transport *transport;
    uint64_t before;
};

static bool has_arrived(void *ctx)
{
    struct arrival *arrival = ctx;
    struct transport_counters counters;
    transport_counters(arrival->transport, &counters);
    return counters.messages_received > arrival->before;
}

static void test_death_fires_once(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    struct pair_node *left = &pair.nodes[0], *right = &pair.nodes[1];
    (void)ask(left, "left", "monitor", "right");
    (void)ask(left, "left", "link", "right");
    assert_string_equal(ask(left, "right", "hello", ""), "right");
    unsigned before = left->outcomes;
    struct transport_counters counters;
    transport_counters(right->transport, &counters);
    struct arrival arrival = {right->transport, counters.messages_received};
    ask_later(left, "right", "silence", "");
    wait_until(has_arrived, &arrival);
    for (int i = 0; i < 3; i++)
        transport_set_dead(left->transport, &right->uid, 1);
    wait_count(left, &left->outcomes, before + 1);
    assert_int_equal(left->error, HISTRIO_UNCERTAIN);
    wait_state(left, "left", "1:1:noconnection");
    transport_set_dead(left->transport, &right->uid, 1);
    transport_close(left->transport); /* what was posted to the loop has run */
    assert_string_equal(ask(left, "left", "state", ""), "1:1:noconnection");
    pair_stop(&pair);
}

int runtime_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_between_nodes),
        cmocka_unit_test(test_monitors_and_links_between_nodes),
        cmocka_unit_test(test_watches_between_nodes),
        cmocka_unit_test(test_a_watch_between_nodes_is_taken_back),
        cmocka_unit_test(test_death_fires_once),
    };
    return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
