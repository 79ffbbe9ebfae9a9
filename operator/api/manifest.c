#include "api/manifest.h"

#include "api/decode.h"
#include "api/manifest_parts.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    TEXT_BYTES_MAX = 1024,
    LIBRARIES_MAX = 64,
    PATHS_MAX = 64,
    WORKERS_MAX = 1024,
    MEMORY_BYTES_MIN = 16 * 1024 * 1024,
};

static void decode_metadata(
    struct api_problems *problems, const struct json *document, struct system_spec *spec)
{
    static const char *const known[] = {"name", "namespace", "labels", "annotations", NULL};
    const struct json *metadata = json_get(document, "metadata");
    if (!decode_object(problems, metadata, known))
        return;
    if (json_is_null(json_get(metadata, "name")))
        decode_missing(problems, json_is_null(metadata) ? document : metadata,
            json_is_null(metadata) ? "metadata.name" : "name", "give the system a name, e.g. \"bank\"");
    (void)decode_label_name(problems, metadata, "name", LIMIT_SYSTEM_NAME_BYTES, &spec->name);
    (void)decode_label_name(problems, metadata, "namespace", LIMIT_LABEL_BYTES, &spec->namespace);
}

static void decode_update(struct api_problems *problems, const struct json *nodes, struct nodes_spec *spec)
{
    static const char *const known[] = {"maxSurge", "maxUnavailable", "drainTimeout", NULL};
    const struct json *update = json_get(nodes, "update");
    if (!decode_object(problems, update, known))
        return;
    (void)decode_u32(problems, update, "maxSurge", 0, LIMIT_NODES, &spec->update_max_surge);
    (void)decode_u32(problems, update, "maxUnavailable", 0, LIMIT_NODES, &spec->update_max_unavailable);
    (void)decode_duration(problems, update, "drainTimeout", 0, 24 * HOUR_MS, &spec->drain_timeout_ms);
    if (spec->update_max_surge == 0 && spec->update_max_unavailable == 0)
        api_problems_add_at(problems, update,
            "maxSurge and maxUnavailable are both 0, so no update could begin; raise one of them");
}

/* What only Kubernetes uses is kept as it was written: the API server is the judge of it. */
static struct json *keep_object(struct api_problems *problems, const struct json *object, const char *key)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return NULL;
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(problems, node, "must be an object, not %s", json_type_name(json_type(node)));
        return NULL;
    }
    return json_dup(node);
}

/* What is merged with the operator's own part must be of its kind: anything else would vanish in silence. */
static void check_pod_template(struct api_problems *problems, const struct json *template)
{
    static const char *const lists[] = {"containers", "volumes"};
    const struct json *spec = json_get(template, "spec");
    if (!json_is_null(spec) && json_type(spec) != JSON_OBJECT)
        api_problems_add_at(problems, spec, "must be an object, not %s", json_type_name(json_type(spec)));
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct json *list = json_get(spec, lists[i]);
        if (!json_is_null(list) && json_type(list) != JSON_ARRAY)
            api_problems_add_at(problems, list, "must be a list, not %s", json_type_name(json_type(list)));
    }
}

static void decode_nodes(
    struct api_problems *problems, const struct json *spec_node, struct nodes_spec *nodes)
{
    static const char *const known[] = {
        "replicas", "image", "resources", "update", "podTemplate", "capacity", NULL};
    static const char *const capacity_known[] = {"units", NULL};
    const struct json *node = json_get(spec_node, "nodes");
    *nodes = (struct nodes_spec){.replicas = 3, .update_max_surge = 1, .drain_timeout_ms = MINUTE_MS};
    if (!decode_object(problems, node, known))
        return;
    nodes->line = json_line(node);
    (void)decode_u32(problems, node, "replicas", 0, LIMIT_NODES, &nodes->replicas);
    (void)decode_text(problems, node, "image", TEXT_BYTES_MAX, &nodes->image);
    nodes->resources = keep_object(problems, node, "resources");
    nodes->pod_template = keep_object(problems, node, "podTemplate");
    check_pod_template(problems, json_get(node, "podTemplate"));
    decode_update(problems, node, nodes);
    const struct json *capacity = json_get(node, "capacity");
    if (decode_object(problems, capacity, capacity_known))
        (void)decode_u32(problems, capacity, "units", 0, LIMIT_UNITS, &nodes->capacity_units);
}

static void decode_library(struct api_problems *problems, const struct json *node, struct code_spec *code)
{
    static const char *const known[] = {"library", "path", NULL};
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(problems, node, "must be an object {library: NAME, path: FILE}");
        return;
    }
    (void)decode_object(problems, node, known);
    struct library_spec *library = vec_push_new(&code->c);
    library->line = json_line(node);
    if (json_is_null(json_get(node, "library")))
        decode_missing(problems, node, "library", "the part of behavior names before the dot");
    if (json_is_null(json_get(node, "path")))
        decode_missing(problems, node, "path", "the file of the library, e.g. libbank.so");
    (void)decode_text(problems, node, "library", LIMIT_LABEL_BYTES, &library->library);
    (void)decode_text(problems, node, "path", TEXT_BYTES_MAX, &library->path);
    if (library->library && strchr(library->library, '.'))
        api_problems_add_at(
            problems, json_get(node, "library"), "must not hold a dot: behaviors are LIBRARY.NAME");
}

static void decode_python(struct api_problems *problems, const struct json *code_node, struct code_spec *code)
{
    static const char *const known[] = {
        "path", "preload", "workers", "configMap", "handlerTimeout", "memory", NULL};
    const struct json *node = json_get(code_node, "python");
    if (!decode_object(problems, node, known) || json_is_null(node))
        return;
    code->has_python = true;
    code->python_line = json_line(node);
    (void)decode_u32(problems, node, "workers", 1, WORKERS_MAX, &code->python_workers);
    (void)decode_label_name(problems, node, "configMap", LIMIT_LABEL_BYTES, &code->python_config_map);
    (void)decode_duration(problems, node, "handlerTimeout", 100, HOUR_MS, &code->python_handler_timeout_ms);
    (void)decode_bytes(problems, node, "memory", MEMORY_BYTES_MIN, INT64_MAX, &code->python_memory_bytes);
    json_for_each(item, decode_array(problems, node, "path", PATHS_MAX))
    {
        if (json_type(item) == JSON_STRING)
            vec_push(&code->python_path, xstrdup(json_string(item)));
        else
            api_problems_add_at(problems, item, "must be a text: a folder");
    }
    json_for_each(item, decode_array(problems, node, "preload", PATHS_MAX))
    {
        if (json_type(item) == JSON_STRING)
            vec_push(&code->python_preload, xstrdup(json_string(item)));
        else
            api_problems_add_at(problems, item, "must be a text: a module");
    }
    if (code->python_path.count == 0 && !code->python_config_map)
        vec_push(&code->python_path, xstrdup("."));
}

static void decode_c_workers(
    struct api_problems *problems, const struct json *code_node, struct code_spec *code)
{
    static const char *const known[] = {"workers", "handlerTimeout", "memory", NULL};
    const struct json *node = json_get(code_node, "cWorkers");
    if (!decode_object(problems, node, known) || json_is_null(node))
        return;
    code->has_c_workers = true;
    code->c_worker_count = 1;
    (void)decode_u32(problems, node, "workers", 1, WORKERS_MAX, &code->c_worker_count);
    (void)decode_duration(problems, node, "handlerTimeout", 100, HOUR_MS, &code->c_handler_timeout_ms);
    (void)decode_bytes(problems, node, "memory", MEMORY_BYTES_MIN, INT64_MAX, &code->c_memory_bytes);
}

static void decode_code(struct api_problems *problems, const struct json *spec_node, struct code_spec *code)
{
    static const char *const known[] = {"c", "cWorkers", "python", NULL};
    const struct json *node = json_get(spec_node, "code");
    code->python_workers = 1;
    if (!decode_object(problems, node, known))
        return;
    json_for_each(item, decode_array(problems, node, "c", LIBRARIES_MAX))
        decode_library(problems, item, code);
    decode_c_workers(problems, node, code);
    decode_python(problems, node, code);
}

void manifest_decode_intensity(
    struct api_problems *problems, const struct json *object, struct intensity_spec *intensity)
{
    static const char *const known[] = {"restarts", "period", NULL};
    const struct json *node = json_get(object, "intensity");
    if (!decode_object(problems, node, known))
        return;
    (void)decode_u32(problems, node, "restarts", 0, 1000, &intensity->restarts);
    (void)decode_duration(problems, node, "period", 1, 24 * HOUR_MS, &intensity->period_ms);
}

void manifest_decode_backoff(
    struct api_problems *problems, const struct json *object, struct backoff_spec *backoff)
{
    static const char *const known[] = {"initial", "max", NULL};
    const struct json *node = json_get(object, "backoff");
    if (!decode_object(problems, node, known))
        return;
    (void)decode_duration(problems, node, "initial", 1, HOUR_MS, &backoff->initial_ms);
    (void)decode_duration(problems, node, "max", 1, 24 * HOUR_MS, &backoff->max_ms);
    if (backoff->max_ms < backoff->initial_ms)
        api_problems_add_at(problems, node, "max is below initial; raise max");
}

static void decode_supervision(
    struct api_problems *problems, const struct json *spec_node, struct supervision_spec *supervision)
{
    static const char *const known[] = {"intensity", "backoff", NULL};
    const struct json *node = json_get(spec_node, "supervision");
    *supervision = (struct supervision_spec){{5, 10 * SECOND_MS}, {100, 30 * SECOND_MS}};
    if (!decode_object(problems, node, known))
        return;
    manifest_decode_intensity(problems, node, &supervision->intensity);
    manifest_decode_backoff(problems, node, &supervision->backoff);
}

static void decode_state(
    struct api_problems *problems, const struct json *spec_node, struct state_spec *state)
{
    static const char *const known[] = {"store", "secretRef", "onDelete", "adopt", NULL};
    static const char *const secret_known[] = {"name", NULL};
    static const char *const on_delete_names[] = {"Retain", "Delete", NULL};
    const struct json *node = json_get(spec_node, "state");
    int store = STORE_NONE;
    int on_delete = 0;
    if (!decode_object(problems, node, known))
        return;
    (void)decode_enum(problems, node, "store", store_kind_names, &store);
    (void)decode_enum(problems, node, "onDelete", on_delete_names, &on_delete);
    (void)decode_bool(problems, node, "adopt", &state->adopt);
    state->store = (enum store_kind)store;
    state->delete_with_system = on_delete == 1;
    const struct json *secret = json_get(node, "secretRef");
    if (decode_object(problems, secret, secret_known))
        (void)decode_text(problems, secret, "name", LIMIT_LABEL_BYTES * 4, &state->secret_name);
}

static void decode_failure(
    struct api_problems *problems, const struct json *spec_node, struct failure_spec *failure)
{
    static const char *const known[] = {"nodeLease", "suspendFor", "policy", NULL};
    const struct json *node = json_get(spec_node, "failure");
    int policy = FAILURE_KEEP_RUNNING;
    *failure = (struct failure_spec){.node_lease_ms = 3 * SECOND_MS, .suspend_for_ms = MINUTE_MS};
    if (!decode_object(problems, node, known))
        return;
    (void)decode_duration(problems, node, "nodeLease", SECOND_MS, MINUTE_MS, &failure->node_lease_ms);
    (void)decode_duration(problems, node, "suspendFor", 18 * SECOND_MS, HOUR_MS, &failure->suspend_for_ms);
    (void)decode_enum(problems, node, "policy", failure_policy_names, &policy);
    failure->policy = (enum failure_policy)policy;
}

static void decode_spec(struct api_problems *problems, const struct json *document,
    const struct api_checks *checks, struct system_spec *spec)
{
    static const char *const known[] = {
        "suspend", "nodes", "code", "supervision", "actors", "state", "failure", NULL};
    const struct json *node = json_get(document, "spec");
    if (json_is_null(node)) {
        decode_missing(problems, document, "spec", "what the system is made of: nodes, code, actors");
        return;
    }
    if (!decode_object(problems, node, known))
        return;
    (void)decode_bool(problems, node, "suspend", &spec->suspend);
    decode_nodes(problems, node, &spec->nodes);
    decode_code(problems, node, &spec->code);
    decode_supervision(problems, node, &spec->supervision);
    decode_state(problems, node, &spec->state);
    decode_failure(problems, node, &spec->failure);
    manifest_decode_entries(problems, node, spec);
    manifest_check(problems, node, checks, spec);
}

/* A field that must hold one text, such as kind. */
static bool expect_text(
    struct api_problems *problems, const struct json *document, const char *key, const char *expected)
{
    const struct json *node = json_get(document, key);
    if (json_is_null(node)) {
        decode_missing(problems, document, key, "must be %s", expected);
        return false;
    }
    if (json_type(node) == JSON_STRING && text_equal(json_string(node), expected))
        return true;
    if (json_type(node) == JSON_STRING)
        api_problems_add_at(problems, node, "must be %s, not '%.80s'", expected, json_string(node));
    else
        api_problems_add_at(problems, node, "must be %s, not %s", expected, json_type_name(json_type(node)));
    return false;
}

struct system_spec *manifest_decode(
    const struct json *document, const struct api_checks *checks, struct api_problems *problems)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", NULL};
    struct system_spec *spec = system_spec_new();
    size_t before = problems->items.count;
    spec->generation = 1;
    if (json_type(document) != JSON_OBJECT) {
        api_problems_add_at(problems, document, "must be an object with apiVersion, kind, metadata and spec");
    } else {
        /* Another kind has other fields: saying that all of them are unknown would only hide the one mistake.
         */
        bool is_ours = expect_text(problems, document, "kind", SYSTEM_KIND);
        is_ours = expect_text(problems, document, "apiVersion", SYSTEM_API_VERSION) && is_ours;
        if (is_ours || !json_is_null(json_get(json_get(document, "spec"), "actors"))) {
            (void)decode_object(problems, document, known);
            decode_metadata(problems, document, spec);
            decode_spec(problems, document, checks, spec);
        }
    }
    if (problems->items.count == before)
        return spec;
    api_problems_sort(problems);
    system_spec_unref(spec);
    return NULL;
}

struct system_spec *manifest_decode_documents(
    const struct json *documents, const struct api_checks *checks, struct api_problems *problems)
{
    size_t count = json_count(documents);
    if (count == 0)
        api_problems_add(problems, 0, "", "holds no document; write one ActorSystem");
    else if (count > 1)
        api_problems_add(problems, json_line(json_at(documents, 1)), "",
            "is a second document; a run takes exactly one ActorSystem");
    if (count != 1)
        return NULL;
    struct json *document = json_dup(json_at(documents, 0)); /* a root, so that paths begin at the document */
    struct system_spec *spec = manifest_decode(document, checks, problems);
    json_free(document);
    return spec;
}
