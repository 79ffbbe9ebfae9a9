#include "unit/core/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "types/status.h"
#include "types/system.h"
#include "types/unit.h"

enum { SETTLE_MAX = 1000 };

/* The core's module does not see the manifest's decoder: "name", or "name*replicas", separated by blanks.
 * extra is the intensity's restarts, "" for 5. */
struct system_spec *stage_spec(uint32_t nodes, const char *entries, const char *extra)
{
    struct system_spec *spec = system_spec_new();
    char *copy = xstrdup(entries);
    char *rest = copy;
    spec->name = xstrdup("bank");
    spec->generation = 1;
    spec->nodes.replicas = nodes;
    spec->nodes.update_max_surge = 1;
    spec->nodes.drain_timeout_ms = 1000;
    spec->supervision.intensity.restarts = extra[0] ? (uint32_t)(extra[0] - '0') : 5;
    spec->supervision.intensity.period_ms = 10000;
    spec->supervision.backoff.initial_ms = 100;
    spec->supervision.backoff.max_ms = 30000;
    spec->failure.node_lease_ms = 3000;
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
        struct entry_spec *entry = vec_push_new(&spec->entries);
        char *star = strchr(word, '*');
        entry->index = spec->entries.count - 1;
        entry->replicas = 1;
        if (star) {
            entry->has_replicas = true;
            entry->replicas = (uint32_t)(star[1] - '0');
            *star = '\0';
        }
        entry->root.name = xstrdup(word);
        entry->root.under = xstrdup("");
        entry->root.behavior_c = xasprintf("l.%s", word);
    }
    free(copy);
    return spec;
}

static void tell_time(struct stage *stage)
{
    core_set_time(stage->core, stage->now_ms, 1000000 + stage->now_ms);
}

void stage_start(
    struct stage *stage, struct system_spec *spec_take, const struct fence_record *record, const char *uid)
{
    struct core_options options = {.system_uid = uid, .seed = 7, .cannot_kill = stage->is_cluster};
    str_init(&stage->log, 1024 * 1024);
    if (!stage->next_uid)
        stage->next_uid = 100;
    stage->core = core_new(&options, spec_take, record);
    system_spec_unref(spec_take);
    tell_time(stage);
    core_template_changed(stage->core, stage->template_hash);
}

void stage_next_leader(struct stage *stage, struct system_spec *spec_take)
{
    struct fence_record record;
    fence_record_copy(&record, &stage->disk);
    core_free(stage->core);
    str_done(&stage->log);
    stage_start(stage, spec_take, &record, record.system_uid);
    fence_record_done(&record);
    if (!stage->is_cluster)
        return;
    vec_for_each (node, &stage->nodes)
        stage_find(stage, node);
    core_nodes_listed(stage->core);
}

struct system_spec *stage_spec_again(struct stage *stage, uint32_t nodes, const char *entries)
{
    struct system_spec *spec = stage_spec(nodes, entries, "");
    spec->generation = core_spec(stage->core)->generation + 1;
    return spec;
}

void stage_change(struct stage *stage, struct system_spec *spec_take)
{
    core_spec_changed(stage->core, spec_take);
    system_spec_unref(spec_take);
}

void stage_done(struct stage *stage)
{
    core_free(stage->core);
    fence_record_done(&stage->disk);
    vec_for_each (node, &stage->nodes)
        vec_done(&node->units);
    vec_done(&stage->nodes);
    str_done(&stage->log);
}

void stage_forget(struct stage *stage)
{
    str_clear(&stage->log);
}

struct stage_node *stage_node(struct stage *stage, const char *name)
{
    vec_for_each (node, &stage->nodes)
        if (text_equal(node->name, name))
            return node;
    return NULL;
}

static struct stage_node *node_of(struct stage *stage, uint64_t uid)
{
    vec_for_each (node, &stage->nodes)
        if (node->uid == uid && uid && !node->is_cut)
            return node;
    return NULL;
}

struct stage_unit *stage_unit(struct stage_node *node, const char *name)
{
    vec_for_each (unit, &node->units)
        if (text_equal(unit->name, name))
            return unit;
    return NULL;
}

struct stage_node *stage_holder(struct stage *stage, const char *name)
{
    vec_for_each (node, &stage->nodes) {
        const struct stage_unit *unit = stage_unit(node, name);
        if (unit && unit->state == CORE_UNIT_RUNNING)
            return node;
    }
    return NULL;
}

void stage_inventory(struct stage *stage, struct stage_node *node)
{
    struct core_held_unit *held = xcalloc(node->units.count + 1, sizeof(*held));
    struct core_seen_epoch *seen = xcalloc(node->units.count + 1, sizeof(*seen));
    struct core_held_actor actor = {.path = "a", .incarnation = 4, .state = "Running", .behavior = "l.a"};
    struct core_inventory inventory = {
        .is_full = true, .roster_version = node->roster_version, .units = held, .seen = seen};
    vec_for_each (unit, &node->units) {
        seen[inventory.seen_count++] = (struct core_seen_epoch){unit->name, unit->epoch};
        if (unit->state == CORE_UNIT_RUNNING || unit->state == CORE_UNIT_STOPPED)
            held[inventory.unit_count++] = (struct core_held_unit){.unit = unit->name,
                .epoch = unit->epoch,
                .generation = unit->generation,
                .state = unit->state,
                .reason = "as told",
                .actors = &actor,
                .actor_count = text_equal(unit->name, "a")};
    }
    core_node_inventory(stage->core, node->uid, &inventory);
    free(held);
    free(seen);
}

void stage_connect(struct stage *stage, struct stage_node *node)
{
    struct core_hello hello = {.node = node->name,
        .uid = node->uid,
        .pod_uid = "p",
        .kube_node = "",
        .zone = "",
        .link_address = "l",
        .gateway_address = "g",
        .term = node->term};
    core_node_connected(stage->core, &hello);
}

void stage_find(struct stage *stage, const struct stage_node *node)
{
    struct core_node_facts facts = {.node = node->name,
        .pod_uid = "p",
        .template_hash = node->template_hash,
        .index = (int32_t)node->index};
    core_node_found(stage->core, &facts);
}

void stage_cut(struct stage *stage, struct stage_node *node)
{
    node->is_cut = true;
    core_node_disconnected(stage->core, node->uid);
}

void stage_kill(
    struct stage *stage, struct stage_node *node, const struct core_node_exit *how, bool stays_down)
{
    uint64_t uid = node->uid;
    node->uid = 0;
    node->units.count = 0;
    node->roster_version = 0;
    core_node_exited(stage->core, node->name, uid, how);
    if (stays_down)
        return;
    node->uid = stage->next_uid++;
    core_node_started(stage->core, node->name, node->uid, 1);
    stage_connect(stage, node);
}

/* What is to be done when the plan is no longer needed. */
struct todo {
    enum core_action_kind kind;
    uint64_t uid;
    uint64_t epoch;
    uint64_t version;
    int64_t generation;
    uint32_t index;
    bool is_forced;
    char name[STAGE_NAME_BYTES];
    char template_hash[STAGE_NAME_BYTES];
};

static void create_node(struct stage *stage, const struct todo *todo)
{
    struct stage_node *node = vec_push_new(&stage->nodes);
    (void)snprintf(node->name, sizeof(node->name), "%s", todo->name);
    (void)snprintf(node->template_hash, sizeof(node->template_hash), "%s", todo->template_hash);
    node->index = todo->index;
    node->uid = stage->next_uid++;
    if (stage->is_cluster)
        stage_find(stage, node);
    else
        core_node_started(stage->core, node->name, node->uid, 1);
    stage_connect(stage, node);
}

static void delete_node(struct stage *stage, const char *name, bool is_forced)
{
    struct stage_node *node = stage_node(stage, name);
    if (node && node->is_cut && !is_forced)
        return; /* nobody is there to end it */
    if (node && stage->is_cluster && !node->is_cut && node->uid) {
        node->uid = 0;
        core_node_ended(stage->core, node->name, NULL, NULL);
    }
    char *copy = xstrdup(name); /* the action's text ends with the next event */
    if (node) {
        vec_done(&node->units);
        vec_remove_at(&stage->nodes, (size_t)(node - stage->nodes.items));
    }
    core_node_gone(stage->core, copy, 0, NULL);
    free(copy);
}

static struct stage_unit *put_unit(struct stage_node *node, const char *name)
{
    struct stage_unit *unit = stage_unit(node, name);
    if (!unit) {
        unit = vec_push_new(&node->units);
        (void)snprintf(unit->name, sizeof(unit->name), "%s", name);
    }
    return unit;
}

static void take_assignment(struct stage *stage, struct stage_node *node, const struct todo *todo)
{
    enum core_refusal refusal = CORE_REFUSAL_NONE;
    struct stage_unit *unit = put_unit(node, todo->name);
    unit->epoch = todo->epoch;
    unit->generation = todo->generation;
    unit->state = CORE_UNIT_RUNNING;
    if (text_equal(stage->start_fails, todo->name)) {
        unit->state = CORE_UNIT_FAILED;
        refusal = CORE_REFUSAL_START_FAILED;
    }
    core_node_assigned(stage->core, node->uid, todo->name, todo->epoch, refusal, todo->epoch, "no start");
}

static void take_revocation(struct stage *stage, struct stage_node *node, const struct todo *todo)
{
    struct stage_unit *unit = put_unit(node, todo->name);
    unit->state = CORE_UNIT_FAILED;
    unit->epoch = todo->epoch;
    core_node_revoked(stage->core, node->uid, todo->name, todo->epoch, CORE_REFUSAL_NONE, todo->epoch);
}

static void do_fence(struct stage *stage, const struct todo *todo)
{
    if (stage->keeps_fence)
        return;
    if (stage->fails_fence)
        core_fence_failed(stage->core, todo->version, "no space left");
    else
        core_fence_written(stage->core, todo->version);
}

static void do_it(struct stage *stage, const struct todo *todo)
{
    struct stage_node *node = node_of(stage, todo->uid);
    if (todo->kind == CORE_WRITE_FENCE)
        do_fence(stage, todo);
    else if (todo->kind == CORE_CREATE_NODE && !stage->creates_no_nodes)
        create_node(stage, todo);
    else if (todo->kind == CORE_DELETE_NODE)
        delete_node(stage, todo->name, todo->is_forced);
    else if (todo->kind == CORE_REQUEST_INVENTORY && node)
        stage_inventory(stage, node);
    else if (todo->kind == CORE_ASSIGN && node && !stage->keeps_assignments)
        take_assignment(stage, node, todo);
    else if (todo->kind == CORE_REVOKE && node && !stage->keeps_revocations)
        take_revocation(stage, node, todo);
    else if (todo->kind == CORE_DRAIN && node && !stage->keeps_drains)
        core_node_drained(stage->core, node->uid);
    else if (todo->kind == CORE_SEND_CONFIGURATION && node)
        core_node_acknowledged(stage->core, node->uid, 0, 0, todo->generation);
    else if (todo->kind == CORE_SEND_ROSTER && node) {
        node->roster_version = todo->version;
        core_node_acknowledged(stage->core, node->uid, node->roster_version, 0, 0);
    }
}

static const char *const action_names[] = {"write", "create", "delete", "configure", "ask", "roster",
    "routes", "dead", "assign", "revoke", "drain", "event", "status", "stopped", "lost"};

static void log_action(struct stage *stage, const struct core_action *action, const char *name)
{
    const struct stage_node *node = node_of(stage, action->uid);
    if (action->kind == CORE_STATUS_CHANGED)
        return;
    str_append(&stage->log, action_names[action->kind]);
    if (action->kind == CORE_EVENT)
        str_appendf(&stage->log, " %s %s", action->reason, action->text);
    else if (name[0])
        str_appendf(&stage->log, " %s%s", name, action->is_forced ? " forced" : "");
    if (node)
        str_appendf(&stage->log, " %s", node->name);
    str_append_char(&stage->log, '\n');
}

static bool plan_once(struct stage *stage)
{
    struct core_plan plan;
    struct todo todos[CORE_ACTIONS_MAX];
    size_t count = 0;
    tell_time(stage);
    core_plan(stage->core, &plan);
    stage->wake_at_ms = plan.wake_at_ms;
    for (size_t i = 0; i < plan.count; i++) {
        const struct core_action *action = &plan.actions[i];
        struct todo *todo = &todos[count++];
        const char *name = action->unit_name ? action->unit_name : action->node ? action->node : "";
        *todo = (struct todo){.kind = action->kind, .uid = action->uid, .epoch = action->epoch};
        todo->index = action->index;
        todo->is_forced = action->is_forced;
        todo->generation = action->generation;
        if (action->template_hash)
            (void)snprintf(todo->template_hash, sizeof(todo->template_hash), "%s", action->template_hash);
        todo->version = action->kind == CORE_WRITE_FENCE ? action->write : action->version;
        if (action->roster)
            todo->version = action->roster->version;
        if (action->unit)
            todo->generation = action->unit->generation;
        (void)snprintf(todo->name, sizeof(todo->name), "%s", name);
        log_action(stage, action, todo->name);
        if (action->kind == CORE_WRITE_FENCE && !stage->keeps_fence && !stage->fails_fence) {
            fence_record_done(&stage->disk);
            fence_record_copy(&stage->disk, action->record);
        }
        if (action->kind == CORE_WRITE_FENCE)
            stage->last_write = action->write;
        stage->is_stopped = stage->is_stopped || action->kind == CORE_STOPPED;
        stage->is_lost = stage->is_lost || action->kind == CORE_LOST;
    }
    for (size_t i = 0; i < count; i++)
        do_it(stage, &todos[i]);
    return plan.count > 0 || plan.has_more;
}

void stage_settle(struct stage *stage, int64_t ms)
{
    int64_t end = stage->now_ms + ms;
    for (int i = 0; i < SETTLE_MAX; i++) {
        if (plan_once(stage))
            continue;
        if (stage->wake_at_ms > end) {
            stage->now_ms = end;
            tell_time(stage);
            return;
        }
        stage->now_ms = stage->wake_at_ms > stage->now_ms ? stage->wake_at_ms : stage->now_ms + 1;
    }
    fail_msg("the core plans without end:\n%s", str_text(&stage->log));
}
