#include "node_control/convert.h"

#include "base/limits.h"
#include "base/str.h"
#include "rpc/stream.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/control.pb-c.h>
#include <stdlib.h>
#include <string.h>

typedef Histrio__V1__NodeMessage proto_message;

enum { SCRATCH_BYTES = 64 * 1024 * 1024 };

/* What a message is built in; gone when it is packed. Running out of it is our own mistake: all lists are
 * bounded. */
struct scratch {
    struct wire_arena arena;
};

static void scratch_done(struct scratch *scratch)
{
    wire_arena_done(&scratch->arena);
}

#define SCRATCH(name)                                                                                        \
    __attribute__((cleanup(scratch_done))) struct scratch name;                                              \
    wire_arena_init(&name.arena, NULL, 0, SCRATCH_BYTES)

static void *scratch_alloc(struct scratch *scratch, size_t size)
{
    void *memory = wire_arena_alloc(&scratch->arena, size ? size : 1);
    if (!memory)
        abort(); /* see struct scratch */
    memset(memory, 0, size);
    return memory;
}

/* The other side refuses a frame with a text that is not UTF-8, and behaviors write what they like. */
static char *text(struct scratch *scratch, const char *from)
{
    size_t size = from ? strlen(from) : 0;
    char *copy = scratch_alloc(scratch, size + 1);
    if (size > 0)
        memcpy(copy, from, size);
    if (!text_is_utf8(copy, size))
        for (size_t i = 0; i < size; i++)
            if ((unsigned char)copy[i] >= 0x80)
                copy[i] = '?';
    return copy;
}

static proto_message begin(const struct convert_sender *sender)
{
    proto_message message = HISTRIO__V1__NODE_MESSAGE__INIT;
    message.node_uid = sender->node_uid;
    message.term = sender->term;
    return message;
}

static struct rpc_buffer *pack(const proto_message *message)
{
    struct rpc_buffer *buffer = rpc_buffer_new(wire_packed_size(message));
    wire_pack_into(message, rpc_buffer_data(buffer));
    return buffer;
}

static Histrio__V1__PreviousLife *previous_life(struct scratch *scratch, const struct life *life)
{
    if (!life->has_previous)
        return NULL;
    Histrio__V1__PreviousLife *previous = scratch_alloc(scratch, sizeof(*previous));
    histrio__v1__previous_life__init(previous);
    previous->node_uid = life->previous.node_uid;
    previous->exit_code = life->previous.exit_code;
    previous->signal = life->previous.signal;
    previous->unit = text(scratch, life->previous.unit);
    previous->actor = text(scratch, life->previous.actor);
    previous->backtrace = text(scratch, life->previous.backtrace);
    previous->earlier_uids = life->earlier.items;
    previous->n_earlier_uids = life->earlier.count;
    return previous;
}

struct rpc_buffer *convert_hello(
    const struct convert_sender *sender, const struct convert_identity *identity, const struct life *life)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__NodeHello node = HISTRIO__V1__NODE_HELLO__INIT;
    Histrio__V1__Hello hello = HISTRIO__V1__HELLO__INIT;
    hello.protocol_min = CONTROL_PROTOCOL_MIN;
    hello.protocol_max = CONTROL_PROTOCOL_MAX;
    hello.system = text(&scratch, identity->system);
    hello.system_uid = text(&scratch, identity->system_uid);
    hello.node_name = text(&scratch, identity->node_name);
    hello.node_uid = sender->node_uid;
    hello.pod_uid = text(&scratch, identity->pod_uid);
    hello.credential.data = (uint8_t *)(uintptr_t)identity->credential; /* only read */
    hello.credential.len = identity->credential_size;
    hello.kube_node = text(&scratch, identity->kube_node);
    hello.zone = text(&scratch, identity->zone);
    hello.software = text(&scratch, identity->software);
    node.hello = &hello;
    node.link_address = text(&scratch, identity->link_address);
    node.gateway_address = text(&scratch, identity->gateway_address);
    node.cores = identity->cores;
    node.memory_bytes = identity->memory_bytes;
    node.previous = previous_life(&scratch, life);
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_HELLO;
    message.hello = &node;
    return pack(&message);
}

struct rpc_buffer *convert_lease(
    const struct convert_sender *sender, uint64_t nonce, uint64_t roster_version, bool is_suspended)
{
    proto_message message = begin(sender);
    Histrio__V1__LeaseRequest lease = HISTRIO__V1__LEASE_REQUEST__INIT;
    lease.nonce = nonce;
    lease.roster_version = roster_version;
    lease.suspended = is_suspended;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
    message.lease = &lease;
    return pack(&message);
}

static Histrio__V1__UnitState unit_state(enum actor_unit_state state)
{
    switch (state) {
    case UNIT_STARTING:
    case UNIT_PRESENT: return HISTRIO__V1__UNIT_STATE__UNIT_STATE_STARTING;
    case UNIT_RUNNING: return HISTRIO__V1__UNIT_STATE__UNIT_STATE_RUNNING;
    case UNIT_STOPPING: return HISTRIO__V1__UNIT_STATE__UNIT_STATE_STOPPING;
    case UNIT_FAILED: return HISTRIO__V1__UNIT_STATE__UNIT_STATE_FAILED;
    case UNIT_STOPPED: break;
    }
    return HISTRIO__V1__UNIT_STATE__UNIT_STATE_STOPPED;
}

static Histrio__V1__HeldActor *held_actor(struct scratch *scratch, const struct actor_info *row)
{
    Histrio__V1__HeldActor *actor = scratch_alloc(scratch, sizeof(*actor));
    histrio__v1__held_actor__init(actor);
    actor->path = text(scratch, row->path);
    actor->incarnation = row->incarnation;
    actor->state = text(scratch, row->state);
    actor->mailbox_depth = row->mailbox_depth;
    actor->last_exit_reason = text(scratch, row->last_exit_reason);
    actor->last_exit_at_ms = row->last_exit_wall_ms;
    actor->behavior = text(scratch, row->behavior);
    return actor;
}

/* The index of the first row that is of `unit` or behind it. */
static size_t first_row(const struct actor_info *rows, size_t count, const char *unit)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows[middle].unit, unit) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static Histrio__V1__HeldUnit *held_unit(struct scratch *scratch, const struct assignment *assignment,
    const struct actor_info *rows, size_t row_count)
{
    Histrio__V1__HeldUnit *unit = scratch_alloc(scratch, sizeof(*unit));
    size_t first = first_row(rows, row_count, assignment->unit);
    size_t count = 0;
    histrio__v1__held_unit__init(unit);
    unit->unit = text(scratch, assignment->unit);
    unit->epoch = assignment->epoch;
    unit->generation = assignment->generation;
    unit->state = unit_state(assignment->state);
    unit->reason = text(scratch, assignment->reason);
    while (first + count < row_count && strcmp(rows[first + count].unit, assignment->unit) == 0)
        count++;
    unit->actors = scratch_alloc(scratch, count * sizeof(Histrio__V1__HeldActor *));
    unit->n_actors = count;
    for (size_t i = 0; i < count; i++)
        unit->actors[i] = held_actor(scratch, &rows[first + i]);
    return unit;
}

struct rpc_buffer *convert_inventory(const struct convert_sender *sender,
    const struct assignments *assignments, const struct actor_info *rows, size_t row_count,
    uint64_t roster_version, uint64_t route_version)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__Inventory inventory = HISTRIO__V1__INVENTORY__INIT;
    size_t count = map_count(&assignments->units);
    Histrio__V1__Inventory__SeenEpoch *seen = scratch_alloc(&scratch, count * sizeof(*seen));
    inventory.roster_version = roster_version;
    inventory.route_version = route_version;
    inventory.full = true;
    inventory.units = scratch_alloc(&scratch, count * sizeof(Histrio__V1__HeldUnit *));
    inventory.seen = scratch_alloc(&scratch, count * sizeof(Histrio__V1__Inventory__SeenEpoch *));
    map_for_each (item, &assignments->units) {
        const struct assignment *assignment = item.value;
        Histrio__V1__Inventory__SeenEpoch *epoch = &seen[inventory.n_seen];
        histrio__v1__inventory__seen_epoch__init(epoch);
        epoch->unit = text(&scratch, assignment->unit);
        epoch->epoch = assignment->seen_epoch;
        inventory.seen[inventory.n_seen++] = epoch;
        if (assignment->is_listed)
            inventory.units[inventory.n_units++] = held_unit(&scratch, assignment, rows, row_count);
    }
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY;
    message.inventory = &inventory;
    return pack(&message);
}

static Histrio__V1__RefusalReason refusal_number(enum refusal refusal)
{
    return (Histrio__V1__RefusalReason)refusal; /* the same numbers, as assignments.h says */
}

struct rpc_buffer *convert_assigned(
    const struct convert_sender *sender, const struct assignment_action *answer)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__AssignResult result = HISTRIO__V1__ASSIGN_RESULT__INIT;
    result.unit = text(&scratch, answer->unit);
    result.epoch = answer->epoch;
    result.refusal = refusal_number(answer->refusal);
    result.reason = text(&scratch, answer->reason);
    result.seen_epoch = answer->seen_epoch;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_ASSIGNED;
    message.assigned = &result;
    return pack(&message);
}

struct rpc_buffer *convert_revoked(
    const struct convert_sender *sender, const struct assignment_action *answer)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__RevokeResult result = HISTRIO__V1__REVOKE_RESULT__INIT;
    result.unit = text(&scratch, answer->unit);
    result.epoch = answer->epoch;
    result.refusal = refusal_number(answer->refusal);
    result.seen_epoch = answer->seen_epoch;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_REVOKED;
    message.revoked = &result;
    return pack(&message);
}

struct rpc_buffer *convert_blocked(const struct convert_sender *sender, const struct command_block *block)
{
    proto_message message = begin(sender);
    Histrio__V1__BlockAnswer answer = HISTRIO__V1__BLOCK_ANSWER__INIT;
    Histrio__V1__BlockRound round = HISTRIO__V1__BLOCK_ROUND__INIT;
    round.term = block->round_term;
    round.counter = block->round_counter;
    answer.node_uid = block->node_uid;
    answer.round = &round;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_BLOCKED;
    message.blocked = &answer;
    return pack(&message);
}

static Histrio__V1__ActorExit *actor_exit(struct scratch *scratch, const struct exit_entry *entry)
{
    Histrio__V1__ActorExit *exit = scratch_alloc(scratch, sizeof(*exit));
    histrio__v1__actor_exit__init(exit);
    exit->actor = text(scratch, entry->actor);
    exit->unit = text(scratch, entry->unit);
    exit->epoch = entry->epoch;
    exit->incarnation = entry->incarnation;
    exit->reason = text(scratch, entry->reason);
    exit->at_ms = entry->at_wall_ms;
    exit->decision = text(scratch, entry->decision);
    exit->cause = text(scratch, entry->cause);
    exit->unit_gave_up = strcmp(entry->decision, "GiveUp") == 0;
    return exit;
}

struct rpc_buffer *convert_exits(const struct convert_sender *sender, const struct exit_batch *batch)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__Exits exits = HISTRIO__V1__EXITS__INIT;
    exits.lost = batch->lost;
    exits.exits = scratch_alloc(&scratch, batch->entries.count * sizeof(Histrio__V1__ActorExit *));
    vec_for_each (entry, &batch->entries)
        exits.exits[exits.n_exits++] = actor_exit(&scratch, entry);
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_EXITS;
    message.exits = &exits;
    return pack(&message);
}

struct rpc_buffer *convert_load(
    const struct convert_sender *sender, const struct actor_counters *counters, uint64_t memory_bytes)
{
    proto_message message = begin(sender);
    Histrio__V1__Load load = HISTRIO__V1__LOAD__INIT;
    load.actors = counters->actors;
    load.mailbox_depth = counters->mailbox_depth;
    load.messages = counters->messages;
    load.restarts = counters->restarts;
    load.dead_letters = counters->dead_letters;
    load.busy_permille = counters->busy_permille;
    load.memory_bytes = memory_bytes;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LOAD;
    message.load = &load;
    return pack(&message);
}

struct rpc_buffer *convert_drained(const struct convert_sender *sender)
{
    proto_message message = begin(sender);
    Histrio__V1__Drained drained = HISTRIO__V1__DRAINED__INIT;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_DRAINED;
    message.drained = &drained;
    return pack(&message);
}

struct rpc_buffer *convert_refused(const struct convert_sender *sender, enum refusal refusal, const char *why)
{
    SCRATCH(scratch);
    proto_message message = begin(sender);
    Histrio__V1__Refused refused = HISTRIO__V1__REFUSED__INIT;
    refused.reason = refusal_number(refusal);
    refused.text = text(&scratch, why);
    refused.highest_term = sender->term;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_REFUSED;
    message.refused = &refused;
    return pack(&message);
}

struct rpc_buffer *convert_acknowledged(const struct convert_sender *sender, uint64_t roster_version,
    uint64_t route_version, int64_t configuration_generation)
{
    proto_message message = begin(sender);
    Histrio__V1__Acknowledged acknowledged = HISTRIO__V1__ACKNOWLEDGED__INIT;
    acknowledged.roster_version = roster_version;
    acknowledged.route_version = route_version;
    acknowledged.configuration_generation = configuration_generation;
    message.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_ACKNOWLEDGED;
    message.acknowledged = &acknowledged;
    return pack(&message);
}
