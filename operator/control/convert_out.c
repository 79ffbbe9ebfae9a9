/* The core's actions as OperatorMessages. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/core.h"
#include "operator_control/control_private.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"
#include "wire/wire.h"

#include <assert.h>
#include <histrio/v1/control.pb-c.h>
#include <stdlib.h>
#include <string.h>

typedef Histrio__V1__OperatorMessage operator_message;

/* What a message points to while it is packed: everything comes from one arena, texts are borrowed from the
 * core. */
struct builder {
    struct wire_arena arena;
    operator_message message;
};

static void *build(struct builder *builder, size_t count, size_t size)
{
    void *memory = wire_arena_alloc(&builder->arena, (count ? count : 1) * size);
    /* Only our own structs come here, bounded by the limits of a system. */
    if (!memory)
        abort();
    memset(memory, 0, (count ? count : 1) * size);
    return memory;
}

#define BUILD(builder, type, init)                                                                           \
    __extension__({                                                                                          \
        type *built_ = build((builder), 1, sizeof(type));                                                    \
        init(built_);                                                                                        \
        built_;                                                                                              \
    })

/* protobuf-c has `char *` for texts that it only reads. */
static char *borrow(const char *text)
{
    return text ? (char *)(uintptr_t)text : (char *)(uintptr_t) "";
}

static uint64_t *borrow_uids(const uint64_t *uids)
{
    return (uint64_t *)(uintptr_t)uids;
}

/* The files of a ConfigMap are in a folder of their own among the code folders. */
static Histrio__V1__Configuration__Python *build_python(struct builder *builder, const struct code_spec *code)
{
    Histrio__V1__Configuration__Python *out =
        BUILD(builder, Histrio__V1__Configuration__Python, histrio__v1__configuration__python__init);
    out->paths = build(builder, code->python_path.count + 1, sizeof(*out->paths));
    if (code->python_config_map)
        out->paths[out->n_paths++] = borrow(CODE_PYTHON_FOLDER);
    vec_for_each (path, &code->python_path)
        out->paths[out->n_paths++] = *path;
    out->preload = code->python_preload.items;
    out->n_preload = code->python_preload.count;
    out->workers = code->python_workers;
    out->handler_timeout_ms = (uint32_t)code->python_handler_timeout_ms;
    out->memory_bytes_max = code->python_memory_bytes;
    return out;
}

static Histrio__V1__Configuration__Workers *build_c_workers(
    struct builder *builder, const struct code_spec *code)
{
    Histrio__V1__Configuration__Workers *out =
        BUILD(builder, Histrio__V1__Configuration__Workers, histrio__v1__configuration__workers__init);
    out->count = code->c_worker_count;
    out->handler_timeout_ms = (uint32_t)code->c_handler_timeout_ms;
    out->memory_bytes_max = code->c_memory_bytes;
    return out;
}

static void build_configuration(struct builder *builder, const struct system_spec *spec,
    const struct core_action *action, const char *code_folders)
{
    Histrio__V1__Configuration *out =
        BUILD(builder, Histrio__V1__Configuration, histrio__v1__configuration__init);
    size_t folders_max = 1;
    out->generation = action->generation;
    out->lease_ms = (uint32_t)spec->failure.node_lease_ms;
    out->suspend_for_ms = (uint32_t)spec->failure.suspend_for_ms;
    out->failure_policy = (Histrio__V1__FailurePolicy)spec->failure.policy;
    out->libraries = build(builder, spec->code.c.count, sizeof(*out->libraries));
    for (size_t i = 0; i < spec->code.c.count; i++) {
        Histrio__V1__Configuration__Library *library =
            BUILD(builder, Histrio__V1__Configuration__Library, histrio__v1__configuration__library__init);
        library->name = borrow(spec->code.c.items[i].library);
        library->path = borrow(spec->code.c.items[i].path);
        out->libraries[out->n_libraries++] = library;
    }
    if (spec->code.has_python)
        out->python = build_python(builder, &spec->code);
    if (spec->code.has_c_workers)
        out->c_workers = build_c_workers(builder, &spec->code);
    for (const char *at = code_folders; *at; at++)
        folders_max += *at == ':';
    out->code_folders = build(builder, folders_max, sizeof(*out->code_folders));
    while (*code_folders) {
        size_t size = strcspn(code_folders, ":");
        char *folder = build(builder, size + 1, 1);
        memcpy(folder, code_folders, size);
        if (size > 0)
            out->code_folders[out->n_code_folders++] = folder;
        code_folders += size + (code_folders[size] == ':');
    }
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_CONFIGURATION;
    builder->message.configuration = out;
}

static Histrio__V1__Roster *build_version(struct builder *builder, const struct roster *roster)
{
    Histrio__V1__Roster *out = BUILD(builder, Histrio__V1__Roster, histrio__v1__roster__init);
    out->version = roster->version;
    out->node_uids = build(builder, roster->members.count, sizeof(uint64_t));
    for (size_t i = 0; i < roster->members.count; i++)
        out->node_uids[out->n_node_uids++] = roster->members.items[i].uid;
    return out;
}

static void build_roster(
    struct builder *builder, const struct system_spec *spec, const struct core_action *action)
{
    Histrio__V1__RosterUpdate *out =
        BUILD(builder, Histrio__V1__RosterUpdate, histrio__v1__roster_update__init);
    const struct roster *roster = action->roster;
    out->current = build_version(builder, roster);
    if (action->previous)
        out->previous = build_version(builder, action->previous);
    out->members = build(builder, roster->members.count, sizeof(*out->members));
    for (size_t i = 0; i < roster->members.count; i++) {
        const struct roster_member *from = &roster->members.items[i];
        Histrio__V1__RosterUpdate__Member *member =
            BUILD(builder, Histrio__V1__RosterUpdate__Member, histrio__v1__roster_update__member__init);
        member->node_uid = from->uid;
        member->node_name = borrow(from->node);
        member->link_address = borrow(from->link_address);
        member->gateway_address = borrow(from->gateway_address);
        member->pod_uid = borrow(from->pod_uid);
        out->members[out->n_members++] = member;
    }
    out->lease_ms = (uint32_t)spec->failure.node_lease_ms;
    out->dead_uids = borrow_uids(action->dead);
    out->n_dead_uids = action->dead_count;
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROSTER;
    builder->message.roster = out;
}

static void build_routes(struct builder *builder, const struct core_action *action)
{
    Histrio__V1__Routes *out = BUILD(builder, Histrio__V1__Routes, histrio__v1__routes__init);
    out->version = action->version;
    out->full = action->is_full;
    out->placements = build(builder, action->route_count, sizeof(*out->placements));
    for (size_t i = 0; i < action->route_count; i++) {
        Histrio__V1__Placement *placement =
            BUILD(builder, Histrio__V1__Placement, histrio__v1__placement__init);
        placement->unit = borrow(action->routes[i].unit);
        placement->epoch = action->routes[i].epoch;
        placement->node_uid = action->routes[i].node_uid;
        out->placements[out->n_placements++] = placement;
    }
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROUTES;
    builder->message.routes = out;
}

/* A worker at the root carries the limits of the supervisor that the runtime puts above it. */
static Histrio__V1__Child *build_child(struct builder *builder, const struct child_spec *from, bool is_root)
{
    Histrio__V1__Child *out = BUILD(builder, Histrio__V1__Child, histrio__v1__child__init);
    out->name = borrow(from->name);
    out->under = borrow(from->under);
    out->behavior_c = borrow(from->behavior_c);
    out->behavior_python = borrow(from->behavior_python);
    out->arguments.data = from->arguments;
    out->arguments.len = from->arguments_size;
    out->restart = (Histrio__V1__Restart)from->restart;
    out->shutdown_brutal = from->shutdown_ms == SHUTDOWN_BRUTAL;
    out->shutdown_infinity = from->shutdown_ms == SHUTDOWN_INFINITY;
    out->shutdown_ms = from->shutdown_ms > 0 ? (uint32_t)from->shutdown_ms : 0;
    out->isolation = (Histrio__V1__Isolation)from->isolation;
    out->mailbox_capacity = from->mailbox.capacity;
    out->mailbox_overflow = (Histrio__V1__Overflow)from->mailbox.overflow;
    out->mailbox_on_restart = (Histrio__V1__OnRestart)from->mailbox.on_restart;
    if (from->is_supervisor || is_root) {
        out->supervisor = BUILD(builder, Histrio__V1__Supervisor, histrio__v1__supervisor__init);
        out->supervisor->strategy = (Histrio__V1__Strategy)from->supervisor.strategy;
        out->supervisor->restarts_max = from->supervisor.intensity.restarts;
        out->supervisor->period_ms = (uint32_t)from->supervisor.intensity.period_ms;
        out->supervisor->backoff_initial_ms = (uint32_t)from->supervisor.backoff.initial_ms;
        out->supervisor->backoff_max_ms = (uint32_t)from->supervisor.backoff.max_ms;
    }
    return out;
}

static void build_assign(struct builder *builder, const struct core_action *action)
{
    const struct entry_spec *entry = action->unit->entry;
    Histrio__V1__Assign *out = BUILD(builder, Histrio__V1__Assign, histrio__v1__assign__init);
    Histrio__V1__UnitSpec *unit = BUILD(builder, Histrio__V1__UnitSpec, histrio__v1__unit_spec__init);
    unit->name = borrow(action->unit->name);
    unit->generation = action->unit->generation;
    unit->root = build_child(builder, &entry->root, true);
    unit->children = build(builder, entry->children.count, sizeof(*unit->children));
    for (size_t i = 0; i < entry->children.count; i++)
        unit->children[unit->n_children++] = build_child(builder, &entry->children.items[i], false);
    if (entry->keyed.is_keyed) {
        unit->shard = action->unit->replica;
        unit->shards = entry->keyed.shards;
        unit->passivate_after_ms = (uint64_t)entry->keyed.passivate_after_ms;
    }
    unit->durable = entry->state.is_durable;
    unit->snapshot_every = entry->state.snapshot_every;
    out->unit = unit;
    out->epoch = action->epoch;
    out->node_uid = action->uid;
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ASSIGN;
    builder->message.assign = out;
}

static void build_revoke(struct builder *builder, const struct core_action *action)
{
    Histrio__V1__Revoke *out = BUILD(builder, Histrio__V1__Revoke, histrio__v1__revoke__init);
    out->unit = borrow(action->unit_name);
    out->epoch = action->epoch;
    out->node_uid = action->uid;
    out->shutdown_ms = action->shutdown_ms;
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_REVOKE;
    builder->message.revoke = out;
}

static void build_dead(struct builder *builder, const struct core_action *action)
{
    Histrio__V1__Dead *out = BUILD(builder, Histrio__V1__Dead, histrio__v1__dead__init);
    out->node_uids = borrow_uids(action->dead);
    out->n_node_uids = action->dead_count;
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_DEAD;
    builder->message.dead = out;
}

static void build_drain(struct builder *builder, const struct core_action *action)
{
    Histrio__V1__Drain *out = BUILD(builder, Histrio__V1__Drain, histrio__v1__drain__init);
    out->timeout_ms = action->timeout_ms;
    builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_DRAIN;
    builder->message.drain = out;
}

static void build_action(struct builder *builder, const struct core *core, const struct core_action *action,
    const char *code_folders)
{
    switch (action->kind) {
    case CORE_SEND_CONFIGURATION: build_configuration(builder, core_spec(core), action, code_folders); break;
    case CORE_REQUEST_INVENTORY:
        builder->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY;
        builder->message.inventory =
            BUILD(builder, Histrio__V1__InventoryRequest, histrio__v1__inventory_request__init);
        break;
    case CORE_SEND_ROSTER: build_roster(builder, core_spec(core), action); break;
    case CORE_SEND_ROUTES: build_routes(builder, action); break;
    case CORE_SEND_DEAD: build_dead(builder, action); break;
    case CORE_ASSIGN: build_assign(builder, action); break;
    case CORE_REVOKE: build_revoke(builder, action); break;
    case CORE_DRAIN: build_drain(builder, action); break;
    case CORE_WRITE_FENCE:
    case CORE_CREATE_NODE:
    case CORE_DELETE_NODE:
    case CORE_EVENT:
    case CORE_STATUS_CHANGED:
    case CORE_STOPPED:
    case CORE_LOST: assert(false); break; /* not for a node */
    }
}

static uint8_t *pack(const operator_message *message, size_t *ret_size)
{
    uint8_t *data = NULL;
    return wire_pack(message, LIMIT_FRAME_BYTES, &data, ret_size, NULL) < 0 ? NULL : data;
}

uint8_t *control_encode_action(
    const struct core *core, const struct core_action *action, const char *code_folders, size_t *ret_size)
{
    struct builder builder = {.message = HISTRIO__V1__OPERATOR_MESSAGE__INIT};
    wire_arena_init(&builder.arena, NULL, 0, CONTROL_MESSAGE_MEMORY_BYTES);
    builder.message.term = core_term(core);
    build_action(&builder, core, action, code_folders);
    uint8_t *data = pack(&builder.message, ret_size);
    wire_arena_done(&builder.arena);
    return data;
}

uint8_t *control_encode_hello(const struct control_identity *identity, uint32_t term, size_t *ret_size)
{
    operator_message message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Hello hello = HISTRIO__V1__HELLO__INIT;
    hello.protocol_min = CONTROL_PROTOCOL_MIN;
    hello.protocol_max = CONTROL_PROTOCOL_MAX;
    hello.system = identity->system;
    hello.system_uid = identity->system_uid;
    hello.credential.data = identity->credential;
    hello.credential.len = identity->credential_size;
    hello.software = identity->software;
    message.term = term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    return pack(&message, ret_size);
}

uint8_t *control_encode_echo(uint32_t term, uint64_t node_uid, uint64_t nonce, size_t *ret_size)
{
    operator_message message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__LeaseEcho echo = HISTRIO__V1__LEASE_ECHO__INIT;
    echo.node_uid = node_uid;
    echo.nonce = nonce;
    message.term = term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO;
    message.echo = &echo;
    return pack(&message, ret_size);
}
