/* NodeMessages as events of the core. Nodes run other people's code, so nothing that they send is believed to
 * be in range: enums are checked, and what the core does with the rest is bounded by the size of a frame. */
#include "base/epoch.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "core/core.h"
#include "operator_control/control_private.h"
#include "wire/wire.h"

#include <histrio/v1/control.pb-c.h>
#include <stdlib.h>
#include <string.h>

typedef Histrio__V1__NodeMessage node_message;

int control_decode(const uint8_t *data, size_t size, struct control_event *event,
    struct control_incoming *ret_incoming, struct err *err)
{
    ProtobufCMessage *decoded = NULL;
    if (wire_unpack(&histrio__v1__node_message__descriptor, data, size, LIMIT_FRAME_BYTES, &event->arena,
            &decoded, err) < 0)
        return err_wrap(err, "message of node \"%s\"", event->node);
    const node_message *message = (const node_message *)decoded;
    event->message = decoded;
    *ret_incoming = (struct control_incoming){.node_uid = message->node_uid,
        .is_hello = message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_HELLO,
        .is_lease = message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_LEASE,
        .is_refused = message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_REFUSED};
    if (ret_incoming->is_lease)
        ret_incoming->nonce = message->lease->nonce;
    return 0;
}

/* Takes the same time wherever the first difference is. */
static bool same_secret(const ProtobufCBinaryData *theirs, const struct control_identity *ours)
{
    unsigned difference = theirs->len != ours->credential_size;
    for (size_t i = 0; i < theirs->len && i < ours->credential_size; i++)
        difference |= theirs->data[i] ^ ours->credential[i];
    return difference == 0;
}

int control_check_hello(const struct control_event *event, const struct control_identity *identity,
    const char *node, struct err *err)
{
    const node_message *message = event->message;
    const Histrio__V1__Hello *hello = message->hello->hello;
    if (!hello)
        return err_set(err, ERR_INVALID, "node \"%s\" sent an empty hello", node);
    if (strcmp(hello->system_uid, identity->system_uid) != 0 || !same_secret(&hello->credential, identity))
        return err_set(
            err, ERR_DENIED, "node \"%s\" belongs to another run of system \"%s\"", node, hello->system);
    if (strcmp(hello->node_name, node) != 0)
        return err_set(err, ERR_DENIED, "node \"%s\" says that it is \"%s\"", node, hello->node_name);
    if (hello->protocol_min > CONTROL_PROTOCOL_MAX || hello->protocol_max < CONTROL_PROTOCOL_MIN)
        return err_set(err, ERR_INVALID, "node \"%s\" speaks protocols %u to %u, this operator %d to %d",
            node, hello->protocol_min, hello->protocol_max, CONTROL_PROTOCOL_MIN, CONTROL_PROTOCOL_MAX);
    return 0;
}

static enum core_refusal refusal(Histrio__V1__RefusalReason reason)
{
    if ((int)reason < CORE_REFUSAL_NONE || (int)reason > CORE_REFUSAL_STORE_CLAIM)
        return CORE_REFUSAL_START_FAILED; /* of a newer node: a failure like any other */
    return (enum core_refusal)reason;
}

static void apply_hello(struct core *core, const node_message *message)
{
    const Histrio__V1__NodeHello *from = message->hello;
    const Histrio__V1__PreviousLife *previous = from->previous;
    struct core_hello hello = {.node = from->hello->node_name,
        .uid = message->node_uid,
        .pod_uid = from->hello->pod_uid,
        .kube_node = from->hello->kube_node,
        .zone = from->hello->zone,
        .link_address = from->link_address,
        .gateway_address = from->gateway_address,
        .cores = from->cores,
        .memory_bytes = from->memory_bytes,
        .term = message->term > UINT32_MAX ? UINT32_MAX : (uint32_t)message->term};
    if (previous) {
        hello.earlier_uids = previous->earlier_uids;
        hello.earlier_count = previous->n_earlier_uids;
        hello.previous_uid = previous->node_uid;
        hello.previous = (struct core_node_exit){.exit_code = previous->exit_code,
            .signal = previous->signal,
            .unit = previous->unit,
            .actor = previous->actor,
            .backtrace = previous->backtrace};
    }
    core_node_connected(core, &hello);
}

static bool unit_state(Histrio__V1__UnitState state, enum core_unit_state *ret_state)
{
    switch (state) {
    case HISTRIO__V1__UNIT_STATE__UNIT_STATE_STARTING: *ret_state = CORE_UNIT_STARTING; return true;
    case HISTRIO__V1__UNIT_STATE__UNIT_STATE_RUNNING: *ret_state = CORE_UNIT_RUNNING; return true;
    case HISTRIO__V1__UNIT_STATE__UNIT_STATE_STOPPING: *ret_state = CORE_UNIT_STOPPING; return true;
    case HISTRIO__V1__UNIT_STATE__UNIT_STATE_FAILED: *ret_state = CORE_UNIT_FAILED; return true;
    case HISTRIO__V1__UNIT_STATE__UNIT_STATE_STOPPED: *ret_state = CORE_UNIT_STOPPED; return true;
    case _HISTRIO__V1__UNIT_STATE_IS_INT_SIZE:
    default: return false;
    }
}

static void take_actors(const Histrio__V1__HeldUnit *from, struct core_held_actor *actors)
{
    for (size_t i = 0; i < from->n_actors; i++) {
        const Histrio__V1__HeldActor *actor = from->actors[i];
        actors[i] = (struct core_held_actor){.path = actor->path,
            .incarnation = actor->incarnation,
            .state = actor->state,
            .mailbox_depth = actor->mailbox_depth,
            .last_exit_reason = actor->last_exit_reason,
            .last_exit_at_ms = actor->last_exit_at_ms,
            .behavior = actor->behavior};
    }
}

/* False: an unknown state of a unit, which nobody may guess. */
static bool apply_inventory(struct core *core, const node_message *message)
{
    const Histrio__V1__Inventory *from = message->inventory;
    size_t actor_count = 0;
    for (size_t i = 0; i < from->n_units; i++)
        actor_count += from->units[i]->n_actors;
    struct core_held_unit *units = xcalloc(from->n_units + 1, sizeof(*units));
    struct core_held_actor *actors = xcalloc(actor_count + 1, sizeof(*actors));
    struct core_seen_epoch *seen = xcalloc(from->n_seen + 1, sizeof(*seen));
    bool is_known = true;
    size_t used = 0;
    for (size_t i = 0; i < from->n_units; i++) {
        const Histrio__V1__HeldUnit *unit = from->units[i];
        units[i] = (struct core_held_unit){.unit = unit->unit,
            .epoch = unit->epoch,
            .generation = unit->generation,
            .reason = unit->reason,
            .actors = actors + used,
            .actor_count = unit->n_actors};
        is_known &= unit_state(unit->state, &units[i].state);
        take_actors(unit, actors + used);
        used += unit->n_actors;
    }
    for (size_t i = 0; i < from->n_seen; i++)
        seen[i] = (struct core_seen_epoch){from->seen[i]->unit, from->seen[i]->epoch};
    struct core_inventory inventory = {.is_full = from->full,
        .roster_version = from->roster_version,
        .route_version = from->route_version,
        .units = units,
        .unit_count = from->n_units,
        .seen = seen,
        .seen_count = from->n_seen};
    if (is_known)
        core_node_inventory(core, message->node_uid, &inventory);
    free(units);
    free(actors);
    free(seen);
    return is_known;
}

static void apply_exits(struct core *core, const node_message *message)
{
    const Histrio__V1__Exits *from = message->exits;
    struct core_exit *exits = xcalloc(from->n_exits + 1, sizeof(*exits));
    for (size_t i = 0; i < from->n_exits; i++) {
        const Histrio__V1__ActorExit *exit = from->exits[i];
        exits[i] = (struct core_exit){.actor = exit->actor,
            .unit = exit->unit,
            .epoch = exit->epoch,
            .incarnation = exit->incarnation,
            .reason = exit->reason,
            .at_ms = exit->at_ms,
            .decision = exit->decision,
            .cause = exit->cause,
            .unit_gave_up = exit->unit_gave_up};
    }
    core_node_exits(core, message->node_uid, exits, from->n_exits, from->lost);
    free(exits);
}

static void apply_load(struct core *core, const node_message *message)
{
    const Histrio__V1__Load *from = message->load;
    struct core_load load = {.actors = from->actors,
        .mailbox_depth = from->mailbox_depth,
        .messages = from->messages,
        .restarts = from->restarts,
        .dead_letters = from->dead_letters,
        .busy_permille = from->busy_permille,
        .memory_bytes = from->memory_bytes};
    core_node_load(core, message->node_uid, &load);
}

static bool apply_message(struct core *core, const node_message *message)
{
    uint64_t uid = message->node_uid;
    if (message->term > core_term(core)) /* whatever it says: somebody else's term is known there (R0) */
        core_node_refused(core, uid, CORE_REFUSAL_NONE,
            message->term > UINT32_MAX ? UINT32_MAX : (uint32_t)message->term, "");
    switch (message->body_case) {
    case HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY: return apply_inventory(core, message);
    case HISTRIO__V1__NODE_MESSAGE__BODY_ASSIGNED:
        core_node_assigned(core, uid, message->assigned->unit, message->assigned->epoch,
            refusal(message->assigned->refusal), message->assigned->seen_epoch, message->assigned->reason);
        return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_REVOKED:
        core_node_revoked(core, uid, message->revoked->unit, message->revoked->epoch,
            refusal(message->revoked->refusal), message->revoked->seen_epoch);
        return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_EXITS: apply_exits(core, message); return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_LOAD: apply_load(core, message); return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_DRAINED: core_node_drained(core, uid); return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_REFUSED: {
        uint64_t term = message->refused->highest_term;
        core_node_refused(core, uid, refusal(message->refused->reason),
            term > UINT32_MAX ? UINT32_MAX : (uint32_t)term, message->refused->text);
        return true;
    }
    case HISTRIO__V1__NODE_MESSAGE__BODY_ACKNOWLEDGED:
        core_node_acknowledged(core, uid, message->acknowledged->roster_version,
            message->acknowledged->route_version, message->acknowledged->configuration_generation);
        return true;
    case HISTRIO__V1__NODE_MESSAGE__BODY_BLOCKED: /* nobody is blocked by this operator */
    case HISTRIO__V1__NODE_MESSAGE__BODY_HELLO:   /* the first one was enough */
    case HISTRIO__V1__NODE_MESSAGE__BODY_LEASE:   /* answered on the loop's thread */
    case HISTRIO__V1__NODE_MESSAGE__BODY__NOT_SET:
    case _HISTRIO__V1__NODE_MESSAGE__BODY__CASE_IS_INT_SIZE: return true;
    }
    return true; /* of a newer node */
}

bool control_event_apply(const struct control_event *event, struct core *core, const char **ret_text)
{
    switch (event->kind) {
    case CONTROL_CONNECTED: apply_hello(core, event->message); return true;
    case CONTROL_DISCONNECTED:
        if (event->last_echo_ms)
            core_node_echoed(core, event->uid, event->last_echo_ms);
        core_node_disconnected(core, event->uid);
        return true;
    case CONTROL_MESSAGE:
        if (apply_message(core, event->message))
            return true;
        *ret_text = "message with an unknown state of a unit is ignored";
        return false;
    case CONTROL_REFUSED: *ret_text = event->text; return false;
    }
    return true;
}
