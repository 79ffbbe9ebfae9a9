#include "unit/api/suites.h"

#include "api/manifest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"
#include "types/system.h"
#include "types/unit.h"

static const char head[] = "apiVersion: histrio.dev/v1alpha1\n"
                           "kind: ActorSystem\n"
                           "metadata: {name: bank}\n"
                           "spec:\n";

static struct system_spec *decode(
    const char *text, const struct api_checks *checks, struct api_problems *problems)
{
    struct json *documents = NULL;
    struct err err = {0};
    api_problems_init(problems, "m.yaml");
    if (yaml_parse(NULL, text, strlen(text), &documents, &err) < 0)
        fail_msg("%s", err.text);
    struct system_spec *spec = manifest_decode_documents(documents, checks, problems);
    json_free(documents);
    return spec;
}

/* The body behind the usual head must make exactly these lines. */
static void expect_lines(const char *text, const char *expected)
{
    struct api_problems problems;
    struct str out = STR_INIT(100000);
    struct system_spec *spec = decode(text, NULL, &problems);
    api_problems_print(&problems, &out);
    assert_string_equal(str_text(&out), expected);
    assert_null(spec);
    str_done(&out);
    api_problems_done(&problems);
}

static void expect_problem(const char *body, const char *expected)
{
    char *text = xasprintf("%s%s", head, body);
    char *lines = xasprintf("m.yaml:%s\n", expected);
    expect_lines(text, lines);
    free(text);
    free(lines);
}

static struct system_spec *decode_body(const char *body)
{
    struct api_problems problems;
    char *text = xasprintf("%s%s", head, body);
    struct system_spec *spec = decode(text, NULL, &problems);
    if (!spec) {
        struct str out = STR_INIT(100000);
        api_problems_print(&problems, &out);
        fail_msg("%s", str_text(&out));
    }
    api_problems_done(&problems);
    free(text);
    return spec;
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    struct system_spec *spec = decode_body("  code: {c: [{library: l, path: l.so}]}\n"
                                           "  actors: [{name: a, behavior: {c: l.a}}]\n");
    assert_string_equal(spec->name, "bank");
    assert_int_equal(spec->nodes.replicas, 3);
    assert_int_equal(spec->nodes.update_max_surge, 1);
    assert_int_equal(spec->nodes.drain_timeout_ms, 60000);
    assert_int_equal(spec->supervision.intensity.restarts, 5);
    assert_int_equal(spec->supervision.intensity.period_ms, 10000);
    assert_int_equal(spec->supervision.backoff.initial_ms, 100);
    assert_int_equal(spec->supervision.backoff.max_ms, 30000);
    assert_int_equal(spec->failure.node_lease_ms, 3000);
    assert_int_equal(spec->failure.suspend_for_ms, 60000);
    assert_int_equal(spec->entries.count, 1);
    const struct entry_spec *entry = &spec->entries.items[0];
    assert_int_equal(entry->replicas, 1);
    assert_false(entry->has_replicas);
    assert_false(entry->root.is_supervisor);
    assert_int_equal(entry->root.restart, RESTART_PERMANENT);
    assert_int_equal(entry->root.shutdown_ms, 5000);
    assert_int_equal(entry->root.supervisor.intensity.restarts, 3);
    assert_int_equal(entry->root.mailbox.capacity, 0);
    assert_int_equal(entry->placement.spread, SPREAD_KUBE_NODE);
    system_spec_unref(spec);
}

static void everything_is_read(void **state)
{
    (void)state;
    struct system_spec *spec = decode_body(
        "  suspend: true\n"
        "  nodes:\n"
        "    replicas: 5\n"
        "    image: registry.example/bank:1.4\n"
        "    resources: {requests: {cpu: 500m}}\n"
        "    update: {maxSurge: 2, maxUnavailable: 1, drainTimeout: 1m30s}\n"
        "    podTemplate: {metadata: {labels: {a: b}}}\n"
        "    capacity: {units: 7}\n"
        "  code:\n"
        "    c: [{library: bank, path: libbank.so}]\n"
        "    cWorkers: {workers: 3, handlerTimeout: 5s, memory: 64Mi}\n"
        "    python: {path: [.], preload: [bank], workers: 2, handlerTimeout: 30s, memory: 512Mi}\n"
        "  supervision: {intensity: {restarts: 1, period: 2s}, backoff: {initial: 5ms, max: 1s}}\n"
        "  actors:\n"
        "    - name: tellers\n"
        "      replicas: 4\n"
        "      placement: {spread: Zone, pin: {index: \"1\"}, kubeNodeSelector: {disk: ssd}, colocateWith: "
        "ledger,\n"
        "                  antiAffinity: [tellers]}\n"
        "      supervisor: {strategy: RestForOne, intensity: {restarts: 9, period: 7s}, backoff: {max: 2s}}\n"
        "      children:\n"
        "        - {name: inner, supervisor: {strategy: OneForAll}}\n"
        "        - {name: counter, under: inner, behavior: {python: \"bank:Counter\"}, isolation: Process}\n"
        "        - {name: printer, behavior: {c: bank.printer}, mailbox: {capacity: 10, overflow: "
        "DropOldest,\n"
        "           onRestart: Drop}, restart: Transient, shutdown: Brutal, args: {a: [1, two]}}\n"
        "    - {name: ledger, behavior: {c: bank.ledger}, shutdown: Infinity, restart: Temporary}\n"
        "    - {name: account, keyed: {shards: 8, passivateAfter: 1m}, behavior: {python: "
        "\"bank:Account\"},\n"
        "       state: {durable: true, snapshotEvery: 10}}\n"
        "  state: {store: PostgreSQL, secretRef: {name: bank-db}, onDelete: Delete, adopt: true}\n"
        "  failure: {nodeLease: 5s, suspendFor: 30s, policy: LeaderOnly}\n");
    assert_true(spec->suspend);
    assert_int_equal(spec->nodes.capacity_units, 7);
    assert_non_null(spec->nodes.pod_template);
    assert_int_equal(spec->nodes.drain_timeout_ms, 90000);
    assert_int_equal(spec->code.python_workers, 2);
    assert_int_equal(spec->code.python_handler_timeout_ms, 30000);
    assert_int_equal(spec->code.python_memory_bytes, 512 * 1024 * 1024);
    assert_true(spec->code.has_c_workers);
    assert_int_equal(spec->code.c_worker_count, 3);
    assert_int_equal(spec->code.c_handler_timeout_ms, 5000);
    assert_int_equal(spec->code.c_memory_bytes, 64 * 1024 * 1024);
    const struct entry_spec *tellers = system_spec_entry(spec, "tellers");
    assert_true(tellers->root.is_supervisor);
    assert_int_equal(tellers->root.shutdown_ms, SHUTDOWN_INFINITY);
    assert_int_equal(tellers->root.supervisor.strategy, STRATEGY_REST_FOR_ONE);
    assert_int_equal(tellers->root.supervisor.backoff.initial_ms, 100);
    assert_int_equal(tellers->root.supervisor.backoff.max_ms, 2000);
    assert_int_equal(tellers->children.items[0].supervisor.backoff.initial_ms, 0);
    assert_string_equal(label_list_get(&tellers->placement.pin, "index"), "1");
    assert_string_equal(tellers->placement.colocate_with, "ledger");
    assert_string_equal(tellers->children.items[1].under, "inner");
    assert_true(tellers->children.items[0].is_supervisor);
    const struct child_spec *printer = &tellers->children.items[2];
    assert_int_equal(printer->shutdown_ms, SHUTDOWN_BRUTAL);
    assert_int_equal(printer->restart, RESTART_TRANSIENT);
    assert_int_equal(printer->mailbox.overflow, OVERFLOW_DROP_OLDEST);
    assert_int_equal(printer->mailbox.on_restart, MAILBOX_DROP);
    assert_int_equal(printer->arguments_size, 9); /* {a: [1, "two"]} */
    assert_int_equal(system_spec_entry(spec, "ledger")->root.shutdown_ms, SHUTDOWN_INFINITY);
    assert_true(system_spec_entry(spec, "account")->keyed.is_keyed);
    assert_int_equal(units_count(spec), 4 + 1 + 8);
    assert_true(spec->state.delete_with_system && spec->state.adopt);
    assert_int_equal(spec->failure.policy, FAILURE_LEADER_ONLY);
    system_spec_unref(spec);
}

#define CODE "  code: {c: [{library: l, path: l.so}]}\n"

static void each_mistake_is_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *expected;
    } cases[] = {
        {CODE "  actors: [{name: a, behavior: {c: l.a}, restrat: Permanent}]\n",
            "6: spec.actors[0].restrat: unknown field; did you mean 'restart'?"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, restart: permanent}]\n",
            "6: spec.actors[0].restart: must be one of Permanent, Transient, Temporary"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, replicas: many}]\n",
            "6: spec.actors[0].replicas: must be an integer from 0 to 10000, not a string"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, replicas: -1}]\n",
            "6: spec.actors[0].replicas: must be from 0 to 10000"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, shutdown: soon}]\n",
            "6: spec.actors[0].shutdown: must be a duration such as \"5s\", or Brutal, or Infinity"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}}]\n  failure: {nodeLease: 10ms}\n",
            "7: spec.failure.nodeLease: must be from 1s to 1m"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}}]\n  failure: {nodeLease: 10}\n",
            "7: spec.failure.nodeLease: must be a duration such as \"250ms\", \"5s\" or \"1m30s\""},
        {CODE "  actors: [{name: a, behavior: {c: m.a}}]\n",
            "6: spec.actors[0].behavior.c: no library 'm' in spec.code.c; add {library: m, path: FILE}"},
        {CODE "  actors: [{name: a, behavior: {c: a}}]\n",
            "6: spec.actors[0].behavior.c: must be LIBRARY.NAME, e.g. \"bank.teller\""},
        {"  code: {python: {path: [.]}}\n  actors: [{name: a, behavior: {python: bank.Teller}}]\n",
            "6: spec.actors[0].behavior.python: must be MODULE:CLASS, e.g. \"bank:Teller\""},
        {CODE "  actors: [{name: a}]\n",
            "6: spec.actors[0]: needs a behavior ({c: LIBRARY.NAME} or {python: MODULE:CLASS}) or children"},
        {CODE "  actors: [{name: A_b, behavior: {c: l.a}}]\n",
            "6: spec.actors[0].name: 'A_b' is no name: use a-z, 0-9 and '-', beginning and ending with a "
            "letter or digit"},
        {CODE "  actors:\n    - {name: a, behavior: {c: l.a}}\n    - {name: a, behavior: {c: l.b}}\n",
            "8: spec.actors[1].name: 'a' is already the name of the entry in line 7; choose another"},
        {CODE "  actors:\n    - name: a\n      children:\n        - {name: x, under: y, behavior: {c: l.x}}\n"
              "        - {name: y, supervisor: {}}\n",
            "9: spec.actors[0].children[0].under: 'y' comes later: children start in their order; put the "
            "supervisor "
            "before what is under it"},
        {CODE "  actors:\n    - name: a\n      children:\n        - {name: y, behavior: {c: l.x}}\n"
              "        - {name: x, under: y, behavior: {c: l.x}}\n",
            "10: spec.actors[0].children[1].under: 'y' is not a supervisor; give it supervisor: {}"},
        {CODE "  actors:\n    - name: a\n      children: [{name: x, under: z, behavior: {c: l.x}}]\n",
            "8: spec.actors[0].children[0].under: there is no child 'z' in this entry"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, placement: {colocateWith: b}}]\n",
            "6: spec.actors[0].placement.colocateWith: there is no entry 'b'"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, placement: {colocateWith: a}}]\n",
            "6: spec.actors[0].placement.colocateWith: leads back to 'a'; one entry must come first"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, keyed: {}, replicas: 2}]\n",
            "6: spec.actors[0].keyed: an entry is keyed, or has replicas; remove one of them"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, state: {durable: true}}]\n",
            "6: spec.actors[0].state.durable: needs a store; set spec.state.store to SQLite or PostgreSQL"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}}]\n  state: {store: SQLite}\n",
            "7: spec.state.store: SQLite works with nodes.replicas 0 or 1 only; use PostgreSQL, or one node"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, isolation: Node, args: 5}]\n",
            "6: spec.actors[0].args: must be an object (named arguments) or a list (positional ones)"},
        {CODE "  actors: [{name: a, behavior: {c: l.a}, mailbox: {overflow: Fail}}]\n",
            "6: spec.actors[0].mailbox.overflow: has no effect without a capacity; set mailbox.capacity"},
        {CODE "  actors: {}\n", "6: spec.actors: must be a list, not an object"},
        {CODE, "4: spec.actors: is missing: list at least one actor"},
        {"  code: {c: [{library: l}]}\n  actors: [{name: a, behavior: {c: l.a}}]\n",
            "5: spec.code.c[0].path: is missing: the file of the library, e.g. libbank.so"},
        {CODE "  nodes: {update: {maxSurge: 0}}\n  actors: [{name: a, behavior: {c: l.a}}]\n",
            "6: spec.nodes.update: maxSurge and maxUnavailable are both 0, so no update could begin; raise "
            "one of them"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_problem(cases[i].body, cases[i].expected);
}

static void each_mistake_of_python_is_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *expected;
    } cases[] = {
        {"  code: {python: {handlerTimeout: 1ms}}\n  actors: [{name: a, behavior: {python: \"m:A\"}}]\n",
            "5: spec.code.python.handlerTimeout: must be from 100ms to 1h"},
        {"  code: {python: {memory: lots}}\n  actors: [{name: a, behavior: {python: \"m:A\"}}]\n",
            "5: spec.code.python.memory: must be an amount of memory such as \"512Mi\" or \"1Gi\""},
        {"  code: {python: {memory: 99999999999Gi}}\n  actors: [{name: a, behavior: {python: \"m:A\"}}]\n",
            "5: spec.code.python.memory: must be an amount of memory such as \"512Mi\" or \"1Gi\""},
        {"  code: {python: {memory: 1Mi}}\n  actors: [{name: a, behavior: {python: \"m:A\"}}]\n",
            "5: spec.code.python.memory: must be from 16777216 to 9223372036854775807 bytes"},
        {"  code: {cWorkers: {workers: 0}, python: {}}\n  actors: [{name: a, behavior: {python: \"m:A\"}}]\n",
            "5: spec.code.cWorkers.workers: must be from 1 to 1024"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_problem(cases[i].body, cases[i].expected);
}

static void all_mistakes_come_at_once(void **state)
{
    (void)state;
    expect_lines("apiVersion: histrio.dev/v1alpha1\n"
                 "kind: ActorSystem\n"
                 "metadata: {name: Bank}\n"
                 "spec:\n"
                 "  nodes: {replicas: 5000}\n"
                 "  code: {c: [{library: l, path: l.so}]}\n"
                 "  actors:\n"
                 "    - {name: a, behavior: {c: l.a}, colour: red}\n"
                 "    - {name: a, behavior: {c: k.a}}\n",
        "m.yaml:3: metadata.name: 'Bank' is no name: use a-z, 0-9 and '-', beginning and ending with a "
        "letter or digit\n"
        "m.yaml:5: spec.nodes.replicas: must be from 0 to 1000\n"
        "m.yaml:8: spec.actors[0].colour: unknown field; remove it (known here: name, replicas, placement, "
        "supervisor, "
        "children, behavior, restart, args, shutdown, isolation, mailbox, keyed, state)\n"
        "m.yaml:9: spec.actors[1].name: 'a' is already the name of the entry in line 8; choose another\n"
        "m.yaml:9: spec.actors[1].behavior.c: no library 'k' in spec.code.c; add {library: k, path: FILE}\n");
    expect_lines("kind: Deployment\napiVersion: apps/v1\nspec: {replicas: 3}\n",
        "m.yaml:1: kind: must be ActorSystem, not 'Deployment'\n"
        "m.yaml:2: apiVersion: must be histrio.dev/v1alpha1, not 'apps/v1'\n");
    expect_lines("", "m.yaml: holds no document; write one ActorSystem\n");
    expect_lines("- 1\n---\n- 2\n", "m.yaml:3: is a second document; a run takes exactly one ActorSystem\n");
    expect_lines("5\n", "m.yaml:1: must be an object with apiVersion, kind, metadata and spec\n");
}

static int refuse_library(void *ctx, const struct library_spec *library, struct err *err)
{
    (void)ctx;
    if (text_equal(library->library, "gone"))
        return err_set(err, ERR_NOT_FOUND, "no file %s", library->path);
    return 0;
}

static int refuse_behavior(void *ctx, const struct library_spec *library, const char *name, struct err *err)
{
    *(int *)ctx += 1;
    if (text_equal(name, "missing"))
        return err_set(err, ERR_NOT_FOUND, "library '%s' has no behavior '%s'", library->library, name);
    return 0;
}

static void files_are_asked_for_through_checks(void **state)
{
    (void)state;
    int asked = 0;
    struct api_checks checks = {refuse_library, refuse_behavior, &asked};
    struct api_problems problems;
    struct str out = STR_INIT(10000);
    char *text = xasprintf("%s"
                           "  code: {c: [{library: l, path: l.so}, {library: gone, path: g.so}]}\n"
                           "  actors:\n"
                           "    - {name: a, behavior: {c: l.fine}}\n"
                           "    - {name: b, behavior: {c: l.missing}}\n"
                           "    - {name: c, behavior: {c: gone.any}}\n",
        head);
    assert_null(decode(text, &checks, &problems));
    api_problems_print(&problems, &out);
    assert_string_equal(str_text(&out),
        "m.yaml:5: spec.code.c[1].path: no file g.so\n"
        "m.yaml:8: spec.actors[1].behavior.c: library 'l' has no behavior 'missing'\n");
    assert_int_equal(asked, 2); /* a library that is not there is asked for nothing */
    str_done(&out);
    api_problems_done(&problems);
    free(text);
}

/* Not a test of limits only: each of these was meant to make a decoder slow or deep. */
static void large_manifests_are_quick(void **state)
{
    (void)state;
    struct str text = STR_INIT(1024 * 1024);
    struct api_problems problems;
    str_append(&text, head);
    str_append(&text, CODE "  actors:\n");
    for (int i = 0; i < 1000; i++)
        str_appendf(&text, "    - {name: e%d, behavior: {c: l.a}, placement: {colocateWith: e%d}}\n", i,
            (i + 1) % 1000);
    assert_null(decode(str_text(&text), NULL, &problems));
    assert_int_equal(problems.items.count, API_PROBLEMS_MAX);
    assert_int_equal(problems.left_out, 1000 - API_PROBLEMS_MAX);
    api_problems_done(&problems);
    str_done(&text);
}

const struct CMUnitTest manifest_tests[7] = {
    cmocka_unit_test(defaults_are_as_documented),
    cmocka_unit_test(everything_is_read),
    cmocka_unit_test(each_mistake_is_one_line),
    cmocka_unit_test(each_mistake_of_python_is_one_line),
    cmocka_unit_test(all_mistakes_come_at_once),
    cmocka_unit_test(files_are_asked_for_through_checks),
    cmocka_unit_test(large_manifests_are_quick),
};
