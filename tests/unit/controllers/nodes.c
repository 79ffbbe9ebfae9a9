/* Pods and KubeNodes as the caches show them, and what the core is told: proof, assertions, causes. */
#include "suites.h"

#include <inttypes.h>
#include <string.h>

#include "api/kube_node.h"
#include "api/pod.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/inbox.h"
#include "controllers/system_nodes.h"
#include "core/core.h"
#include "drivers/kubernetes.h"
#include "kube/store.h"
#include "types/fence_record.h"
#include "types/status.h"
#include "types/system.h"

enum { UID_A = 0xa };

struct fixture {
    struct core *core;
    struct kubernetes_driver *driver;
    struct system_nodes nodes;
    struct kube_objects pods;
    struct lost_pods lost;
    struct kube_node *machine; /* NULL: there is none of any name */
    struct str dials;
    int64_t now_ms;
    uint64_t version;
};

static void dial(void *ctx, const char *node, const char *address)
{
    struct fixture *fixture = ctx;
    str_appendf(&fixture->dials, "%s=%s ", node, address ? address : "-");
}

static struct kube_node *find_machine(void *ctx, const char *name)
{
    struct fixture *fixture = ctx;
    (void)name;
    return fixture->machine ? (struct kube_node *)kube_object_ref(&fixture->machine->head) : NULL;
}

static void no_news(const struct kubernetes_news *news, void *ctx)
{
    (void)ctx;
    fail_msg("nothing was sent, yet %s is told", news->node);
}

static struct json *parse(const char *text)
{
    struct json *tree = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &tree, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static struct kube_node *make_machine(const char *disk, const char *rest)
{
    char *text =
        xasprintf("{\"metadata\": {\"name\": \"m1\", \"uid\": \"m\", \"resourceVersion\": \"1\", "
                  "\"labels\": {\"topology.kubernetes.io/zone\": \"z1\", \"disk\": \"%s\", \"a\": \"b\"}}, "
                  "\"spec\": {%s}}",
            disk, rest);
    struct json *tree = parse(text);
    struct kube_object *object = NULL;
    assert_int_equal(kube_object_read(tree, kube_node_decode, kube_node_release, NULL, &object, NULL), 0);
    json_free(tree);
    free(text);
    return (struct kube_node *)object;
}

/* rest: other members of metadata; spec and status as given. */
static struct pod *make_pod(
    const char *name, const char *owner, const char *rest, const char *spec, const char *status)
{
    char *text =
        xasprintf("{\"metadata\": {\"name\": \"%s\", \"namespace\": \"a\", \"uid\": \"u-%s\", "
                  "\"resourceVersion\": \"5\","
                  " \"labels\": {\"histrio.dev/system\": \"bank\"}, \"ownerReferences\": [{\"uid\": \"%s\","
                  " \"controller\": true, \"kind\": \"ActorSystem\", \"name\": \"bank\"}]%s},"
                  " \"spec\": {%s}, \"status\": {%s}}",
            name, name, owner, rest, spec, status);
    struct json *tree = parse(text);
    struct kube_object *object = NULL;
    struct err err = {0};
    if (kube_object_read(tree, pod_decode, pod_release, NULL, &object, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    json_free(tree);
    free(text);
    return (struct pod *)object;
}

#define ON_MACHINE "\"nodeName\": \"m1\""
#define RUNNING                                                                                              \
    "\"phase\": \"Running\", \"podIP\": \"10.0.0.7\","                                                       \
    "\"containerStatuses\": [{\"name\": \"node\", \"state\": {\"running\": {}}}]"
#define TERMINATED(more)                                                                                     \
    "\"phase\": \"Failed\","                                                                                 \
    "\"containerStatuses\": [{\"name\": \"node\", \"state\": {\"terminated\": {" more "}}}]"

static void clear_pods(struct fixture *fixture)
{
    kube_objects_done(&fixture->pods);
    fixture->pods = (struct kube_objects){0};
}

/* One Pod is all that there is now. */
static void show_take(struct fixture *fixture, struct pod *pod)
{
    clear_pods(fixture);
    if (pod)
        vec_push(&fixture->pods.list, &pod->head);
}

static void lose_take(struct fixture *fixture, struct pod *pod)
{
    clear_pods(fixture);
    vec_push(&fixture->lost.list, pod);
}

static void plan(struct fixture *fixture)
{
    struct core_plan plan;
    do {
        uint64_t write = 0;
        core_set_time(fixture->core, fixture->now_ms, fixture->now_ms);
        core_plan(fixture->core, &plan);
        for (size_t i = 0; i < plan.count; i++)
            if (plan.actions[i].kind == CORE_WRITE_FENCE)
                write = plan.actions[i].write;
        if (write)
            core_fence_written(fixture->core, write);
    } while (plan.count); /* ends: the core is quiescent without news */
}

static void observe(struct fixture *fixture, int64_t ms)
{
    fixture->now_ms += ms;
    core_set_time(fixture->core, fixture->now_ms, fixture->now_ms);
    system_nodes_observe(&fixture->nodes, &fixture->pods, &fixture->lost, fixture->version, fixture->now_ms);
    vec_for_each (pod, &fixture->lost.list)
        kube_object_unref(&(*pod)->head);
    vec_clear(&fixture->lost.list);
    plan(fixture);
}

static int begin(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct system_spec *spec = system_spec_new();
    struct core_options options = {.system_uid = "uid-1", .seed = 1, .cannot_kill = true};
    struct kubernetes_driver_config driver = {.owner = {"a", "bank", "uid-1"}, .listener = no_news};
    spec->name = xstrdup("bank");
    spec->nodes.replicas = 1;
    spec->nodes.update_max_surge = 1;
    spec->nodes.drain_timeout_ms = 1000;
    spec->supervision.backoff.initial_ms = 100;
    spec->supervision.backoff.max_ms = 1000;
    spec->failure.node_lease_ms = 3000;
    spec->supervision.intensity.restarts = 5;
    spec->supervision.intensity.period_ms = 10000;
    struct entry_spec *entry = vec_push_new(&spec->entries);
    entry->replicas = 1;
    entry->root.name = xstrdup("vandal");
    entry->root.under = xstrdup("");
    entry->root.behavior_c = xstrdup("bank.vandal");
    label_list_add(&entry->placement.kube_node_selector, "disk", "ssd");
    str_init(&fixture->dials, 10000);
    fixture->now_ms = 1000;
    fixture->version = 10;
    fixture->machine = make_machine("ssd", "");
    fixture->core = core_new(&options, spec, NULL);
    fixture->driver = kubernetes_driver_new(&driver);
    fixture->nodes = (struct system_nodes){.owner_uid = "uid-1",
        .core = fixture->core,
        .driver = fixture->driver,
        .hands = {dial, find_machine, true, fixture}};
    system_spec_unref(spec);
    core_set_time(fixture->core, 1000, 1000);
    core_nodes_listed(fixture->core);
    plan(fixture);
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    clear_pods(fixture);
    vec_done(&fixture->lost.list);
    system_nodes_done(&fixture->nodes);
    kubernetes_driver_free(fixture->driver);
    core_free(fixture->core);
    kube_object_unref(fixture->machine ? &fixture->machine->head : NULL);
    str_done(&fixture->dials);
    free(fixture);
    return 0;
}

/* The row of bank-nodes-0, or NULL. The status is the caller's. */
static const struct status_node *row(struct fixture *fixture, struct status *status)
{
    core_status(fixture->core, status);
    vec_for_each (node, &status->nodes)
        if (text_equal(node->node, "bank-nodes-0"))
            return node;
    return NULL;
}

static void assert_dials(struct fixture *fixture, const char *expected)
{
    assert_string_equal(str_text(&fixture->dials), expected);
    str_clear(&fixture->dials);
}

static void say_hello(struct fixture *fixture)
{
    struct core_hello hello = {.node = "bank-nodes-0",
        .uid = UID_A,
        .pod_uid = "u-bank-nodes-0",
        .kube_node = "m1",
        .zone = "",
        .link_address = "10.0.0.7:7073",
        .gateway_address = "10.0.0.7:7071"};
    core_node_connected(fixture->core, &hello);
    plan(fixture);
}

static bool is_dead(struct fixture *fixture)
{
    return fence_record_is_dead(core_fence_record(fixture->core), UID_A);
}

static void test_dialed_when_it_runs(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", "", "\"phase\": \"Pending\""));
    observe(fixture, 10);
    assert_dials(fixture, "");
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    observe(fixture, 10);
    assert_dials(fixture, "bank-nodes-0=10.0.0.7:7070 ");
    const struct status_node *node = row(fixture, &status);
    assert_non_null(node);
    assert_string_equal(node->kube_node, "m1");
    assert_string_equal(node->zone, "z1");
    status_done(&status);
}

static void test_addresses_of_version_6(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE,
                           "\"phase\": \"Running\", \"podIP\": \"fd00::7\","
                           "\"containerStatuses\": [{\"name\": \"node\", \"state\": {\"running\": {}}}]"));
    observe(fixture, 10);
    assert_dials(fixture, "bank-nodes-0=[fd00::7]:7070 ");
}

static void test_trouble_is_shown_and_goes(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    show_take(fixture,
        make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE,
            "\"phase\": \"Pending\", \"containerStatuses\": [{\"name\": \"node\", \"state\": {\"waiting\": "
            "{\"reason\": \"ImagePullBackOff\", \"message\": \"no such image\"}}}]"));
    observe(fixture, 10);
    const struct status_node *node = row(fixture, &status);
    assert_string_equal(node->reason, "ImagePullBackOff");
    assert_non_null(strstr(node->message, "no such image"));
    status_done(&status);
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    node = row(fixture, &status);
    assert_string_equal(node->reason, "");
    status_done(&status);
}

static void test_terminated_is_proof(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    assert_false(is_dead(fixture));
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE,
                           TERMINATED("\"exitCode\": 137, \"reason\": \"OOMKilled\"")));
    observe(fixture, 10);
    assert_true(is_dead(fixture));
    assert_dials(fixture, "bank-nodes-0=10.0.0.7:7070 bank-nodes-0=- ");
}

/* The termination log names whose code it was. */
static void test_crash_record_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    bool is_named = false;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    show_take(fixture,
        make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE,
            TERMINATED("\"exitCode\": 139, \"signal\": 11, \"message\": \"{\\\"unit\\\": \\\"vandal\\\", "
                       "\\\"actor\\\": \\\"vandal\\\", \\\"signal\\\": 11, \\\"backtrace\\\": \\\"#0 "
                       "smash\\\"}\"")));
    observe(fixture, 10);
    core_status(fixture->core, &status);
    vec_for_each (exit, &status.exits)
        is_named = is_named || (text_equal(exit->actor, "vandal") && text_equal(exit->backtrace, "#0 smash"));
    assert_true(is_named);
    status_done(&status);
}

/* Without its last state a Pod that is gone proves nothing, and its process may go on for a while. */
static void test_gone_without_proof(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    lose_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    assert_dials(fixture, "bank-nodes-0=10.0.0.7:7070 ");
    observe(fixture, 5000);
    assert_false(is_dead(fixture)); /* still connected: the assertion is ignored */
    assert_true(fixture->nodes.due_ms < INT64_MAX);
    observe(fixture, 5000);
    assert_dials(fixture, "bank-nodes-0=- ");
    core_node_disconnected(fixture->core, UID_A);
    observe(fixture, 10);
    assert_false(is_dead(fixture)); /* it has a lease until the last echo is TTL and a tenth old */
    observe(fixture, 4000);
    assert_true(is_dead(fixture));
}

static void test_gone_with_last_state(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    lose_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, TERMINATED("\"exitCode\": 1")));
    observe(fixture, 10);
    assert_true(is_dead(fixture));
    assert_int_equal(map_count(&fixture->nodes.nodes), 0);
}

static void test_gone_before_it_began(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", "", "\"phase\": \"Pending\""));
    observe(fixture, 10);
    show_take(fixture, NULL);
    observe(fixture, 10);
    assert_null(row(fixture, &status)); /* nothing to wait for; the next has another name */
    assert_string_equal(status.nodes.items[0].node, "bank-nodes-1");
    assert_true(text_equal(status.conditions[CONDITION_STALLED].reason, "NotStalled"));
    status_done(&status);
}

/* A Pod that was made a moment ago is not missed before the cache can know it. */
static void test_cache_is_behind(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    struct kubernetes_news news = {
        .kind = KUBERNETES_MADE, .node = "bank-nodes-0", .pod_uid = "u-bank-nodes-0", .version = 20};
    system_nodes_news(&fixture->nodes, &news);
    observe(fixture, 10);
    assert_non_null(row(fixture, &status));
    status_done(&status);
    assert_int_equal(map_count(&fixture->nodes.nodes), 1);
    fixture->version = 21;
    observe(fixture, 10);
    assert_null(row(fixture, &status));
    status_done(&status);
}

/* A Pod that was gone when all were listed does not come back from a cache that is behind. */
static void test_cache_is_behind_the_list(void **state)
{
    struct fixture *fixture = *state;
    fixture->nodes.listed_version = 7;
    fixture->version = 6;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    assert_dials(fixture, "");
    assert_int_equal(map_count(&fixture->nodes.nodes), 0);
    fixture->nodes.listed_version = 4; /* made since */
    observe(fixture, 10);
    assert_dials(fixture, "bank-nodes-0=10.0.0.7:7070 ");
}

static void test_machine_is_gone(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    core_node_disconnected(fixture->core, UID_A);
    observe(fixture, 20000);
    assert_false(is_dead(fixture)); /* silence alone: it waits for an assertion */
    kube_object_unref(&fixture->machine->head);
    fixture->machine = NULL;
    observe(fixture, 10);
    assert_false(is_dead(fixture));
    assert_true(fixture->nodes.due_ms <= fixture->now_ms + 5000);
    observe(fixture, 5000);
    assert_true(is_dead(fixture));
}

static void test_machine_out_of_service(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    core_node_disconnected(fixture->core, UID_A);
    kube_object_unref(&fixture->machine->head);
    fixture->machine = make_machine("ssd", "\"taints\": [{\"key\": \"node.kubernetes.io/out-of-service\", "
                                           "\"value\": \"nodeshutdown\", \"effect\": \"NoExecute\"}]");
    observe(fixture, 10);
    observe(fixture, 4000);
    assert_true(is_dead(fixture));
}

static void test_pods_of_a_former_system(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    show_take(fixture, make_pod("bank-nodes-9", "uid-0", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    assert_dials(fixture, ""); /* not ours */
    assert_true(fixture->nodes.is_blocked);
    core_status(fixture->core, &status);
    bool is_said = false;
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        is_said = is_said || text_equal(status.conditions[kind].reason, "PreviousPodsTerminating");
    assert_true(is_said);
    status_done(&status);
    show_take(fixture, NULL);
    observe(fixture, 10);
    assert_false(fixture->nodes.is_blocked);
}

static void test_cordon_by_annotation(void **state)
{
    struct fixture *fixture = *state;
    show_take(fixture, make_pod("bank-nodes-0", "uid-1",
                           ", \"annotations\": {\"histrio.dev/cordon\": \"true\"}", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    assert_int_equal(core_fence_record(fixture->core)->cordons.count, 1);
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    assert_int_equal(core_fence_record(fixture->core)->cordons.count, 0);
}

static void expect_unit_on(struct fixture *fixture, const char *disk, const char *node)
{
    const struct core_inventory inventory = {.is_full = true};
    kube_object_unref(&fixture->machine->head);
    fixture->machine = make_machine(disk, "");
    show_take(fixture, make_pod("bank-nodes-0", "uid-1", "", ON_MACHINE, RUNNING));
    observe(fixture, 10);
    say_hello(fixture);
    core_node_inventory(fixture->core, UID_A, &inventory);
    observe(fixture, CORE_INITIAL_WAIT_MS);
    struct json *told = core_explain(fixture->core, "vandal", NULL);
    assert_string_equal(json_string(json_get(told, "node")), node);
    json_free(told);
}

static void test_labels_of_machines(void **state)
{
    expect_unit_on(*state, "hdd", "");
    expect_unit_on(*state, "ssd", "bank-nodes-0");
}

const struct CMUnitTest nodes_tests[] = {
    cmocka_unit_test_setup_teardown(test_dialed_when_it_runs, begin, end),
    cmocka_unit_test_setup_teardown(test_addresses_of_version_6, begin, end),
    cmocka_unit_test_setup_teardown(test_trouble_is_shown_and_goes, begin, end),
    cmocka_unit_test_setup_teardown(test_terminated_is_proof, begin, end),
    cmocka_unit_test_setup_teardown(test_crash_record_is_read, begin, end),
    cmocka_unit_test_setup_teardown(test_gone_without_proof, begin, end),
    cmocka_unit_test_setup_teardown(test_gone_with_last_state, begin, end),
    cmocka_unit_test_setup_teardown(test_gone_before_it_began, begin, end),
    cmocka_unit_test_setup_teardown(test_cache_is_behind, begin, end),
    cmocka_unit_test_setup_teardown(test_cache_is_behind_the_list, begin, end),
    cmocka_unit_test_setup_teardown(test_machine_is_gone, begin, end),
    cmocka_unit_test_setup_teardown(test_machine_out_of_service, begin, end),
    cmocka_unit_test_setup_teardown(test_pods_of_a_former_system, begin, end),
    cmocka_unit_test_setup_teardown(test_cordon_by_annotation, begin, end),
    cmocka_unit_test_setup_teardown(test_labels_of_machines, begin, end),
};
const size_t nodes_test_count = sizeof(nodes_tests) / sizeof(nodes_tests[0]);
