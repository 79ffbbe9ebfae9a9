/* Between the nodes of a simulated world: what one sends arrives at the other later, in the order in which it
 * was sent. */
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "scheduler.h"
#include "world.h"

enum { DELAY_NS_MAX = 3 * 1000 * 1000 };

struct parcel {
    struct list_node node;
    unsigned from, to;
    int64_t due_ns;
    bool is_signal;
    struct actor_envelope envelope; /* with copies of everything it points to */
    struct actor_signal signal;
};

/* In the order in which they are delivered. */
static struct list parcels = {{&parcels.head, &parcels.head}};

static const char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void drop(const void *text)
{
    free((void *)(uintptr_t)text);
}

static void parcel_free(struct parcel *parcel)
{
    drop(parcel->envelope.target_name);
    drop(parcel->envelope.sender_name);
    drop(parcel->envelope.sender_unit);
    drop(parcel->envelope.type);
    drop(parcel->envelope.value);
    drop(parcel->signal.from_name);
    drop(parcel->signal.to_name);
    drop(parcel->signal.reason);
    free(parcel);
}

/* Where a name or a reference lives. NOT_FOUND for ourselves and for nobody: then there is no way. */
static enum histrio_error way(void *ctx, const char *name, struct histrio_ref ref, unsigned *ret_node)
{
    unsigned from = (unsigned)(uintptr_t)ctx;
    unsigned node = name ? world_node_of(name) : (unsigned)(ref.node - SIM_NODE_UID);
    if (node >= world.node_count || node == from)
        return HISTRIO_NOT_FOUND;
    *ret_node = node;
    return (int)node == world.dead_node && world.dead_is_declared ? HISTRIO_UNAVAILABLE : HISTRIO_OK;
}

static void post(struct parcel *parcel)
{
    int64_t due_ns = sim_now_ns() + (int64_t)rng_below(sim_rng(), DELAY_NS_MAX);
    struct list_node *place = &parcels.head;
    /* Not before what goes the same way already. */
    list_for_each (other, &parcels, struct parcel, node) {
        if (other->to == parcel->to && other->due_ns > due_ns)
            due_ns = other->due_ns;
    }
    parcel->due_ns = due_ns;
    list_for_each (other, &parcels, struct parcel, node) {
        if (other->due_ns <= due_ns)
            place = &other->node;
    }
    list_insert_after(place, &parcel->node);
    sim_network_wake();
}

enum histrio_error network_send(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    unsigned to;
    (void)ret_pressure; /* never: it stays false */
    enum histrio_error error = way(ctx, envelope->target_name, envelope->target, &to);
    if (error != HISTRIO_OK)
        return error;
    struct parcel *parcel = xcalloc(1, sizeof(*parcel));
    parcel->from = (unsigned)(uintptr_t)ctx;
    parcel->to = to;
    parcel->envelope = *envelope;
    parcel->envelope.target_name = copy(envelope->target_name);
    parcel->envelope.sender_name = copy(envelope->sender_name);
    parcel->envelope.sender_unit = copy(envelope->sender_unit);
    parcel->envelope.type = copy(envelope->type);
    parcel->envelope.value =
        xmemdup(envelope->size > 0 ? envelope->value : (const uint8_t *)"", envelope->size);
    world.tells_on_the_way += envelope->kind == ENVELOPE_TELL;
    post(parcel);
    return HISTRIO_OK;
}

enum histrio_error network_signal(void *ctx, const struct actor_signal *signal, uint64_t *ret_node)
{
    unsigned to;
    enum histrio_error error = way(ctx, signal->to_name, signal->to, &to);
    if (error != HISTRIO_OK)
        return error;
    struct parcel *parcel = xcalloc(1, sizeof(*parcel));
    parcel->from = (unsigned)(uintptr_t)ctx;
    parcel->to = to;
    parcel->is_signal = true;
    parcel->signal = *signal;
    parcel->signal.from_name = copy(signal->from_name);
    parcel->signal.to_name = copy(signal->to_name);
    parcel->signal.reason = copy(signal->reason);
    *ret_node = SIM_NODE_UID + to;
    post(parcel);
    return HISTRIO_OK;
}

static int64_t next_ns(void)
{
    const struct parcel *first = list_first_entry(&parcels, struct parcel, node);
    return first ? first->due_ns : INT64_MAX;
}

static void deliver(void)
{
    struct parcel *parcel = list_first_entry(&parcels, struct parcel, node);
    if (!parcel)
        return;
    list_remove(&parcel->node);
    struct actor_system *system = sim_system(parcel->to);
    if ((int)parcel->to == world.dead_node) {
        world.tells_on_the_way -= !parcel->is_signal && parcel->envelope.kind == ENVELOPE_TELL;
    } else if (parcel->is_signal) {
        actor_system_signal(system, &parcel->signal);
    } else {
        bool is_tell = parcel->envelope.kind == ENVELOPE_TELL;
        world.tells_on_the_way -= is_tell;
        if (actor_system_deliver(system, &parcel->envelope, NULL) != HISTRIO_OK)
            world.tells_refused += is_tell; /* an ask was answered */
    }
    parcel_free(parcel);
}

void network_cut(unsigned node)
{
    list_for_each_safe (parcel, &parcels, struct parcel, node) {
        if (parcel->from == node) {
            list_remove(&parcel->node);
            parcel_free(parcel);
        }
    }
}

void network_done(void)
{
    list_for_each_safe (parcel, &parcels, struct parcel, node)
        parcel_free(parcel);
    list_init(&parcels);
}

const struct sim_network network = {next_ns, deliver};
