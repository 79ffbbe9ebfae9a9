/* A status as tables, explanations, and the live tree. */
#include "suites.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/explanation.h"
#include "cli/rows.h"
#include "cli/run_view.h"
#include "operator/run.h"
#include "types/status.h"

#include <string.h>

static const char status_text[] =
    "{\"system\":\"bank\",\"startedAt\":\"2026-11-23T12:00:00Z\",\"restarts\":4,"
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"AllUnitsRunning\"}],"
    "\"units\":{\"desired\":2,\"running\":2},\"nodes\":{\"desired\":3,\"ready\":3,\"updated\":3},"
    "\"nodeStatuses\":[{\"node\":\"bank-nodes-0\",\"kubeNode\":\"node1\",\"state\":\"Connected\",\"units\":2,"
    "\"actors\":3,"
    "\"pid\":77,\"runtimeRestarts\":1,\"startedAt\":\"2026-11-23T12:11:30Z\"}],"
    "\"unitStatuses\":[{\"unit\":\"ledger\",\"node\":\"bank-nodes-0\",\"state\":\"Running\",\"epoch\":\"1."
    "7\",\"rule\":\"Initial\"},"
    "{\"unit\":\"vandal\",\"node\":\"\",\"state\":\"Quarantined\",\"epoch\":\"1.9\",\"restarts\":2,\"rule\":"
    "\"Proof\","
    "\"reason\":\"crashed its node twice\"}],"
    "\"actorStatuses\":[{\"path\":\"ledger\",\"node\":\"bank-nodes-0\",\"state\":\"Running\",\"epoch\":\"1."
    "7\",\"incarnation\":1},"
    "{\"path\":\"tellers.0/"
    "counter\",\"node\":\"bank-nodes-0\",\"state\":\"Running\",\"epoch\":\"1.9\",\"incarnation\":3,"
    "\"lastExit\":\"asked to fail\",\"lastExitAt\":\"2026-11-23T12:09:00Z\"}],"
    "\"exits\":[{\"actor\":\"tellers.0/"
    "counter\",\"node\":\"bank-nodes-0\",\"epoch\":\"1.9\",\"incarnation\":2,"
    "\"decision\":\"RestartRest\",\"cause\":\"\",\"reason\":\"asked to "
    "fail\",\"at\":\"2026-11-23T12:09:00Z\"}]}";

enum { NOW_S = 1795435200 + 12 * 60 };
static const int64_t now_ms = (int64_t)NOW_S * 1000;

static struct json *parse_status(void)
{
    struct json *status = NULL;
    assert_int_equal(json_parse(status_text, strlen(status_text), &status, NULL), 0);
    return status;
}

static void assert_table(struct table *table, const char *expected)
{
    struct str text = STR_INIT(10000);
    table_write(table, &text);
    assert_string_equal(str_text(&text), expected);
    str_done(&text);
    table_done(table);
}

static void test_tables(void **state)
{
    struct json *status = parse_status();
    struct table table;
    (void)state;
    rows_begin_systems(&table);
    rows_add_system(status, now_ms, &table);
    assert_table(&table, "NAME   READY   UNITS   NODES   RESTARTS   REASON   AGE\n"
                         "bank   True    2/2     3/3     4                   12m\n");
    rows_of_actors(status, false, now_ms, &table);
    assert_table(&table,
        "ACTOR                    NODE           STATE     EPOCH   INCARNATION   LAST EXIT\n"
        "bank/ledger              bank-nodes-0   Running   1.7     1\n"
        "bank/tellers.0/counter   bank-nodes-0   Running   1.9     3             asked to fail, 3m ago\n");
    rows_of_units(status, true, &table);
    assert_table(&table,
        "UNIT          NODE           STATE         EPOCH   RESTARTS   RULE      REASON\n"
        "bank/ledger   bank-nodes-0   Running       1.7     0          Initial\n"
        "bank/vandal   -              Quarantined   1.9     2          Proof     crashed its node twice\n");
    rows_of_nodes(status, false, now_ms, &table);
    assert_table(&table, "NODE           STATE       UNITS   ACTORS   RESTARTS   PID   AGE\n"
                         "bank-nodes-0   Connected   2       3        1          77    30s\n");
    rows_of_exits(status, false, now_ms, &table);
    assert_table(&table,
        "AGE   ACTOR               NODE           EPOCH   INCARNATION   DECISION      CAUSE   REASON\n"
        "3m    tellers.0/counter   bank-nodes-0   1.9     2             RestartRest   -       asked to "
        "fail\n");
    json_free(status);
}

static void test_wide_actors(void **state)
{
    struct json *status = parse_status();
    struct table table;
    struct str text = STR_INIT(10000);
    (void)state;
    rows_of_actors(status, true, now_ms, &table);
    table_write(&table, &text);
    assert_non_null(strstr(str_text(&text), "KUBE NODE"));
    assert_non_null(strstr(str_text(&text), "node1"));
    str_done(&text);
    table_done(&table);
    json_free(status);
}

static void assert_reason(const char *text, const char *expected)
{
    struct json *status = NULL;
    assert_int_equal(json_parse(text, strlen(text), &status, NULL), 0);
    assert_string_equal(rows_reason(status), expected);
    json_free(status);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_reason(
        "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"AllUnitsRunning\"}]}", "");
    assert_reason(
        "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"Starting\"}]}", "Starting");
    assert_reason("{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NotAll\"},"
                  "{\"type\":\"Degraded\",\"status\":\"True\",\"reason\":\"Quarantined\"}]}",
        "Quarantined");
    assert_reason("{}", "");
}

/* A document of another version, or nonsense: empty cells, no crash. */
static void test_strange_status(void **state)
{
    static const char text[] =
        "{\"system\":7,\"actorStatuses\":[null,3,{\"path\":[]}],\"exits\":{},\"nodeStatuses\":\"x\"}";
    struct json *status = NULL;
    struct table table;
    (void)state;
    assert_int_equal(json_parse(text, strlen(text), &status, NULL), 0);
    rows_of_actors(status, true, now_ms, &table);
    assert_int_equal(table.cells.count, table.column_count * 4);
    table_done(&table);
    rows_of_exits(status, true, now_ms, &table);
    assert_int_equal(table.cells.count, table.column_count);
    table_done(&table);
    json_free(status);
}

static char *print_explanation(const char *text, bool is_dry)
{
    struct json *explanation = NULL;
    char *printed = NULL;
    size_t size;
    assert_int_equal(json_parse(text, strlen(text), &explanation, NULL), 0);
    FILE *out = open_memstream(&printed, &size);
    if (is_dry)
        explanation_print_dry(explanation, "bank", out);
    else
        explanation_print(explanation, out);
    (void)fclose(out);
    json_free(explanation);
    return printed;
}

static void test_explanations(void **state)
{
    (void)state;
    char *text =
        print_explanation("{\"unit\":\"a\",\"node\":\"n-0\",\"epoch\":\"1.2\",\"rule\":\"Initial\","
                          "\"placement\":{\"reason\":\"best of 2\","
                          "\"candidates\":[{\"node\":\"n-0\",\"chosen\":true,\"total\":150,\"scores\":{"
                          "\"Spread\":100,\"Load\":50}},"
                          "{\"node\":\"n-1\",\"chosen\":false,\"failedFilters\":[\"Pin\",\"Capacity\"]}]}}",
            false);
    assert_string_equal(text, "Unit:    a\nNode:    n-0\nEpoch:   1.2\nRule:    Initial\nChoice:  best of 2\n"
                              "    CANDIDATE   SCORE   WHY\n"
                              "*   n-0         150     Spread 100, Load 50\n"
                              "    n-1         -       not possible: Pin, Capacity\n");
    free(text);
    text = print_explanation(
        "{\"units\":[{\"unit\":\"a\",\"node\":\"n-0\",\"reason\":\"why\"},{\"unit\":\"b\",\"node\":null}]}",
        true);
    assert_string_equal(text, "UNIT     NODE   WHY\nbank/a   n-0    why\nbank/b   -\n");
    free(text);
}

static struct status *make_status(void)
{
    struct status *status = xcalloc(1, sizeof(*status));
    status->system = xstrdup("bank");
    status->conditions[CONDITION_READY].reason = xstrdup("NodesStarting");
    status->units_desired = 2;
    status->units_running = 1;
    status->nodes_desired = status->nodes_ready = 1;
    struct status_node *node = vec_push_new(&status->nodes);
    *node = (struct status_node){.node = xstrdup("n-0"), .state = xstrdup("Connected"), .pid = 7};
    struct status_unit *unit = vec_push_new(&status->units);
    *unit = (struct status_unit){.unit = xstrdup("tellers.0"),
        .node = xstrdup("n-0"),
        .state = xstrdup("Running"),
        .reason = xstrdup(""),
        .epoch = UINT64_C(1) << 32 | 2};
    unit = vec_push_new(&status->units);
    *unit = (struct status_unit){.unit = xstrdup("vandal"),
        .node = xstrdup(""),
        .state = xstrdup("Quarantined"),
        .reason = xstrdup("crashed\x1b twice")};
    struct status_actor *actor = vec_push_new(&status->actor_rows);
    *actor = (struct status_actor){.path = xstrdup("tellers.0/counter"),
        .unit = xstrdup("tellers.0"),
        .node = xstrdup("n-0"),
        .state = xstrdup("Running"),
        .incarnation = 2,
        .last_exit = xstrdup("boom"),
        .last_exit_wall_ms = 1000};
    return status;
}

static void free_status(struct status *status)
{
    vec_for_each (node, &status->nodes) {
        free(node->node);
        free(node->state);
    }
    vec_for_each (unit, &status->units) {
        free(unit->unit);
        free(unit->node);
        free(unit->state);
        free(unit->reason);
    }
    vec_for_each (actor, &status->actor_rows) {
        free(actor->path);
        free(actor->unit);
        free(actor->node);
        free(actor->state);
        free(actor->last_exit);
    }
    vec_done(&status->nodes);
    vec_done(&status->units);
    vec_done(&status->actor_rows);
    free(status->conditions[CONDITION_READY].reason);
    free(status->system);
    free(status);
}

static void test_tree(void **state)
{
    struct status *status = make_status();
    struct str text = STR_INIT(10000);
    (void)state;
    run_view_tree(status, 11000, 100, 200, &text);
    assert_string_equal(str_text(&text),
        "bank  not Ready: NodesStarting  units 1/2  nodes 1/1  restarts 0  11s\n"
        "  n-0                  Connected    pid 7\n"
        "    tellers.0            Running      1.2\n"
        "        counter          Running      #2  last exit: boom, 10s\n"
        "  (nowhere)\n"
        "    vandal               Quarantined  -  crashed  twice\n");
    str_clear(&text);
    run_view_tree(status, 11000, 3, 20, &text);
    assert_string_equal(str_text(&text),
        "bank  not Ready: Nod\n  n-0               \n... 4 more lines: `histrio get actors`\n");
    str_done(&text);
    free_status(status);
}

static void test_view_without_terminal(void **state)
{
    struct status *status = make_status();
    struct run_view view;
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    struct run_event event = {"NodeLost", "killed", "n-0", true, 1000};
    (void)state;
    run_view_init(&view, out, false);
    run_view_event(&view, &event);
    run_view_status(&view, status);
    (void)fflush(out);
    assert_string_equal(printed, "00:00:01 ! NodeLost n-0: killed\n");
    status->conditions[CONDITION_READY].is_true = true;
    run_view_status(&view, status);
    run_view_status(&view, status); /* only once */
    (void)fclose(out);
    char *first = strstr(printed, "bank  Ready");
    assert_non_null(first);
    assert_null(strstr(first + 1, "bank  Ready"));
    run_view_done(&view);
    free(printed);
    free_status(status);
}

const struct CMUnitTest rows_tests[] = {
    cmocka_unit_test(test_tables),
    cmocka_unit_test(test_wide_actors),
    cmocka_unit_test(test_reasons),
    cmocka_unit_test(test_strange_status),
    cmocka_unit_test(test_explanations),
    cmocka_unit_test(test_tree),
    cmocka_unit_test(test_view_without_terminal),
};
const size_t rows_test_count = sizeof(rows_tests) / sizeof(rows_tests[0]);
