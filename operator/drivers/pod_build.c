#include "drivers/pod_build.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "drivers/pod_merge.h"
#include "kube/resource.h"
#include "types/system.h"

enum { GRACE_BEYOND_DRAIN_S = 10 };

/* What a podTemplate may change. Restricted Pod Security is met without one. Liveness does not look at
 * leases: a suspended node is to wait, not to be killed (failure-model.md R5). */
static const char default_spec[] =
    "{\"enableServiceLinks\": false,"
    " \"securityContext\": {\"runAsNonRoot\": true, \"runAsUser\": 65532, \"runAsGroup\": 65532,"
    "  \"fsGroup\": 65532, \"seccompProfile\": {\"type\": \"RuntimeDefault\"}},"
    " \"containers\": [{\"name\": \"node\", \"imagePullPolicy\": \"IfNotPresent\","
    "  \"terminationMessagePolicy\": \"File\","
    "  \"securityContext\": {\"allowPrivilegeEscalation\": false, \"readOnlyRootFilesystem\": true,"
    "   \"capabilities\": {\"drop\": [\"ALL\"]}},"
    "  \"readinessProbe\": {\"httpGet\": {\"path\": \"/readyz\", \"port\": \"http\"}, \"periodSeconds\": 2,"
    "   \"failureThreshold\": 2},"
    "  \"livenessProbe\": {\"httpGet\": {\"path\": \"/healthz\", \"port\": \"http\"}, \"periodSeconds\": 10,"
    "   \"initialDelaySeconds\": 10, \"timeoutSeconds\": 5, \"failureThreshold\": 3}}]}";

/* What it may not: the operator relies on it. The Secret's other items (the CA's key, the operator's
 * certificate) never reach a Pod. */
static const char forced_spec[] =
    "{\"restartPolicy\": \"Never\", \"automountServiceAccountToken\": false,"
    " \"volumes\": [{\"name\": \"histrio-tmp\", \"emptyDir\": {}}, {\"name\": \"histrio-run\", \"emptyDir\": "
    "{}}],"
    " \"containers\": [{\"name\": \"node\","
    "  \"terminationMessagePath\": \"" POD_TERMINATION_LOG "\","
    "  \"ports\": [{\"name\": \"control\", \"containerPort\": 7070, \"protocol\": \"TCP\"},"
    "   {\"name\": \"grpc\", \"containerPort\": 7071, \"protocol\": \"TCP\"},"
    "   {\"name\": \"http\", \"containerPort\": 7072, \"protocol\": \"TCP\"},"
    "   {\"name\": \"link\", \"containerPort\": 7073, \"protocol\": \"TCP\"}],"
    "  \"volumeMounts\": [{\"name\": \"histrio-tmp\", \"mountPath\": \"/tmp\"},"
    "   {\"name\": \"histrio-run\", \"mountPath\": \"/var/run/histrio\"},"
    "   {\"name\": \"histrio-tls\", \"mountPath\": \"" POD_TLS_FOLDER "\", \"readOnly\": true}],"
    "  \"env\": [{\"name\": \"HISTRIO_CONTROL_ADDRESS\", \"value\": \"0.0.0.0:7070\"},"
    "   {\"name\": \"HISTRIO_GATEWAY_ADDRESS\", \"value\": \"0.0.0.0:7071\"},"
    "   {\"name\": \"HISTRIO_HTTP_ADDRESS\", \"value\": \"0.0.0.0:7072\"},"
    "   {\"name\": \"HISTRIO_LINK_ADDRESS\", \"value\": \"0.0.0.0:7073\"},"
    "   {\"name\": \"HISTRIO_CODE_FOLDERS\", \"value\": \"" POD_CODE_FOLDER "\"},"
    "   {\"name\": \"HISTRIO_TLS_FOLDER\", \"value\": \"" POD_TLS_FOLDER "\"},"
    "   {\"name\": \"HISTRIO_TERMINATION_LOG\", \"value\": \"" POD_TERMINATION_LOG "\"},"
    "   {\"name\": \"HISTRIO_POD_IP\", \"valueFrom\": {\"fieldRef\": {\"fieldPath\": \"status.podIP\"}}},"
    "   {\"name\": \"HISTRIO_POD_UID\", \"valueFrom\": {\"fieldRef\": {\"fieldPath\": \"metadata.uid\"}}},"
    "   {\"name\": \"HISTRIO_KUBE_NODE\", \"valueFrom\": {\"fieldRef\": {\"fieldPath\": "
    "\"spec.nodeName\"}}}]}]}";

static struct json *parse(const char *text)
{
    struct json *tree = NULL;
    struct err err = {0};
    int failed = json_parse(text, strlen(text), &tree, &err);
    assert(!failed); /* ours, and covered by every test */
    (void)failed;
    return tree;
}

char *pod_tls_secret_name(const char *system)
{
    return xasprintf("%s-histrio-tls", system);
}

static void add_env(struct json *container, const char *name, const char *value)
{
    struct json *variable = json_add_object(json_get(container, "env"));
    (void)json_set_string(variable, "name", name);
    (void)json_set_string(variable, "value", value);
}

static void add_tls_volume(struct json *spec, const char *system)
{
    static const char *const items[] = {"ca.crt", "tls.crt", "tls.key"};
    _cleanup_(cleanup_free) char *name = pod_tls_secret_name(system);
    struct json *volume = json_add_object(json_get(spec, "volumes"));
    (void)json_set_string(volume, "name", "histrio-tls");
    struct json *secret = json_set_object(volume, "secret");
    (void)json_set_string(secret, "secretName", name);
    (void)json_set_int(secret, "defaultMode", 0440);
    struct json *list = json_set_array(secret, "items");
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        struct json *item = json_add_object(list);
        (void)json_set_string(item, "key", items[i]);
        (void)json_set_string(item, "path", items[i]);
    }
}

/* Python code from a ConfigMap is found below the code folder. */
static void add_code_volume(struct json *spec, struct json *container, const char *config_map)
{
    struct json *volume = json_add_object(json_get(spec, "volumes"));
    (void)json_set_string(volume, "name", "histrio-code");
    (void)json_set_string(json_set_object(volume, "configMap"), "name", config_map);
    struct json *mount = json_add_object(json_get(container, "volumeMounts"));
    (void)json_set_string(mount, "name", "histrio-code");
    (void)json_set_string(mount, "mountPath", POD_CODE_FOLDER "/" CODE_PYTHON_FOLDER);
    (void)json_set_bool(mount, "readOnly", true);
}

static struct json *forced(const struct pod_build *build)
{
    const struct system_spec *spec = build->spec;
    struct json *tree = parse(forced_spec);
    struct json *container = json_at(json_get(tree, "containers"), 0);
    _cleanup_(cleanup_free) char *drain = xasprintf("%" PRId64, spec->nodes.drain_timeout_ms);
    if (spec->nodes.image)
        (void)json_set_string(container, "image", spec->nodes.image);
    add_env(container, "HISTRIO_SYSTEM", build->owner.name);
    add_env(container, "HISTRIO_SYSTEM_UID", build->owner.uid);
    add_env(container, "HISTRIO_NODE_NAME", build->node);
    add_env(container, "HISTRIO_DRAIN_TIMEOUT_MS", drain);
    add_tls_volume(tree, build->owner.name);
    if (spec->code.python_config_map)
        add_code_volume(tree, container, spec->code.python_config_map);
    return tree;
}

static void add_spread(struct json *spec, const char *system)
{
    struct json *spread = json_add_object(json_set_array(spec, "topologySpreadConstraints"));
    (void)json_set_int(spread, "maxSkew", 1);
    (void)json_set_string(spread, "topologyKey", "kubernetes.io/hostname");
    (void)json_set_string(spread, "whenUnsatisfiable", "ScheduleAnyway");
    struct json *selector = json_set_object(spread, "labelSelector");
    (void)json_set_string(json_set_object(selector, "matchLabels"), API_LABEL_SYSTEM, system);
}

static struct json *build_spec(const struct pod_build *build)
{
    const struct nodes_spec *nodes = &build->spec->nodes;
    struct json *spec = parse(default_spec);
    struct json *container = json_at(json_get(spec, "containers"), 0);
    int64_t drain_s = (nodes->drain_timeout_ms + MS_PER_S - 1) / MS_PER_S;
    add_spread(spec, build->owner.name);
    (void)json_set_int(spec, "terminationGracePeriodSeconds", drain_s + GRACE_BEYOND_DRAIN_S);
    if (nodes->resources)
        (void)json_set_take(container, "resources", json_dup(nodes->resources)); /* the object owns it */
    pod_merge(spec, json_get(nodes->pod_template, "spec"));
    _cleanup_(json_freep) struct json *rest = forced(build);
    pod_merge(spec, rest);
    return spec;
}

/* Labels and annotations of the user, under ours. */
static void add_metadata(struct json *pod, const struct pod_build *build)
{
    struct json *metadata = json_get(pod, "metadata");
    const struct json *users = json_get(build->spec->nodes.pod_template, "metadata");
    _cleanup_(json_freep) struct json *ours = json_dup(json_get(metadata, "labels"));
    struct json *labels = json_set_object(metadata, "labels");
    pod_merge(labels, json_get(users, "labels"));
    pod_merge(labels, ours);
    struct json *annotations = json_set_object(metadata, "annotations");
    (void)json_set_string(annotations, API_ANNOTATION_SAFE_TO_EVICT, "true");
    pod_merge(annotations, json_get(users, "annotations"));
    char hash[POD_TEMPLATE_HASH_BYTES];
    (void)json_set_string(annotations, API_ANNOTATION_TEMPLATE_HASH, pod_template_hash(build->spec, hash));
    (void)json_set_stringf(annotations, API_ANNOTATION_INDEX, "%" PRIu32, build->index);
}

struct json *pod_build(const struct pod_build *build)
{
    struct json *pod = owned_object_new(&build->owner, &KUBE_PODS, build->node, API_NODE_APP);
    add_metadata(pod, build);
    (void)json_set_take(pod, "spec", build_spec(build)); /* the object owns it */
    return pod;
}

static void add_texts(struct json *list, char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)json_add_string(list, texts[i]);
}

char *pod_template_hash(const struct system_spec *spec, char *buffer)
{
    _cleanup_(json_freep) struct json *fields = json_object_new();
    (void)json_set_int(fields, "revision", POD_TEMPLATE_REVISION);
    (void)json_set_string(fields, "image", spec->nodes.image);
    if (spec->nodes.resources)
        (void)json_set_take(fields, "resources", json_dup(spec->nodes.resources));
    if (spec->nodes.pod_template)
        (void)json_set_take(fields, "podTemplate", json_dup(spec->nodes.pod_template));
    struct json *libraries = json_set_array(fields, "libraries");
    vec_for_each (library, &spec->code.c) {
        (void)json_add_string(libraries, library->library);
        (void)json_add_string(libraries, library->path);
    }
    (void)json_set_bool(fields, "python", spec->code.has_python);
    add_texts(
        json_set_array(fields, "pythonPath"), spec->code.python_path.items, spec->code.python_path.count);
    add_texts(json_set_array(fields, "pythonPreload"), spec->code.python_preload.items,
        spec->code.python_preload.count);
    (void)json_set_string(fields, "pythonConfigMap", spec->code.python_config_map);
    (void)json_set_uint(fields, "pythonWorkers", spec->code.python_workers);
    (void)json_set_int(fields, "pythonHandlerTimeoutMs", spec->code.python_handler_timeout_ms);
    (void)json_set_uint(fields, "pythonMemoryBytes", spec->code.python_memory_bytes);
    if (spec->code.has_c_workers) { /* else the hash is that of before there were these fields */
        (void)json_set_uint(fields, "cWorkers", spec->code.c_worker_count);
        (void)json_set_int(fields, "cHandlerTimeoutMs", spec->code.c_handler_timeout_ms);
        (void)json_set_uint(fields, "cMemoryBytes", spec->code.c_memory_bytes);
    }
    _cleanup_(cleanup_free) char *text = json_to_text(fields, JSON_COMPACT);
    (void)snprintf(buffer, POD_TEMPLATE_HASH_BYTES, "%016" PRIx64, hash_string(text)); /* fits */
    return buffer;
}
