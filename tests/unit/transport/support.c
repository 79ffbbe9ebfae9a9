#include "support.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "rpc/loop.h"
#include "rpc/server.h"

#include <unistd.h>

enum { PATIENCE_S = 60 };

static const uint8_t credential[] = "secret";

int64_t patience_deadline_ns(void)
{
    return clock_now_ns(clock_system()) + PATIENCE_S * NS_PER_S;
}

static enum histrio_error deliver(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    struct fake_node *node = ctx;
    struct heard heard = {
        .kind = envelope->kind,
        .error = envelope->error,
        .sender = envelope->sender,
        .target = envelope->target,
        .ask = envelope->ask,
        .remaining_ms = envelope->remaining_ms,
        .name = envelope->target_name        ? histrio_type_name(histrio_type(envelope->target_name))
                : envelope->target.node == 0 ? histrio_type_name((uint32_t)envelope->target.id)
                                             : "",
        .type = envelope->type ? histrio_type_name(histrio_type(envelope->type))
                               : histrio_type_name(envelope->type_id),
        .size = envelope->size,
    };
    if (envelope->size >= sizeof(heard.number))
        memcpy(&heard.number, envelope->value, sizeof(heard.number));
    mutex_lock(&node->lock);
    vec_push(&node->heard, heard);
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
    if (ret_pressure)
        *ret_pressure = node->is_pressed && node->is_pressed(node);
    if (envelope->kind != ENVELOPE_ASK || !node->answers)
        return HISTRIO_OK;
    struct actor_envelope reply = {
        .kind = ENVELOPE_REPLY,
        .target = envelope->sender,
        .sender = {node->uid, 77},
        .ask = envelope->ask,
        .value = (const uint8_t *)&envelope->ask,
        .size = sizeof(envelope->ask),
    };
    bool pressure;
    assert_int_equal(node->out.send(node->out.ctx, &reply, &pressure), HISTRIO_OK);
    return HISTRIO_OK;
}

static void signal_in(void *ctx, const struct actor_signal *signal)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    struct heard_signal heard = {
        signal->kind, signal->monitor, signal->ask, node->heard.count, signal->from.node != node->uid};
    vec_push(&node->signals, heard);
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static uint64_t name_in(void *ctx, const char *name)
{
    (void)ctx;
    return histrio_type(name);
}

static void dead_in(void *ctx, uint64_t node_uid)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    vec_push(&node->dead, node_uid);
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static void lifted_in(void *ctx)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    node->lifts++;
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

void fake_listen(struct fake_node *node)
{
    const char *addresses[] = {node->address, NULL};
    struct rpc_server_config config = {.addresses = addresses};
    config.methods = transport_methods(node->transport, &config.method_count);
    struct err err;
    if (rpc_server_new(node->loop, &config, &node->server, &err) < 0)
        fail_msg("%s", err.text);
}

static void start_node(struct fake_node *node, const struct transport_config *wanted)
{
    struct err err;
    assert_int_equal(rpc_loop_new("link", &node->loop, &err), 0);
    mutex_init(&node->lock, 1000, "fake");
    condition_init(&node->changed);
    struct transport_config config = {0};
    if (wanted)
        config = *wanted;
    config.loop = node->loop;
    config.node_uid = node->uid;
    config.node_name = node->name;
    if (!config.unreachable_ms)
        config.unreachable_ms = PATIENCE_S * MS_PER_S;
    if (!config.system_uid)
        config.system_uid = "system-1";
    config.system = "bank";
    if (!config.credential) {
        config.credential = credential;
        config.credential_size = sizeof(credential);
    }
    assert_int_equal(transport_new(&config, &node->transport, &err), 0);
    struct transport_inbound inbound = {deliver, signal_in, NULL, name_in, dead_in, lifted_in, node};
    transport_attach_inbound(node->transport, &inbound);
    node->out = transport_outbound(node->transport);
    fake_listen(node);
}

void fake_restart_server(struct fake_node *node)
{
    rpc_server_free(node->server, 0);
    fake_listen(node);
}

void fakes_start(struct fakes *fakes, size_t count, const struct transport_config *config)
{
    *fakes = (struct fakes){.count = count};
    (void)snprintf(fakes->folder, sizeof(fakes->folder), "/tmp/histrio-transport-XXXXXX");
    assert_non_null(mkdtemp(fakes->folder));
    struct transport_member members[3];
    for (size_t i = 0; i < count; i++) {
        struct fake_node *node = &fakes->nodes[i];
        node->uid = 101 + i;
        (void)snprintf(node->name, sizeof(node->name), "node-%u", (unsigned)i % 10);
        (void)snprintf(node->address, sizeof(node->address), "unix:%s/%zu.sock", fakes->folder, i);
        start_node(node, config);
        members[i] = (struct transport_member){node->uid, node->name, node->address};
    }
    for (size_t i = 0; i < count; i++)
        transport_set_roster(fakes->nodes[i].transport, 1, members, count, NULL, 0);
}

void fakes_stop(struct fakes *fakes)
{
    for (size_t i = 0; i < fakes->count; i++)
        transport_close(fakes->nodes[i].transport);
    for (size_t i = 0; i < fakes->count; i++) {
        struct fake_node *node = &fakes->nodes[i];
        rpc_server_free(node->server, 0);
        transport_free(node->transport);
        rpc_loop_free(node->loop);
        vec_done(&node->heard);
        vec_done(&node->signals);
        vec_done(&node->dead);
        condition_done(&node->changed);
        mutex_done(&node->lock);
    }
    assert_int_equal(rmdir(fakes->folder), 0);
}

void fakes_place(struct fakes *fakes, const char *unit, uint64_t epoch, struct fake_node *node)
{
    struct transport_placement placement = {unit, epoch, node ? node->uid : 0};
    if (node)
        transport_unit_held(node->transport, unit, epoch);
    for (size_t i = 0; i < fakes->count; i++)
        transport_set_routes(fakes->nodes[i].transport, epoch, false, &placement, 1);
}

static struct actor_envelope envelope_to(struct fake_node *node, uint64_t sender, const char *name)
{
    return (struct actor_envelope){
        .target_name = name,
        .target = {0, histrio_type(name)},
        .sender = {node->uid, sender},
        .type = "note",
        .type_id = histrio_type("note"),
    };
}

enum histrio_error fake_tell(
    struct fake_node *node, uint64_t sender, const char *name, uint64_t number, bool *ret_pressure)
{
    bool pressure;
    struct actor_envelope envelope = envelope_to(node, sender, name);
    envelope.value = (const uint8_t *)&number;
    envelope.size = sizeof(number);
    return node->out.send(node->out.ctx, &envelope, ret_pressure ? ret_pressure : &pressure);
}

enum histrio_error fake_ask(
    struct fake_node *node, uint64_t sender, const char *name, uint64_t ask, uint32_t timeout_ms)
{
    bool pressure;
    struct actor_envelope envelope = envelope_to(node, sender, name);
    envelope.kind = ENVELOPE_ASK;
    envelope.ask = ask;
    envelope.remaining_ms = timeout_ms;
    return node->out.send(node->out.ctx, &envelope, &pressure);
}

size_t fake_heard(struct fake_node *node)
{
    mutex_lock(&node->lock);
    size_t count = node->heard.count;
    mutex_unlock(&node->lock);
    return count;
}

void fake_wait_heard(struct fake_node *node, size_t count)
{
    int64_t deadline_ns = patience_deadline_ns();
    bool in_time = true;
    mutex_lock(&node->lock);
    while (node->heard.count < count && in_time)
        in_time = condition_wait_until(&node->changed, &node->lock, deadline_ns);
    size_t heard = node->heard.count;
    mutex_unlock(&node->lock);
    if (heard < count)
        fail_msg("heard %zu of %zu messages", heard, count);
}

/* Counters have no condition of their own: they are looked at again each half millisecond. */
void wait_until(bool (*is_true)(void *ctx), void *ctx)
{
    int64_t deadline_ns = patience_deadline_ns();
    struct mutex lock;
    struct condition never;
    mutex_init(&lock, 1, "wait"); /* below all that is_true() takes */
    condition_init(&never);
    mutex_lock(&lock);
    while (!is_true(ctx)) {
        int64_t now_ns = clock_now_ns(clock_system());
        if (now_ns > deadline_ns)
            fail_msg("waited in vain");
        (void)condition_wait_until(&never, &lock, now_ns + NS_PER_MS / 2); /* that it ends is certain */
    }
    mutex_unlock(&lock);
    condition_done(&never);
    mutex_done(&lock);
}

static bool all_connected(void *ctx)
{
    struct fakes *fakes = ctx;
    for (size_t i = 0; i < fakes->count; i++) {
        struct transport_counters counters;
        transport_counters(fakes->nodes[i].transport, &counters);
        if (counters.peers_connected != fakes->count - 1)
            return false;
    }
    return true;
}

void fakes_wait_connected(struct fakes *fakes)
{
    wait_until(all_connected, fakes);
}
