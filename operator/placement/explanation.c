#include "placement/explanation.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/unit.h"

enum { REASON_BYTES = 512, FILTER_COUNT = 8 };

static const char *const filter_names[FILTER_COUNT] = {
    "Ready", "Cordoned", "Capacity", "Pin", "KubeNodeSelector", "ColocateWith", "AntiAffinity", "Leaving"};

void placement_filters_append(unsigned filters, struct str *out)
{
    bool is_first = true;
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        if (!(filters & 1u << i))
            continue;
        str_appendf(out, "%s%s", is_first ? "" : ", ", filter_names[i]);
        is_first = false;
    }
}

void explainer_add(
    struct explainer *explainer, size_t node, unsigned failed, const int32_t *scores, int32_t total)
{
    struct explained_node *row = vec_push_new(&explainer->rows);
    row->node = node;
    row->failed = failed;
    row->total = total;
    memcpy(row->scores, scores, sizeof(row->scores));
}

/* Those that passed first, the best of them at the top. */
static int compare_rows(const void *left, const void *right)
{
    const struct explained_node *a = left;
    const struct explained_node *b = right;
    if ((a->failed == 0) != (b->failed == 0))
        return a->failed == 0 ? -1 : 1;
    if (a->total != b->total)
        return a->total > b->total ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

static void append_refusals(const struct explainer *explainer, struct str *out)
{
    size_t counts[FILTER_COUNT] = {0};
    bool is_first = true;
    vec_for_each (row, &explainer->rows)
        for (size_t i = 0; i < FILTER_COUNT; i++)
            counts[i] += (row->failed >> i) & 1u;
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        if (!counts[i])
            continue;
        str_appendf(out, "%s%zu by %s", is_first ? "" : ", ", counts[i], filter_names[i]);
        is_first = false;
    }
}

/* What made the winner better than the second: the score with the largest lead. */
static const char *deciding_score(const struct explained_node *first, const struct explained_node *second)
{
    const char *name = NULL;
    int32_t lead_max = 0;
    for (size_t i = 0; i < SCORE_COUNT; i++) {
        int32_t lead = first->scores[i] - second->scores[i];
        if (lead > lead_max) {
            lead_max = lead;
            name = placement_score_names[i];
        }
    }
    return name;
}

static char *reason_text(const struct explainer *explainer, const struct explained_node *winner)
{
    struct str text = STR_INIT(REASON_BYTES);
    size_t passed = 0;
    const struct explained_node *second = NULL;
    vec_for_each (row, &explainer->rows) {
        passed += row->failed == 0;
        if (row->failed == 0 && row != winner && !second)
            second = row;
    }
    if (!winner && explainer->rows.count == 0) {
        str_append(&text, "there are no nodes");
    } else if (!winner) {
        str_appendf(&text, "no node passed the filters (of %zu: ", explainer->rows.count);
        append_refusals(explainer, &text);
        str_append_char(&text, ')');
    } else if (!second) {
        str_append(&text, "the only node that passed the filters");
    } else if (winner->total == second->total) {
        str_appendf(&text, "as good as others among %zu candidates; the stable hash of unit and node decided",
            passed);
    } else {
        const char *name = deciding_score(winner, second);
        str_appendf(&text, "the best of %zu candidates, by %s", passed, name ? name : "the sum of scores");
    }
    return str_steal(&text);
}

void explainer_finish(
    struct explainer *explainer, size_t chosen, struct placement_explanation *ret_explanation)
{
    struct placement_explanation explanation = {.unit = xstrdup(explainer->unit->name)};
    const struct explained_node *winner = NULL;
    vec_sort(&explainer->rows, compare_rows);
    for (size_t i = 0; i < explainer->rows.count; i++) {
        struct explained_node row = explainer->rows.items[i];
        if (row.node != chosen)
            continue;
        vec_remove_at(&explainer->rows, i); /* to the front: of equal ones any may have been chosen */
        vec_insert_at(&explainer->rows, 0, row);
        winner = &explainer->rows.items[0];
        break;
    }
    explanation.reason = reason_text(explainer, winner);
    vec_for_each (row, &explainer->rows) {
        const char *name = explainer->board->nodes.items[row->node].name;
        if (row == winner)
            explanation.chosen = xstrdup(name);
        if (explanation.candidates.count >= PLACEMENT_CANDIDATES_MAX) {
            explanation.candidates_left_out++;
            continue;
        }
        struct placement_candidate *candidate = vec_push_new(&explanation.candidates);
        candidate->node = xstrdup(name);
        candidate->failed_filters = row->failed;
        candidate->total = row->total;
        candidate->is_chosen = row == winner;
        memcpy(candidate->scores, row->scores, sizeof(candidate->scores));
    }
    vec_done(&explainer->rows);
    *ret_explanation = explanation;
}

void placement_explanation_done(struct placement_explanation *explanation)
{
    free(explanation->unit);
    free(explanation->chosen);
    free(explanation->reason);
    free(explanation->rule);
    vec_for_each (candidate, &explanation->candidates)
        free(candidate->node);
    vec_done(&explanation->candidates);
    *explanation = (struct placement_explanation){0};
}

static void candidate_to_json(const struct placement_candidate *candidate, struct json *row)
{
    (void)json_set_string(row, "node", candidate->node);
    (void)json_set_bool(row, "chosen", candidate->is_chosen);
    if (candidate->failed_filters) {
        struct json *failed = json_set_array(row, "failedFilters");
        for (size_t i = 0; i < FILTER_COUNT; i++)
            if (candidate->failed_filters & 1u << i)
                (void)json_add_string(failed, filter_names[i]);
        return;
    }
    struct json *scores = json_set_object(row, "scores");
    for (size_t i = 0; i < SCORE_COUNT; i++)
        (void)json_set_int(scores, placement_score_names[i], candidate->scores[i]);
    (void)json_set_int(row, "total", candidate->total);
}

struct json *placement_explanation_to_json(const struct placement_explanation *explanation)
{
    struct json *json = json_object_new();
    (void)json_set_string(json, "unit", explanation->unit);
    (void)json_set_string(json, "node", explanation->chosen);
    (void)json_set_string(json, "reason", explanation->reason);
    if (explanation->rule)
        (void)json_set_string(json, "rule", explanation->rule);
    if (explanation->at_wall_ms)
        (void)json_set_int(json, "atMs", explanation->at_wall_ms);
    struct json *candidates = json_set_array(json, "candidates");
    vec_for_each (candidate, &explanation->candidates)
        candidate_to_json(candidate, json_add_object(candidates));
    if (explanation->candidates_left_out)
        (void)json_set_uint(json, "candidatesLeftOut", explanation->candidates_left_out);
    return json;
}
