#include "node_control/convert.h"

#include "actor/spec.h"
#include "base/err.h"
#include "base/limits.h"
#include "node_control/unit_spec.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/control.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Histrio__V1__OperatorMessage proto_message;

enum {
    LIBRARIES_MAX = 1000,
    FOLDERS_MAX = 1000,
    PYTHON_WORKERS_MAX = 1024,
    C_WORKERS_MAX = 1024,
    DEAD_MAX = 100 * 1000,
    ROOT_RESTARTS_MAX = 3, /* of the supervisor above a plain root, where the operator names none */
    ROOT_PERIOD_MS = 5000,
};

void command_done(struct command *command)
{
    if (command->kind == COMMAND_ASSIGN)
        free(command->assign.spec);
    *command = (struct command){0};
}

static int check_count(size_t count, size_t maximum, const char *what, struct err *err)
{
    return count <= maximum ? 0 : err_set(err, ERR_LIMIT, "%zu %s, more than %zu", count, what, maximum);
}

static void *allocate(struct wire_arena *arena, size_t count, size_t size, struct err *err)
{
    void *memory = wire_arena_alloc(arena, count * size + 1); /* counts are bounded: no overflow */
    if (!memory)
        (void)err_set(err, ERR_LIMIT, "message needs too much memory"); /* the NULL says it */
    return memory;
}

static void take_hello(const Histrio__V1__Hello *from, struct command_hello *hello)
{
    *hello = (struct command_hello){.protocol_min = from->protocol_min,
        .protocol_max = from->protocol_max,
        .system = from->system,
        .system_uid = from->system_uid,
        .node_uid = from->node_uid,
        .credential = from->credential.data,
        .credential_size = from->credential.len,
        .software = from->software};
}

static int take_python(
    const Histrio__V1__Configuration__Python *from, struct command_python *python, struct err *err)
{
    if (check_count(from->n_paths, FOLDERS_MAX, "Python paths", err) < 0 ||
        check_count(from->n_preload, FOLDERS_MAX, "Python modules", err) < 0 ||
        check_count(from->workers, PYTHON_WORKERS_MAX, "Python workers", err) < 0)
        return -1;
    *python = (struct command_python){.paths = (const char *const *)from->paths,
        .path_count = from->n_paths,
        .preload = (const char *const *)from->preload,
        .preload_count = from->n_preload,
        .workers = from->workers,
        .handler_timeout_ms = from->handler_timeout_ms,
        .memory_bytes_max = from->memory_bytes_max};
    return 0;
}

static int take_c_workers(
    const Histrio__V1__Configuration__Workers *from, struct command_workers *workers, struct err *err)
{
    if (check_count(from->count, C_WORKERS_MAX, "worker processes", err) < 0)
        return -1;
    *workers = (struct command_workers){from->count, from->handler_timeout_ms, from->memory_bytes_max};
    return 0;
}

static int take_configuration(const Histrio__V1__Configuration *from, struct wire_arena *arena,
    struct command_configuration *configuration, struct err *err)
{
    if (check_count(from->n_libraries, LIBRARIES_MAX, "libraries", err) < 0 ||
        check_count(from->n_code_folders, FOLDERS_MAX, "code folders", err) < 0)
        return -1;
    struct command_library *libraries = allocate(arena, from->n_libraries, sizeof(*libraries), err);
    if (!libraries)
        return -1;
    for (size_t i = 0; i < from->n_libraries; i++)
        libraries[i] = (struct command_library){from->libraries[i]->name, from->libraries[i]->path};
    *configuration = (struct command_configuration){.generation = from->generation,
        .libraries = libraries,
        .library_count = from->n_libraries,
        .code_folders = (const char *const *)from->code_folders,
        .code_folder_count = from->n_code_folders,
        .lease_ms = from->lease_ms,
        .workers = from->workers,
        .has_python = from->python != NULL,
        .has_c_workers = from->c_workers != NULL};
    if (from->c_workers && take_c_workers(from->c_workers, &configuration->c_workers, err) < 0)
        return -1;
    return from->python ? take_python(from->python, &configuration->python, err) : 0;
}

static int take_roster(const Histrio__V1__RosterUpdate *from, struct wire_arena *arena,
    struct command_roster *roster, struct err *err)
{
    if (!from->current)
        return err_set(err, ERR_INVALID, "roster without its current version");
    if (check_count(from->n_members, LIMIT_NODES, "members", err) < 0 ||
        check_count(from->n_dead_uids, DEAD_MAX, "dead uids", err) < 0)
        return -1;
    struct command_member *members = allocate(arena, from->n_members, sizeof(*members), err);
    if (!members)
        return -1;
    for (size_t i = 0; i < from->n_members; i++) {
        const Histrio__V1__RosterUpdate__Member *member = from->members[i];
        members[i] = (struct command_member){
            member->node_uid, member->node_name, member->link_address, member->gateway_address};
    }
    *roster = (struct command_roster){.version = from->current->version,
        .lease_ms = from->lease_ms,
        .members = members,
        .member_count = from->n_members,
        .dead_uids = from->dead_uids,
        .dead_count = from->n_dead_uids};
    return 0;
}

static int take_routes(
    const Histrio__V1__Routes *from, struct wire_arena *arena, struct command_routes *routes, struct err *err)
{
    if (check_count(from->n_placements, LIMIT_UNITS, "placements", err) < 0)
        return -1;
    struct command_placement *placements = allocate(arena, from->n_placements, sizeof(*placements), err);
    if (!placements)
        return -1;
    for (size_t i = 0; i < from->n_placements; i++) {
        const Histrio__V1__Placement *placement = from->placements[i];
        placements[i] = (struct command_placement){placement->unit, placement->epoch, placement->node_uid};
    }
    *routes = (struct command_routes){.version = from->version,
        .is_full = from->full,
        .placements = placements,
        .placement_count = from->n_placements};
    return 0;
}

/* ---- the unit of an assign ---- */

static int take_child(
    const Histrio__V1__Child *from, bool is_root, struct actor_child_spec *child, struct err *err)
{
    const char *what = is_root ? "root" : from->name;
    const Histrio__V1__Supervisor *supervisor = from->supervisor;
    bool is_python = *from->behavior_python != 0;
    if (is_python && *from->behavior_c)
        return err_set(err, ERR_INVALID, "%s: has two behaviors", what);
    if (from->isolation > HISTRIO__V1__ISOLATION__ISOLATION_PROCESS)
        return err_set(err, ERR_INVALID, "%s: unknown isolation", what);
    *child = (struct actor_child_spec){.name = from->name,
        .under = from->under,
        .behavior = is_python           ? from->behavior_python
                    : *from->behavior_c ? from->behavior_c
                                        : NULL,
        .isolation = (enum actor_isolation)from->isolation,
        .arguments = from->arguments.data,
        .arguments_size = from->arguments.len,
        .restart = (enum actor_restart)from->restart,
        .shutdown_ms = from->shutdown_infinity ? ACTOR_SHUTDOWN_INFINITY
                       : from->shutdown_brutal ? ACTOR_SHUTDOWN_BRUTAL
                                               : from->shutdown_ms,
        .mailbox_capacity = from->mailbox_capacity,
        .overflow = (enum actor_overflow)from->mailbox_overflow,
        .drop_mailbox_on_restart = from->mailbox_on_restart == HISTRIO__V1__ON_RESTART__ON_RESTART_DROP,
        .is_supervisor = !is_python && !*from->behavior_c};
    /* A unit's root may be a worker with an intensity: that of the supervisor that the runtime puts above it.
     */
    if (supervisor) {
        child->strategy = (enum actor_strategy)supervisor->strategy;
        child->restarts_max = supervisor->restarts_max;
        child->period_ms = supervisor->period_ms;
        child->backoff_initial_ms = supervisor->backoff_initial_ms;
        child->backoff_max_ms = supervisor->backoff_max_ms;
    }
    return 0;
}

static int take_unit(const Histrio__V1__UnitSpec *from, struct actor_unit_spec **ret_spec, struct err *err)
{
    struct actor_child_spec children[LIMIT_CHILDREN];
    struct actor_unit_spec spec = {.name = from->name, .generation = from->generation, .children = children};
    if (!from->root)
        return err_set(err, ERR_INVALID, "unit without a root");
    if (from->shards > 0 || from->durable)
        return err_set(err, ERR_UNAVAILABLE, "keyed and durable actors are not supported by this node yet");
    if (check_count(from->n_children, LIMIT_CHILDREN, "children", err) < 0 ||
        take_child(from->root, true, &spec.root, err) < 0)
        return -1;
    if (!spec.root.is_supervisor && spec.root.period_ms == 0) {
        spec.root.restarts_max = ROOT_RESTARTS_MAX;
        spec.root.period_ms = ROOT_PERIOD_MS;
    }
    for (size_t i = 0; i < from->n_children; i++)
        if (take_child(from->children[i], false, &children[i], err) < 0)
            return -1;
    spec.child_count = from->n_children;
    if (unit_spec_check(&spec, err) < 0)
        return -1;
    *ret_spec = spec_dup(&spec);
    return 0;
}

static int take_assign(const Histrio__V1__Assign *from, struct command *command, struct err *err)
{
    struct err unit_err = {0};
    struct actor_unit_spec *spec = NULL;
    /* Without a name there is nobody to answer for. */
    if (!from->unit || !*from->unit->name || strlen(from->unit->name) > LIMIT_ADDRESS_BYTES ||
        from->epoch == 0)
        return err_set(err, ERR_INVALID, "assign without a unit or an epoch");
    command->assign = (struct assignment_request){.unit = from->unit->name,
        .epoch = from->epoch,
        .node_uid = from->node_uid,
        .generation = from->unit->generation};
    if (from->store_claim || from->source_uid)
        (void)err_set(
            &unit_err, ERR_UNAVAILABLE, "moves and store claims are not supported by this node yet");
    else
        (void)take_unit(from->unit, &spec, &unit_err); /* spec says whether it worked */
    command->assign.spec = spec;
    if (!spec) {
        (void)snprintf(command->spec_error, sizeof(command->spec_error), "%s", unit_err.text); /* same size */
        command->assign.spec_error = command->spec_error;
        command->assign.spec_refusal =
            unit_err.kind == ERR_UNAVAILABLE ? REFUSAL_START_FAILED : REFUSAL_OF_BAD_SPEC;
    }
    return 0;
}

static int take_revoke(const Histrio__V1__Revoke *from, struct command_revoke *revoke, struct err *err)
{
    if (!*from->unit || strlen(from->unit) > LIMIT_ADDRESS_BYTES || from->epoch == 0)
        return err_set(err, ERR_INVALID, "revoke without a unit or an epoch");
    *revoke = (struct command_revoke){from->unit, from->epoch, from->node_uid};
    return 0;
}

static int take_block(const Histrio__V1__Block *from, struct command_block *block, struct err *err)
{
    if (!from->round)
        return err_set(err, ERR_INVALID, "block without its round");
    *block = (struct command_block){from->node_uid, from->round->term, from->round->counter};
    return 0;
}

static int take_body(
    const proto_message *message, struct wire_arena *arena, struct command *command, struct err *err)
{
    switch (message->body_case) {
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_HELLO:
        command->kind = COMMAND_HELLO;
        take_hello(message->hello, &command->hello);
        return 0;
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_CONFIGURATION:
        command->kind = COMMAND_CONFIGURATION;
        return take_configuration(message->configuration, arena, &command->configuration, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROSTER:
        command->kind = COMMAND_ROSTER;
        return take_roster(message->roster, arena, &command->roster, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_ASSIGN:
        command->kind = COMMAND_ASSIGN;
        return take_assign(message->assign, command, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_REVOKE:
        command->kind = COMMAND_REVOKE;
        return take_revoke(message->revoke, &command->revoke, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO:
        command->kind = COMMAND_ECHO;
        command->echo = (struct command_echo){message->echo->node_uid, message->echo->nonce};
        return 0;
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_BLOCK:
        command->kind = COMMAND_BLOCK;
        return take_block(message->block, &command->block, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROUTES:
        command->kind = COMMAND_ROUTES;
        return take_routes(message->routes, arena, &command->routes, err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_DEAD:
        command->kind = COMMAND_DEAD;
        command->dead = (struct command_dead){message->dead->node_uids, message->dead->n_node_uids};
        return check_count(command->dead.count, DEAD_MAX, "dead uids", err);
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_DRAIN:
        command->kind = COMMAND_DRAIN;
        command->drain_timeout_ms = message->drain->timeout_ms;
        return 0;
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY: command->kind = COMMAND_INVENTORY; return 0;
    case HISTRIO__V1__OPERATOR_MESSAGE__BODY__NOT_SET:
    case _HISTRIO__V1__OPERATOR_MESSAGE__BODY__CASE_IS_INT_SIZE: break;
    }
    command->kind = COMMAND_UNKNOWN;
    return 0;
}

int convert_command(
    const uint8_t *data, size_t size, struct wire_arena *arena, struct command *ret_command, struct err *err)
{
    ProtobufCMessage *message = NULL;
    *ret_command = (struct command){0}; /* also on failure: the caller calls command_done() in any case */
    if (wire_unpack(&histrio__v1__operator_message__descriptor, data, size, LIMIT_FRAME_BYTES, arena,
            &message, err) < 0)
        return -1;
    ret_command->term = ((proto_message *)message)->term;
    return take_body((proto_message *)message, arena, ret_command, err);
}
