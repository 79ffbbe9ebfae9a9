#include "api/status_json.h"

#include <inttypes.h>

#include "api/cut.h"
#include "api/names.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "types/status.h"

/* Together they keep the form for the API below 256 KiB. */
enum { NODES_MAX = 100, QUARANTINES_MAX = 100, ROW_TEXT_BYTES_MAX = 256, WORD_BYTES_MAX = 128 };

/* A text of unknown length: whoever wrote it, an object stays small. */
static void set_cut(struct json *object, const char *key, const char *text, size_t size_max)
{
    (void)json_set_stringf(object, key, "%.*s", (int)cut_size(text, size_max), text);
}

static void set_text(struct json *object, const char *key, const char *text)
{
    set_cut(object, key, text, LIMIT_STATUS_TEXT_BYTES);
}

static void set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_BYTES];
    if (wall_ms)
        (void)json_set_string(object, key, clock_format_wall(wall_ms, text));
}

static void set_epoch(struct json *object, uint64_t epoch)
{
    char text[EPOCH_TEXT_BYTES];
    (void)json_set_string(object, "epoch", epoch ? epoch_format(epoch, text) : "");
}

static void set_uid(struct json *object, uint64_t uid)
{
    if (uid)
        (void)json_set_stringf(object, "uid", "%016" PRIx64, uid);
    else
        (void)json_set_string(object, "uid", "");
}

static const char *condition_text(const struct status_condition *condition)
{
    if (condition->is_unknown)
        return "Unknown";
    return condition->is_true ? "True" : "False";
}

/* Why it is not ready, in the words of the condition that says most; nothing when it is. */
static void add_reason(struct json *json, const struct status *status)
{
    static const enum condition_kind kinds[] = {CONDITION_STALLED, CONDITION_DEGRADED, CONDITION_RECONCILING};
    const struct status_condition *told = &status->conditions[CONDITION_READY];
    bool is_ready = told->is_true;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct status_condition *condition = &status->conditions[kinds[i]];
        if (condition->is_true && condition->reason[0]) {
            told = condition;
            break;
        }
    }
    (void)json_set_string(json, "reason", is_ready ? "" : told->reason);
    set_text(json, "message", is_ready ? "" : told->message);
}

static void add_conditions(struct json *json, const struct status *status)
{
    struct json *list = json_set_array(json, "conditions");
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++) {
        const struct status_condition *condition = &status->conditions[kind];
        struct json *row = json_add_object(list);
        (void)json_set_string(row, "type", condition_kind_names[kind]);
        (void)json_set_string(row, "status", condition_text(condition));
        (void)json_set_int(row, "observedGeneration", status->observed_generation);
        (void)json_set_string(row, "reason", condition->reason);
        set_text(row, "message", condition->message);
        set_time(row, "lastTransitionTime", condition->since_wall_ms);
    }
}

static void add_node(struct json *list, const struct status_node *node)
{
    struct json *row = json_add_object(list);
    (void)json_set_string(row, "node", node->node);
    (void)json_set_string(row, "pod", node->pod);
    (void)json_set_string(row, "kubeNode", node->kube_node);
    (void)json_set_string(row, "zone", node->zone);
    (void)json_set_string(row, "state", node->state);
    set_cut(row, "reason", node->reason, WORD_BYTES_MAX);
    set_cut(row, "message", node->message, ROW_TEXT_BYTES_MAX);
    set_uid(row, node->uid);
    (void)json_set_int(row, "pid", node->pid);
    (void)json_set_uint(row, "units", node->units);
    (void)json_set_uint(row, "actors", node->actors);
    (void)json_set_uint(row, "mailboxDepth", node->mailbox_depth);
    (void)json_set_uint(row, "messages", node->messages);
    (void)json_set_uint(row, "deadLetters", node->dead_letters);
    (void)json_set_uint(row, "busyPermille", node->busy_permille);
    (void)json_set_uint(row, "memoryBytes", node->memory_bytes);
    (void)json_set_uint(row, "runtimeRestarts", node->runtime_restarts);
    (void)json_set_bool(row, "cordoned", node->is_cordoned);
    (void)json_set_bool(row, "updated", node->is_updated);
    (void)json_set_string(row, "templateHash", node->template_hash);
    (void)json_set_string(row, "linkAddress", node->link_address);
    (void)json_set_string(row, "gatewayAddress", node->gateway_address);
    set_time(row, "startedAt", node->started_wall_ms);
}

static void add_exit(struct json *list, const struct status_exit *exit, enum status_form form)
{
    struct json *row = json_add_object(list);
    (void)json_set_string(row, "actor", exit->actor);
    (void)json_set_string(row, "unit", exit->unit);
    (void)json_set_string(row, "node", exit->node);
    set_text(row, "reason", exit->reason);
    (void)json_set_string(row, "decision", exit->decision);
    (void)json_set_string(row, "cause", exit->cause);
    (void)json_set_string(row, "rule", exit->rule);
    if (form == STATUS_FOR_API)
        set_text(row, "backtrace", exit->backtrace);
    else
        (void)json_set_string(row, "backtrace", exit->backtrace);
    set_epoch(row, exit->epoch);
    (void)json_set_uint(row, "incarnation", exit->incarnation);
    set_time(row, "at", exit->at_wall_ms);
}

static void add_units(struct json *json, const struct status *status)
{
    struct json *list = json_set_array(json, "unitStatuses");
    vec_for_each (unit, &status->units) {
        struct json *row = json_add_object(list);
        (void)json_set_string(row, "unit", unit->unit);
        (void)json_set_string(row, "entry", unit->entry);
        (void)json_set_string(row, "node", unit->node);
        set_epoch(row, unit->epoch);
        (void)json_set_string(row, "state", unit->state);
        (void)json_set_string(row, "reason", unit->reason);
        (void)json_set_string(row, "rule", unit->rule);
        (void)json_set_uint(row, "restarts", unit->restarts);
    }
}

static void add_actors(struct json *json, const struct status *status)
{
    struct json *list = json_set_array(json, "actorStatuses");
    vec_for_each (actor, &status->actor_rows) {
        struct json *row = json_add_object(list);
        (void)json_set_string(row, "path", actor->path);
        (void)json_set_string(row, "unit", actor->unit);
        (void)json_set_string(row, "node", actor->node);
        (void)json_set_string(row, "state", actor->state);
        (void)json_set_string(row, "behavior", actor->behavior);
        set_epoch(row, actor->epoch);
        (void)json_set_uint(row, "incarnation", actor->incarnation);
        (void)json_set_uint(row, "mailboxDepth", actor->mailbox_depth);
        (void)json_set_string(row, "lastExit", actor->last_exit);
        set_time(row, "lastExitAt", actor->last_exit_wall_ms);
    }
}

static void add_nodes(struct json *json, const struct status *status, enum status_form form)
{
    struct json *list = json_set_array(json, "nodeStatuses");
    vec_for_each (node, &status->nodes)
        if (form == STATUS_FOR_RUN || json_count(list) < NODES_MAX)
            add_node(list, node);
    if (json_count(list) < status->nodes.count)
        (void)json_set_bool(json, "truncated", true);
}

static void add_exits(struct json *json, const struct status *status, enum status_form form)
{
    size_t first = 0;
    if (form == STATUS_FOR_API && status->exits.count > STATUS_RECENT_EXITS_MAX)
        first = status->exits.count - STATUS_RECENT_EXITS_MAX;
    struct json *list = json_set_array(json, form == STATUS_FOR_API ? "recentExits" : "exits");
    for (size_t i = first; i < status->exits.count; i++)
        add_exit(list, &status->exits.items[i], form);
}

static void add_quarantines(struct json *json, const struct status *status, enum status_form form)
{
    struct json *list = json_set_array(json, "quarantined");
    vec_for_each (quarantine, &status->quarantined) {
        if (form == STATUS_FOR_API && json_count(list) >= QUARANTINES_MAX) {
            (void)json_set_bool(json, "truncated", true);
            break;
        }
        struct json *row = json_add_object(list);
        (void)json_set_string(row, "unit", quarantine->unit);
        set_cut(row, "reason", quarantine->reason, ROW_TEXT_BYTES_MAX);
        set_time(row, "at", quarantine->at_wall_ms);
    }
}

/* For columns and for the scale subresource, which read one field each. */
static void add_counts(struct json *json, const struct status *status)
{
    struct json *units = json_set_object(json, "units");
    (void)json_set_uint(units, "desired", status->units_desired);
    (void)json_set_uint(units, "running", status->units_running);
    (void)json_set_stringf(units, "text", "%u/%u", status->units_running, status->units_desired);
    struct json *nodes = json_set_object(json, "nodes");
    (void)json_set_uint(nodes, "desired", status->nodes_desired);
    (void)json_set_uint(nodes, "ready", status->nodes_ready);
    (void)json_set_uint(nodes, "updated", status->nodes_updated);
    (void)json_set_stringf(nodes, "text", "%u/%u", status->nodes_ready, status->nodes_desired);
    (void)json_set_uint(json, "replicas", status->replicas);
    (void)json_set_stringf(json, "selector", "%s=%s", API_LABEL_SYSTEM, status->system);
}

struct json *status_to_json(const struct status *status, enum status_form form)
{
    struct json *json = json_object_new();
    (void)json_set_string(json, "system", status->system);
    (void)json_set_string(json, "systemUid", status->system_uid);
    (void)json_set_uint(json, "term", status->term);
    (void)json_set_int(json, "observedGeneration", status->observed_generation);
    set_time(json, "startedAt", status->started_wall_ms);
    add_conditions(json, status);
    add_reason(json, status);
    add_counts(json, status);
    (void)json_set_uint(json, "actors", status->actors);
    (void)json_set_uint(json, "restarts", status->restarts);
    (void)json_set_uint(json, "exitsLost", status->exits_lost);
    add_quarantines(json, status, form);
    add_nodes(json, status, form);
    if (form == STATUS_FOR_RUN) {
        add_units(json, status);
        add_actors(json, status);
    }
    add_exits(json, status, form);
    return json;
}
