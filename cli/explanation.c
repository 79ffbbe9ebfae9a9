#include "cli/explanation.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "cli/table.h"

static const char *text_of(const struct json *object, const char *member)
{
    return json_string(json_get(object, member));
}

static void print_table(struct table *table, FILE *out)
{
    struct str text = STR_INIT(LIMIT_FILE_BYTES);
    table_write(table, &text);
    (void)fwrite(str_text(&text), 1, text.size, out); /* cli_main looks at the stream's state */
    str_done(&text);
    table_done(table);
}

/* "Pin, Capacity" of failed filters, or "Spread 100, Balance 50". */
static void describe_candidate(const struct json *candidate, struct str *out)
{
    const struct json *filters = json_get(candidate, "failedFilters");
    const struct json *scores = json_get(candidate, "scores");
    if (json_count(filters) > 0)
        str_append(out, "not possible: ");
    for (size_t i = 0; i < json_count(filters); i++)
        str_appendf(out, "%s%s", i > 0 ? ", " : "", json_string(json_at(filters, i)));
    for (size_t i = 0; i < json_count(scores) && json_count(filters) == 0; i++)
        str_appendf(out, "%s%s %lld", i > 0 ? ", " : "", json_key_at(scores, i),
            (long long)json_int(json_at(scores, i)));
}

static void print_candidates(const struct json *candidates, FILE *out)
{
    static const char *const headings[] = {"", "CANDIDATE", "SCORE", "WHY", NULL};
    struct table table;
    if (json_count(candidates) == 0)
        return;
    table_init(&table, headings);
    json_for_each(candidate, candidates)
    {
        struct str why = STR_INIT(1024);
        describe_candidate(candidate, &why);
        table_add(&table, json_bool(json_get(candidate, "chosen")) ? "*" : "");
        table_add(&table, text_of(candidate, "node"));
        if (json_count(json_get(candidate, "failedFilters")) > 0)
            table_add(&table, "-");
        else
            table_addf(&table, "%lld", (long long)json_int(json_get(candidate, "total")));
        table_add(&table, str_text(&why));
        str_done(&why);
    }
    print_table(&table, out);
}

static void print_field(const struct json *explanation, const char *member, const char *title, FILE *out)
{
    const char *text = text_of(explanation, member);
    if (*text)
        (void)fprintf(out, "%-8s %s\n", title, text); /* cli_main looks at the stream's state */
}

void explanation_print(const struct json *explanation, FILE *out)
{
    const struct json *placement = json_get(explanation, "placement");
    print_field(explanation, "unit", "Unit:", out);
    print_field(explanation, "node", "Node:", out);
    print_field(explanation, "epoch", "Epoch:", out);
    print_field(explanation, "state", "State:", out);
    print_field(explanation, "rule", "Rule:", out);
    print_field(explanation, "reason", "Reason:", out);
    if (!json_is_null(placement))
        print_field(placement, "reason", "Choice:", out);
    print_candidates(json_get(placement, "candidates"), out);
}

void explanation_print_dry(const struct json *dry, const char *system, FILE *out)
{
    static const char *const headings[] = {"UNIT", "NODE", "WHY", NULL};
    struct table table;
    table_init(&table, headings);
    json_for_each(row, json_get(dry, "units"))
    {
        table_addf(&table, "%s/%s", system, text_of(row, "unit"));
        table_add(&table, *text_of(row, "node") ? text_of(row, "node") : "-");
        table_add(&table, text_of(row, "reason"));
    }
    print_table(&table, out);
}
