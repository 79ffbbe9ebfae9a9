/* Pods from manifests: what is there by default, what a podTemplate can change and what it cannot. */
#include "suites.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "drivers/pod_build.h"
#include "drivers/pod_merge.h"
#include "types/system.h"

static struct json *parse(const char *text)
{
    struct json *tree = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &tree, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static void assert_merged(const char *base, const char *over, const char *expected)
{
    struct json *tree = parse(base);
    struct json *above = parse(over);
    pod_merge(tree, above);
    char *text = json_to_text(tree, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_free(tree);
    json_free(above);
}

static void test_merge(void **state)
{
    (void)state;
    assert_merged("{\"a\":1,\"b\":{\"c\":2}}", "{\"b\":{\"d\":3}}", "{\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    assert_merged("{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}");
    assert_merged("{\"args\":[1,2]}", "{\"args\":[3]}", "{\"args\":[3]}");
    assert_merged("{\"env\":[{\"name\":\"a\",\"value\":\"1\"}]}",
        "{\"env\":[{\"name\":\"b\"},{\"name\":\"a\",\"value\":\"2\"}]}",
        "{\"env\":[{\"name\":\"a\",\"value\":\"2\"},{\"name\":\"b\"}]}");
    assert_merged("{\"volumeMounts\":[{\"mountPath\":\"/tmp\",\"name\":\"a\"}]}",
        "{\"volumeMounts\":[{\"mountPath\":\"/tmp\",\"name\":\"b\"}]}",
        "{\"volumeMounts\":[{\"mountPath\":\"/tmp\",\"name\":\"b\"}]}");
    /* Items without a name are added, and what is no list or object is replaced, whatever was there. */
    assert_merged("{\"env\":[{\"name\":\"a\"}]}", "{\"env\":[1,{}]}", "{\"env\":[{\"name\":\"a\"},1,{}]}");
    assert_merged("{\"env\":[1],\"b\":{}}", "{\"env\":\"x\",\"b\":[]}", "{\"env\":\"x\",\"b\":[]}");
}

static struct system_spec *make_spec(const char *pod_template)
{
    struct system_spec *spec = system_spec_new();
    spec->name = xstrdup("bank");
    spec->nodes.image = xstrdup("example/bank:1");
    spec->nodes.drain_timeout_ms = 60000;
    if (pod_template)
        spec->nodes.pod_template = parse(pod_template);
    return spec;
}

static struct json *make_pod(const struct system_spec *spec)
{
    struct pod_build build = {spec, {"here", "bank", "uid-1"}, "bank-nodes-7", 2};
    return pod_build(&build);
}

static const struct json *named(const struct json *list, const char *name)
{
    json_for_each(item, list) if (text_equal(json_string(json_get(item, "name")), name)) return item;
    fail_msg("no \"%s\"", name);
    return NULL;
}

static const struct json *container(const struct json *pod)
{
    return named(json_get(json_get(pod, "spec"), "containers"), "node");
}

static const char *environment(const struct json *pod, const char *name)
{
    return json_string(json_get(named(json_get(container(pod), "env"), name), "value"));
}

static void test_pod_by_default(void **state)
{
    struct system_spec *spec = make_spec(NULL);
    struct json *pod = make_pod(spec);
    const struct json *metadata = json_get(pod, "metadata");
    const struct json *body = json_get(pod, "spec");
    const struct json *security = json_get(container(pod), "securityContext");
    char hash[POD_TEMPLATE_HASH_BYTES];
    (void)state;
    assert_string_equal(json_string(json_get(pod, "kind")), "Pod");
    assert_string_equal(json_string(json_get(metadata, "name")), "bank-nodes-7");
    assert_string_equal(json_string(json_get(metadata, "namespace")), "here");
    const struct json *owner = json_at(json_get(metadata, "ownerReferences"), 0);
    assert_string_equal(json_string(json_get(owner, "uid")), "uid-1");
    assert_true(json_bool(json_get(owner, "controller")));
    const struct json *labels = json_get(metadata, "labels");
    assert_string_equal(json_string(json_get(labels, "histrio.dev/system")), "bank");
    assert_string_equal(json_string(json_get(labels, "app.kubernetes.io/managed-by")), "histrio-operator");
    const struct json *annotations = json_get(metadata, "annotations");
    assert_string_equal(
        json_string(json_get(annotations, "histrio.dev/template-hash")), pod_template_hash(spec, hash));
    assert_string_equal(json_string(json_get(annotations, "histrio.dev/index")), "2");
    assert_string_equal(json_string(json_get(body, "restartPolicy")), "Never");
    assert_int_equal(json_type(json_get(body, "automountServiceAccountToken")), JSON_BOOL);
    assert_false(json_bool(json_get(body, "automountServiceAccountToken")));
    assert_int_equal(json_int(json_get(body, "terminationGracePeriodSeconds")), 70);
    assert_true(json_bool(json_get(json_get(body, "securityContext"), "runAsNonRoot")));
    assert_true(json_bool(json_get(security, "readOnlyRootFilesystem")));
    assert_string_equal(environment(pod, "HISTRIO_SYSTEM_UID"), "uid-1");
    assert_string_equal(environment(pod, "HISTRIO_NODE_NAME"), "bank-nodes-7");
    assert_string_equal(environment(pod, "HISTRIO_DRAIN_TIMEOUT_MS"), "60000");
    assert_string_equal(json_string(json_get(container(pod), "image")), "example/bank:1");
    /* Of the Secret only three items: never the key of the authority, nor the operator's. */
    const struct json *secret = json_get(named(json_get(body, "volumes"), "histrio-tls"), "secret");
    assert_string_equal(json_string(json_get(secret, "secretName")), "bank-histrio-tls");
    assert_int_equal(json_count(json_get(secret, "items")), 3);
    json_for_each(item, json_get(secret, "items"))
    {
        const char *key = json_string(json_get(item, "key"));
        assert_true(text_equal(key, "ca.crt") || text_equal(key, "tls.crt") || text_equal(key, "tls.key"));
    }
    json_free(pod);
    system_spec_unref(spec);
}

static void test_pod_template_changes_much(void **state)
{
    struct system_spec *spec =
        make_spec("{\"metadata\": {\"labels\": {\"team\": \"a\", \"histrio.dev/system\": \"x\"},"
                  "  \"annotations\": {\"note\": \"b\", \"histrio.dev/template-hash\": \"x\"}},"
                  " \"spec\": {\"priorityClassName\": \"high\", \"securityContext\": {\"runAsUser\": 1000},"
                  "  \"containers\": [{\"name\": \"node\", \"env\": [{\"name\": \"MINE\", \"value\": \"1\"}],"
                  "    \"livenessProbe\": null},"
                  "   {\"name\": \"side\", \"image\": \"side:1\"}]}}");
    spec->nodes.resources = parse("{\"requests\": {\"cpu\": \"1\"}}");
    struct json *pod = make_pod(spec);
    const struct json *metadata = json_get(pod, "metadata");
    const struct json *body = json_get(pod, "spec");
    (void)state;
    assert_string_equal(json_string(json_get(json_get(metadata, "labels"), "team")), "a");
    assert_string_equal(json_string(json_get(json_get(metadata, "labels"), "histrio.dev/system")), "bank");
    assert_string_equal(json_string(json_get(json_get(metadata, "annotations"), "note")), "b");
    assert_int_equal(
        strlen(json_string(json_get(json_get(metadata, "annotations"), "histrio.dev/template-hash"))), 16);
    assert_string_equal(json_string(json_get(body, "priorityClassName")), "high");
    assert_int_equal(json_int(json_get(json_get(body, "securityContext"), "runAsUser")), 1000);
    assert_true(json_bool(json_get(json_get(body, "securityContext"), "runAsNonRoot")));
    assert_int_equal(json_count(json_get(body, "containers")), 2);
    assert_string_equal(environment(pod, "MINE"), "1");
    assert_null(json_get(container(pod), "livenessProbe"));
    assert_non_null(json_get(container(pod), "readinessProbe"));
    assert_string_equal(
        json_string(json_get(json_get(json_get(container(pod), "resources"), "requests"), "cpu")), "1");
    json_free(pod);
    system_spec_unref(spec);
}

static void test_pod_template_cannot(void **state)
{
    struct system_spec *spec =
        make_spec("{\"spec\": {\"restartPolicy\": \"Always\", \"automountServiceAccountToken\": true,"
                  " \"volumes\": [{\"name\": \"histrio-tls\", \"emptyDir\": {}}],"
                  " \"containers\": [{\"name\": \"node\", \"image\": \"evil\","
                  "  \"env\": [{\"name\": \"HISTRIO_SYSTEM_UID\", \"value\": \"x\"}]}]}}");
    struct json *pod = make_pod(spec);
    const struct json *body = json_get(pod, "spec");
    (void)state;
    assert_string_equal(json_string(json_get(body, "restartPolicy")), "Never");
    assert_false(json_bool(json_get(body, "automountServiceAccountToken")));
    assert_string_equal(json_string(json_get(container(pod), "image")), "example/bank:1");
    assert_string_equal(environment(pod, "HISTRIO_SYSTEM_UID"), "uid-1");
    assert_non_null(json_get(named(json_get(body, "volumes"), "histrio-tls"), "secret"));
    json_free(pod);
    system_spec_unref(spec);
}

/* The schema lets anything into a podTemplate; what makes no sense is for the API server to refuse. */
static void test_pod_template_nonsense(void **state)
{
    static const char *const templates[] = {"[]", "{\"spec\": 7}", "{\"spec\": {\"containers\": \"x\"}}",
        "{\"spec\": {\"containers\": [1, null, {}]}}", "{\"metadata\": {\"labels\": [1]}, \"spec\": null}",
        "{\"spec\": {\"containers\": [{\"name\": \"node\", \"env\": {\"a\": 1}}]}}",
        "{\"spec\": {\"volumes\": null, \"containers\": null}}"};
    (void)state;
    for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
        struct system_spec *spec = make_spec(templates[i]);
        struct json *pod = make_pod(spec);
        assert_string_equal(json_string(json_get(container(pod), "image")), "example/bank:1");
        assert_string_equal(environment(pod, "HISTRIO_NODE_NAME"), "bank-nodes-7");
        json_free(pod);
        system_spec_unref(spec);
    }
}

static void test_pod_hash(void **state)
{
    struct system_spec *spec = make_spec(NULL);
    char hash[POD_TEMPLATE_HASH_BYTES], other[POD_TEMPLATE_HASH_BYTES];
    (void)state;
    (void)pod_template_hash(spec, hash);
    assert_int_equal(strlen(hash), 16);
    spec->nodes.replicas = 9; /* live: no Pod is replaced for it */
    spec->nodes.drain_timeout_ms = 5;
    assert_string_equal(pod_template_hash(spec, other), hash);
    free(spec->nodes.image);
    spec->nodes.image = xstrdup("example/bank:2");
    assert_string_not_equal(pod_template_hash(spec, other), hash);
    (void)pod_template_hash(spec, hash);
    spec->nodes.pod_template = parse("{\"spec\": {}}");
    assert_string_not_equal(pod_template_hash(spec, other), hash);
    (void)pod_template_hash(spec, hash);
    spec->code.c_memory_bytes = 1; /* of a section that is not there */
    assert_string_equal(pod_template_hash(spec, other), hash);
    spec->code.has_c_workers = true;
    assert_string_not_equal(pod_template_hash(spec, other), hash);
    system_spec_unref(spec);
}

static void test_pod_config_map(void **state)
{
    struct system_spec *spec = make_spec(NULL);
    (void)state;
    spec->code.has_python = true;
    spec->code.python_config_map = xstrdup("bank-code");
    struct json *pod = make_pod(spec);
    const struct json *volume = named(json_get(json_get(pod, "spec"), "volumes"), "histrio-code");
    const struct json *mount = named(json_get(container(pod), "volumeMounts"), "histrio-code");
    assert_string_equal(json_string(json_get(json_get(volume, "configMap"), "name")), "bank-code");
    assert_true(text_starts_with(json_string(json_get(mount, "mountPath")), POD_CODE_FOLDER "/"));
    assert_true(json_bool(json_get(mount, "readOnly")));
    json_free(pod);
    system_spec_unref(spec);
}

const struct CMUnitTest pod_tests[] = {
    cmocka_unit_test(test_merge),
    cmocka_unit_test(test_pod_by_default),
    cmocka_unit_test(test_pod_template_changes_much),
    cmocka_unit_test(test_pod_template_cannot),
    cmocka_unit_test(test_pod_template_nonsense),
    cmocka_unit_test(test_pod_hash),
    cmocka_unit_test(test_pod_config_map),
};
const size_t pod_test_count = sizeof(pod_tests) / sizeof(pod_tests[0]);
