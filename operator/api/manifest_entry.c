#include "api/decode.h"
#include "api/manifest_parts.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "types/system.h"

enum {
    SECOND_MS = 1000,
    HOUR_MS = 60 * 60 * SECOND_MS,
    SHUTDOWN_DEFAULT_MS = 5 * SECOND_MS,
    SHARDS_DEFAULT = 64,
    SHARDS_MAX = 4096,
    PASSIVATE_DEFAULT_MS = 10 * 60 * SECOND_MS,
    SNAPSHOT_DEFAULT = 100,
    ARGUMENTS_BYTES_MAX = 256 * 1024,
    ANTI_AFFINITY_MAX = 64,
};

static const char *const entry_known[] = {"name", "replicas", "placement", "supervisor", "children",
    "behavior", "restart", "args", "shutdown", "isolation", "mailbox", "keyed", "state", NULL};
static const char *const child_known[] = {
    "name", "under", "supervisor", "behavior", "restart", "args", "shutdown", "isolation", "mailbox", NULL};

static void decode_supervisor(
    struct api_problems *problems, const struct json *object, struct supervisor_spec *supervisor)
{
    static const char *const known[] = {"strategy", "intensity", "backoff", NULL};
    const struct json *node = json_get(object, "supervisor");
    int strategy = STRATEGY_ONE_FOR_ONE;
    *supervisor = (struct supervisor_spec){STRATEGY_ONE_FOR_ONE, {3, 5 * SECOND_MS}, {0, 0}};
    if (!decode_object(problems, node, known))
        return;
    (void)decode_enum(problems, node, "strategy", child_strategy_names, &strategy);
    supervisor->strategy = (enum child_strategy)strategy;
    manifest_decode_intensity(problems, node, &supervisor->intensity);
    if (json_is_null(json_get(node, "backoff")))
        return; /* restarts do not wait */
    supervisor->backoff = (struct backoff_spec){100, 30 * SECOND_MS};
    manifest_decode_backoff(problems, node, &supervisor->backoff);
}

static void decode_mailbox(
    struct api_problems *problems, const struct json *object, struct mailbox_spec *mailbox)
{
    static const char *const known[] = {"capacity", "overflow", "onRestart", NULL};
    const struct json *node = json_get(object, "mailbox");
    int overflow = OVERFLOW_WAIT;
    int on_restart = MAILBOX_KEEP;
    if (!decode_object(problems, node, known))
        return;
    (void)decode_u32(problems, node, "capacity", 0, LIMIT_MAILBOX_CAPACITY, &mailbox->capacity);
    bool has_overflow = decode_enum(problems, node, "overflow", mailbox_overflow_names, &overflow);
    (void)decode_enum(problems, node, "onRestart", mailbox_on_restart_names, &on_restart);
    if (has_overflow && overflow != OVERFLOW_WAIT && mailbox->capacity == 0)
        api_problems_add_at(
            problems, json_get(node, "overflow"), "has no effect without a capacity; set mailbox.capacity");
    mailbox->overflow = (enum mailbox_overflow)overflow;
    mailbox->on_restart = (enum mailbox_on_restart)on_restart;
}

static bool is_name_part(const char *text, size_t size, const char *extra)
{
    for (size_t i = 0; i < size; i++) {
        char letter = text[i];
        bool is_fine = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '_' || strchr(extra, letter) != NULL;
        if (!is_fine)
            return false;
    }
    return size > 0;
}

static void check_behavior_c(struct api_problems *problems, const struct json *node, const char *name)
{
    const char *point = strchr(name, '.');
    if (!point || !is_name_part(name, (size_t)(point - name), "-") ||
        !is_name_part(point + 1, strlen(point + 1), "-."))
        api_problems_add_at(problems, node, "must be LIBRARY.NAME, e.g. \"bank.teller\"");
}

static void check_behavior_python(struct api_problems *problems, const struct json *node, const char *name)
{
    const char *colon = strchr(name, ':');
    if (!colon || !is_name_part(name, (size_t)(colon - name), ".") ||
        !is_name_part(colon + 1, strlen(colon + 1), "."))
        api_problems_add_at(problems, node, "must be MODULE:CLASS, e.g. \"bank:Teller\"");
}

static void decode_behavior(
    struct api_problems *problems, const struct json *object, struct child_spec *child)
{
    static const char *const known[] = {"c", "python", NULL};
    const struct json *node = json_get(object, "behavior");
    if (json_is_null(node) || !decode_object(problems, node, known))
        return;
    bool has_c = !json_is_null(json_get(node, "c"));
    bool has_python = !json_is_null(json_get(node, "python"));
    if (has_c == has_python)
        api_problems_add_at(
            problems, node, "must have exactly one of c: LIBRARY.NAME and python: MODULE:CLASS");
    if (decode_text(problems, node, "c", LIMIT_BEHAVIOR_NAME_BYTES, &child->behavior_c))
        check_behavior_c(problems, json_get(node, "c"), child->behavior_c);
    if (decode_text(problems, node, "python", LIMIT_BEHAVIOR_NAME_BYTES, &child->behavior_python))
        check_behavior_python(problems, json_get(node, "python"), child->behavior_python);
}

static void decode_arguments(
    struct api_problems *problems, const struct json *object, struct child_spec *child)
{
    const struct json *node = json_get(object, "args");
    _cleanup_(str_done) struct str bytes = STR_INIT(ARGUMENTS_BYTES_MAX);
    struct err err = {0};
    if (json_is_null(node))
        return;
    if (json_type(node) != JSON_OBJECT && json_type(node) != JSON_ARRAY) {
        api_problems_add_at(
            problems, node, "must be an object (named arguments) or a list (positional ones)");
        return;
    }
    struct json *copy = json_dup(node); /* a root, so that an error's path is the one below args */
    if (value_from_json(copy, &bytes, &err) < 0 || str_check(&bytes, "args", &err) < 0) {
        api_problems_add_at(problems, node, "%s", err.text);
    } else {
        child->arguments_size = bytes.size;
        child->arguments = xmemdup(str_text(&bytes), bytes.size);
    }
    json_free(copy);
}

static void decode_shutdown(
    struct api_problems *problems, const struct json *object, struct child_spec *child)
{
    const struct json *node = json_get(object, "shutdown");
    const char *text = json_string(node);
    child->shutdown_ms = child->is_supervisor ? SHUTDOWN_INFINITY : SHUTDOWN_DEFAULT_MS;
    if (text_equal(text, "Brutal"))
        child->shutdown_ms = SHUTDOWN_BRUTAL;
    else if (text_equal(text, "Infinity"))
        child->shutdown_ms = SHUTDOWN_INFINITY;
    else if (!json_is_null(node) && (json_type(node) != JSON_STRING || text[0] < '0' || text[0] > '9'))
        api_problems_add_at(problems, node, "must be a duration such as \"5s\", or Brutal, or Infinity");
    else
        (void)decode_duration(problems, object, "shutdown", 1, 24 * HOUR_MS, &child->shutdown_ms);
}

static void decode_isolation(
    struct api_problems *problems, const struct json *object, struct child_spec *child)
{
    int isolation = child->behavior_python ? ISOLATION_SHARED : ISOLATION_NODE;
    (void)decode_enum(problems, object, "isolation", child_isolation_names, &isolation);
    child->isolation = (enum child_isolation)isolation;
    if (child->behavior_python && child->isolation == ISOLATION_NODE)
        api_problems_add_at(problems, json_get(object, "isolation"),
            "Node is for C behaviors; use Shared, Group or Process for Python");
}

/* What an entry and a child have in common; is_supervisor is known. */
static void decode_actor(struct api_problems *problems, const struct json *object, struct child_spec *child)
{
    int restart = RESTART_PERMANENT;
    child->line = json_line(object);
    if (json_is_null(json_get(object, "name")))
        decode_missing(problems, object, "name", "give it a name (a-z, 0-9 and '-')");
    (void)decode_label_name(problems, object, "name", LIMIT_LABEL_BYTES, &child->name);
    decode_behavior(problems, object, child);
    (void)decode_enum(problems, object, "restart", child_restart_names, &restart);
    child->restart = (enum child_restart)restart;
    decode_arguments(problems, object, child);
    decode_shutdown(problems, object, child);
    decode_isolation(problems, object, child);
    decode_mailbox(problems, object, &child->mailbox);
    decode_supervisor(problems, object, &child->supervisor);
}

static void decode_child(struct api_problems *problems, const struct json *node, struct entry_spec *entry)
{
    struct child_spec *child = vec_push_new(&entry->children);
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(problems, node, "must be an object with name and behavior");
        return;
    }
    (void)decode_object(problems, node, child_known);
    bool has_behavior = !json_is_null(json_get(node, "behavior"));
    bool has_supervisor = !json_is_null(json_get(node, "supervisor"));
    child->is_supervisor = has_supervisor && !has_behavior;
    decode_actor(problems, node, child);
    if (!decode_label_name(problems, node, "under", LIMIT_LABEL_BYTES, &child->under) && !child->under)
        child->under = xstrdup("");
    if (has_behavior && has_supervisor)
        api_problems_add_at(problems, node,
            "has both behavior and supervisor: a supervisor only supervises; use two "
            "children, the worker with under: SUPERVISOR");
    else if (!has_behavior && !has_supervisor)
        decode_missing(problems, node, "behavior",
            "say {c: LIBRARY.NAME} or {python: MODULE:CLASS}, or make it a "
            "supervisor");
    if (child->is_supervisor && (child->arguments || !json_is_null(json_get(node, "mailbox"))))
        api_problems_add_at(problems, node, "is a supervisor: args and mailbox have no meaning; remove them");
}

static void decode_placement(
    struct api_problems *problems, const struct json *object, struct placement_spec *placement)
{
    static const char *const known[] = {
        "spread", "kubeNodeSelector", "pin", "colocateWith", "antiAffinity", NULL};
    const struct json *node = json_get(object, "placement");
    int spread = SPREAD_KUBE_NODE;
    placement->line = json_line(object);
    if (!decode_object(problems, node, known) || json_is_null(node))
        return;
    placement->line = json_line(node);
    (void)decode_enum(problems, node, "spread", spread_kind_names, &spread);
    placement->spread = (enum spread_kind)spread;
    decode_labels(problems, node, "kubeNodeSelector", &placement->kube_node_selector);
    decode_labels(problems, node, "pin", &placement->pin);
    (void)decode_label_name(problems, node, "colocateWith", LIMIT_LABEL_BYTES, &placement->colocate_with);
    json_for_each(item, decode_array(problems, node, "antiAffinity", ANTI_AFFINITY_MAX))
    {
        if (json_type(item) == JSON_STRING)
            vec_push(&placement->anti_affinity, xstrdup(json_string(item)));
        else
            api_problems_add_at(problems, item, "must be the name of an entry");
    }
}

static void decode_keyed(struct api_problems *problems, const struct json *object, struct keyed_spec *keyed)
{
    static const char *const known[] = {"shards", "passivateAfter", NULL};
    const struct json *node = json_get(object, "keyed");
    *keyed = (struct keyed_spec){!json_is_null(node), SHARDS_DEFAULT, PASSIVATE_DEFAULT_MS};
    if (!decode_object(problems, node, known))
        return;
    (void)decode_u32(problems, node, "shards", 1, SHARDS_MAX, &keyed->shards);
    (void)decode_duration(
        problems, node, "passivateAfter", SECOND_MS, 99999 * (int64_t)HOUR_MS, &keyed->passivate_after_ms);
}

static void decode_durable(
    struct api_problems *problems, const struct json *object, struct durable_spec *state)
{
    static const char *const known[] = {"durable", "snapshotEvery", NULL};
    const struct json *node = json_get(object, "state");
    state->snapshot_every = SNAPSHOT_DEFAULT;
    if (!decode_object(problems, node, known))
        return;
    (void)decode_bool(problems, node, "durable", &state->is_durable);
    (void)decode_u32(problems, node, "snapshotEvery", 1, 1000 * 1000, &state->snapshot_every);
}

static void decode_entry(struct api_problems *problems, const struct json *node, struct entry_spec *entry)
{
    entry->line = json_line(node);
    entry->replicas = 1;
    entry->root.under = xstrdup("");
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(problems, node, "must be an object with name and behavior or children");
        return;
    }
    (void)decode_object(problems, node, entry_known);
    bool has_children = !json_is_null(json_get(node, "children"));
    bool has_behavior = !json_is_null(json_get(node, "behavior"));
    entry->root.is_supervisor = has_children && !has_behavior;
    decode_actor(problems, node, &entry->root);
    entry->has_replicas = decode_u32(problems, node, "replicas", 0, LIMIT_REPLICAS, &entry->replicas);
    decode_placement(problems, node, &entry->placement);
    decode_keyed(problems, node, &entry->keyed);
    decode_durable(problems, node, &entry->state);
    json_for_each(child, decode_array(problems, node, "children", LIMIT_CHILDREN))
        decode_child(problems, child, entry);
    if (has_children == has_behavior)
        api_problems_add_at(problems, node,
            has_behavior
                ? "has both behavior and children: an entry with children is a supervisor; move the behavior "
                  "into a child"
                : "needs a behavior ({c: LIBRARY.NAME} or {python: MODULE:CLASS}) or children");
    if (entry->keyed.is_keyed && (has_children || entry->has_replicas))
        api_problems_add_at(problems, json_get(node, "keyed"),
            "an entry is keyed, or has %s; remove one of them", has_children ? "children" : "replicas");
}

void manifest_decode_entries(
    struct api_problems *problems, const struct json *spec_node, struct system_spec *spec)
{
    const struct json *actors = decode_array(problems, spec_node, "actors", LIMIT_ENTRIES);
    if (json_is_null(json_get(spec_node, "actors")))
        decode_missing(problems, spec_node, "actors", "list at least one actor");
    vec_reserve(&spec->entries, json_count(actors));
    json_for_each(node, actors)
    {
        struct entry_spec *entry = vec_push_new(&spec->entries);
        entry->index = spec->entries.count - 1;
        decode_entry(problems, node, entry);
    }
}
