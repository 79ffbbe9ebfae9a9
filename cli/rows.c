#include "cli/rows.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/age.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const struct json *object, const char *member)
{
    return json_string(json_get(object, member));
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

const struct json *rows_condition(const struct json *status, const char *type)
{
    return rows_find(json_get(status, "conditions"), "type", type);
}

const struct json *rows_find(const struct json *list, const char *member, const char *name)
{
    json_for_each(row, list)
    {
        if (text_equal(text_of(row, member), name))
            return row;
    }
    return NULL;
}

const char *rows_reason(const struct json *status)
{
    static const char *const types[] = {"Stalled", "Degraded", "Reconciling"};
    const struct json *ready = rows_condition(status, "Ready");
    if (text_equal(text_of(ready, "status"), "True"))
        return "";
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct json *condition = rows_condition(status, types[i]);
        if (text_equal(text_of(condition, "status"), "True") && *text_of(condition, "reason"))
            return text_of(condition, "reason");
    }
    return text_of(ready, "reason");
}

static const char *age_of(const struct json *row, const char *member, int64_t now_ms, char *buffer)
{
    const char *time = text_of(row, member);
    return *time ? age_format(now_ms - age_parse_time(time), buffer) : "";
}

static void add_number(struct table *table, const struct json *row, const char *member)
{
    table_addf(table, "%llu", (unsigned long long)json_uint(json_get(row, member)));
}

static void add_count(struct table *table, const struct json *object, const char *have, const char *wanted)
{
    table_addf(table, "%llu/%llu", (unsigned long long)json_uint(json_get(object, have)),
        (unsigned long long)json_uint(json_get(object, wanted)));
}

void rows_begin_systems(struct table *ret_table)
{
    static const char *const headings[] = {
        "NAME", "READY", "UNITS", "NODES", "RESTARTS", "REASON", "AGE", NULL};
    table_init(ret_table, headings);
}

void rows_add_system(const struct json *status, int64_t now_ms, struct table *table)
{
    char age[AGE_TEXT_BYTES];
    const char *ready = text_of(rows_condition(status, "Ready"), "status");
    table_add(table, text_of(status, "system"));
    table_add(table, *ready ? ready : "Unknown");
    add_count(table, json_get(status, "units"), "running", "desired");
    add_count(table, json_get(status, "nodes"), "ready", "desired");
    add_number(table, status, "restarts");
    table_add(table, rows_reason(status));
    table_add(table, age_of(status, "startedAt", now_ms, age));
}

void rows_of_nodes(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table)
{
    static const char *const plain[] = {"NODE", "STATE", "UNITS", "ACTORS", "RESTARTS", "PID", "AGE", NULL};
    static const char *const wide[] = {"NODE", "STATE", "UNITS", "ACTORS", "RESTARTS", "PID", "AGE", "UID",
        "MAILBOXES", "MESSAGES", "GATEWAY", NULL};
    char age[AGE_TEXT_BYTES];
    table_init(ret_table, is_wide ? wide : plain);
    json_for_each(node, json_get(status, "nodeStatuses"))
    {
        table_add(ret_table, text_of(node, "node"));
        table_add(ret_table, text_of(node, "state"));
        add_number(ret_table, node, "units");
        add_number(ret_table, node, "actors");
        add_number(ret_table, node, "runtimeRestarts");
        add_number(ret_table, node, "pid");
        table_add(ret_table, age_of(node, "startedAt", now_ms, age));
        if (!is_wide)
            continue;
        table_add(ret_table, text_of(node, "uid"));
        add_number(ret_table, node, "mailboxDepth");
        add_number(ret_table, node, "messages");
        table_add(ret_table, text_of(node, "gatewayAddress"));
    }
}

void rows_of_units(const struct json *status, bool is_wide, struct table *ret_table)
{
    static const char *const plain[] = {"UNIT", "NODE", "STATE", "EPOCH", "RESTARTS", "RULE", NULL};
    static const char *const wide[] = {"UNIT", "NODE", "STATE", "EPOCH", "RESTARTS", "RULE", "REASON", NULL};
    table_init(ret_table, is_wide ? wide : plain);
    json_for_each(unit, json_get(status, "unitStatuses"))
    {
        table_addf(ret_table, "%s/%s", text_of(status, "system"), text_of(unit, "unit"));
        table_add(ret_table, or_dash(text_of(unit, "node")));
        table_add(ret_table, text_of(unit, "state"));
        table_add(ret_table, or_dash(text_of(unit, "epoch")));
        add_number(ret_table, unit, "restarts");
        table_add(ret_table, text_of(unit, "rule"));
        if (is_wide)
            table_add(ret_table, text_of(unit, "reason"));
    }
}

static const char *kube_node_of(const struct json *status, const char *node)
{
    return text_of(rows_find(json_get(status, "nodeStatuses"), "node", node), "kubeNode");
}

void rows_of_actors(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table)
{
    static const char *const plain[] = {"ACTOR", "NODE", "STATE", "EPOCH", "INCARNATION", "LAST EXIT", NULL};
    static const char *const wide[] = {"ACTOR", "NODE", "KUBE NODE", "STATE", "EPOCH", "INCARNATION",
        "MAILBOX", "BEHAVIOR", "LAST EXIT", NULL};
    char age[AGE_TEXT_BYTES];
    table_init(ret_table, is_wide ? wide : plain);
    json_for_each(actor, json_get(status, "actorStatuses"))
    {
        const char *node = text_of(actor, "node");
        const char *last_exit = text_of(actor, "lastExit");
        table_addf(ret_table, "%s/%s", text_of(status, "system"), text_of(actor, "path"));
        table_add(ret_table, or_dash(node));
        if (is_wide)
            table_add(ret_table, or_dash(kube_node_of(status, node)));
        table_add(ret_table, text_of(actor, "state"));
        table_add(ret_table, or_dash(text_of(actor, "epoch")));
        add_number(ret_table, actor, "incarnation");
        if (is_wide) {
            add_number(ret_table, actor, "mailboxDepth");
            table_add(ret_table, text_of(actor, "behavior"));
        }
        if (*last_exit && *text_of(actor, "lastExitAt"))
            table_addf(ret_table, "%s, %s ago", last_exit, age_of(actor, "lastExitAt", now_ms, age));
        else
            table_add(ret_table, last_exit);
    }
}

/* The first line of a backtrace, for the table; `-o json` has all of it. The C library's frame of the signal
 * says nothing. */
static const char *first_line(const char *text, char *buffer, size_t size)
{
    const char *next = strchr(text, '\n');
    if (next && next[1] && memmem(text, (size_t)(next - text), "/libc.so", strlen("/libc.so")))
        text = next + 1;
    (void)snprintf(buffer, size, "%.*s", (int)(size - 1), text);
    for (char *at = buffer; *at; at++) {
        if (*at == '\n') {
            *at = '\0';
            break;
        }
    }
    return buffer;
}

void rows_of_exits(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table)
{
    static const char *const plain[] = {
        "AGE", "ACTOR", "NODE", "EPOCH", "INCARNATION", "DECISION", "CAUSE", "REASON", NULL};
    static const char *const wide[] = {"AGE", "ACTOR", "NODE", "EPOCH", "INCARNATION", "DECISION", "CAUSE",
        "RULE", "UNIT", "REASON", "BACKTRACE", NULL};
    char age[AGE_TEXT_BYTES], line[120];
    table_init(ret_table, is_wide ? wide : plain);
    json_for_each(row, json_get(status, "exits"))
    {
        table_add(ret_table, age_of(row, "at", now_ms, age));
        table_add(ret_table, text_of(row, "actor"));
        table_add(ret_table, or_dash(text_of(row, "node")));
        table_add(ret_table, or_dash(text_of(row, "epoch")));
        add_number(ret_table, row, "incarnation");
        table_add(ret_table, or_dash(text_of(row, "decision")));
        table_add(ret_table, or_dash(text_of(row, "cause")));
        if (is_wide) {
            table_add(ret_table, or_dash(text_of(row, "rule")));
            table_add(ret_table, or_dash(text_of(row, "unit")));
        }
        table_add(ret_table, text_of(row, "reason"));
        if (is_wide)
            table_add(ret_table, first_line(text_of(row, "backtrace"), line, sizeof(line)));
    }
}
