#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "placement/dry.h"
#include "placement/placement.h"
#include "types/system.h"
#include "types/unit.h"

static struct entry_spec *add_entry(struct system_spec *spec, const char *name, uint32_t replicas)
{
    struct entry_spec *entry = vec_push_new(&spec->entries);
    entry->root.name = xstrdup(name);
    entry->root.under = xstrdup("");
    entry->has_replicas = replicas > 1;
    entry->replicas = replicas;
    entry->index = spec->entries.count - 1;
    return entry;
}

static struct system_spec *new_spec(void)
{
    struct system_spec *spec = system_spec_new();
    spec->name = xstrdup("bank");
    vec_reserve(&spec->entries, 8); /* tests keep pointers to entries */
    return spec;
}

/* Units of a spec on n plain nodes. */
struct stage {
    struct system_spec *spec;
    struct unit_list units;
    struct placement_board *board;
};

static struct stage stage_new(struct system_spec *spec, uint32_t nodes)
{
    struct stage stage = {.spec = spec, .board = placement_board_new()};
    units_from_spec(spec, &stage.units);
    for (uint32_t i = 0; i < nodes; i++) {
        char *name = xasprintf("n%u", i);
        struct placement_node node = {.name = name, .index = i, .is_ready = true};
        (void)placement_board_add_node(stage.board, &node);
        free(name);
    }
    return stage;
}

static void stage_done(struct stage *stage)
{
    placement_board_free(stage->board);
    unit_list_done(&stage->units);
    system_spec_unref(stage->spec);
}

static const struct unit_spec *unit_of(const struct stage *stage, const char *name)
{
    return unit_list_find(&stage->units, name);
}

static size_t place(struct stage *stage, const char *name)
{
    const struct unit_spec *unit = unit_of(stage, name);
    size_t node = placement_choose(stage->board, unit, NULL, NULL);
    if (node != PLACEMENT_NOWHERE)
        placement_board_put(stage->board, unit, node);
    return node;
}

static void replicas_spread_over_nodes(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "tellers", 4);
    struct stage stage = stage_new(spec, 3);
    for (size_t i = 0; i < stage.units.units.count; i++)
        assert_int_not_equal(place(&stage, stage.units.units.items[i].name), PLACEMENT_NOWHERE);
    uint32_t most = 0;
    for (size_t node = 0; node < 3; node++) {
        assert_true(placement_board_count(stage.board, node) >= 1);
        most =
            placement_board_count(stage.board, node) > most ? placement_board_count(stage.board, node) : most;
    }
    assert_int_equal(most, 2);
    stage_done(&stage);
}

static void pack_fills_one_node_up_to_its_capacity(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    add_entry(spec, "tellers", 5)->placement.spread = SPREAD_PACK;
    struct stage stage = stage_new(spec, 0);
    for (uint32_t i = 0; i < 3; i++) {
        struct placement_node node = {.name = i == 0   ? "a"
                                              : i == 1 ? "b"
                                                       : "c",
            .index = i,
            .is_ready = true,
            .capacity_units = 3};
        (void)placement_board_add_node(stage.board, &node);
    }
    for (size_t i = 0; i < 5; i++)
        (void)place(&stage, stage.units.units.items[i].name);
    uint32_t counts[3];
    for (size_t i = 0; i < 3; i++)
        counts[i] = placement_board_count(stage.board, i);
    assert_int_equal(counts[0] + counts[1] + counts[2], 5);
    assert_true(counts[0] == 3 || counts[1] == 3 || counts[2] == 3);
    assert_true(counts[0] == 0 || counts[1] == 0 || counts[2] == 0);
    stage_done(&stage);
}

static void zones_are_spread_before_nodes(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    add_entry(spec, "tellers", 2)->placement.spread = SPREAD_ZONE;
    (void)add_entry(spec, "ballast", 3);
    struct stage stage = stage_new(spec, 0);
    static const char *const zones[] = {"east", "east", "west"};
    static const char *const names[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < 3; i++) {
        struct placement_node node = {.name = names[i], .index = i, .zone = zones[i], .is_ready = true};
        (void)placement_board_add_node(stage.board, &node);
    }
    /* The only node of the west is full of others: the zone still decides. */
    for (size_t i = 0; i < 3; i++) {
        char *name = xasprintf("ballast.%zu", i);
        placement_board_put(stage.board, unit_of(&stage, name), 2);
        free(name);
    }
    size_t first = place(&stage, "tellers.0");
    size_t second = place(&stage, "tellers.1");
    assert_true((first == 2) != (second == 2));
    stage_done(&stage);
}

static void filters_forbid(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    struct entry_spec *entry = add_entry(spec, "a", 1);
    label_list_add(&entry->placement.pin, "index", "1");
    struct stage stage = stage_new(spec, 3);
    struct placement_explanation explanation = {0};
    assert_int_equal(placement_choose(stage.board, unit_of(&stage, "a"), NULL, &explanation), 1);
    assert_string_equal(explanation.reason, "the only node that passed the filters");
    placement_explanation_done(&explanation);
    label_list_add(&entry->placement.kube_node_selector, "disk", "ssd");
    assert_int_equal(
        placement_choose(stage.board, unit_of(&stage, "a"), NULL, &explanation), PLACEMENT_NOWHERE);
    assert_string_equal(
        explanation.reason, "no node passed the filters (of 3: 2 by Pin, 3 by KubeNodeSelector)");
    assert_null(explanation.chosen);
    placement_explanation_done(&explanation);
    stage_done(&stage);
}

static void nodes_that_cannot_are_left_out(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 3);
    struct stage stage = stage_new(spec, 0);
    struct placement_node down = {.name = "down"};
    struct placement_node cordoned = {.name = "cordoned", .is_ready = true, .is_cordoned = true};
    struct placement_node small = {.name = "small", .is_ready = true, .capacity_units = 2};
    (void)placement_board_add_node(stage.board, &down);
    (void)placement_board_add_node(stage.board, &cordoned);
    (void)placement_board_add_node(stage.board, &small);
    assert_int_equal(place(&stage, "a.0"), 2);
    assert_int_equal(place(&stage, "a.1"), 2);
    assert_int_equal(place(&stage, "a.2"), PLACEMENT_NOWHERE);
    stage_done(&stage);
}

static void colocation_and_anti_affinity(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "db", 3);
    add_entry(spec, "cache", 3)->placement.colocate_with = xstrdup("db");
    vec_push(&add_entry(spec, "noisy", 1)->placement.anti_affinity, xstrdup("cache"));
    struct stage stage = stage_new(spec, 4);
    assert_int_equal(place(&stage, "cache.1"), PLACEMENT_NOWHERE); /* its companion is not placed yet */
    for (unsigned i = 0; i < 3; i++) {
        char *db = xasprintf("db.%u", i);
        char *cache = xasprintf("cache.%u", i);
        size_t node = place(&stage, db);
        assert_int_equal(place(&stage, cache), node); /* the replica of the same number */
        free(db);
        free(cache);
    }
    size_t noisy = place(&stage, "noisy");
    assert_int_equal(placement_board_count(stage.board, noisy), 1); /* the one node without a cache */
    /* And the other way round: nothing of cache may come to it. */
    placement_board_remove(stage.board, unit_of(&stage, "cache.0"));
    placement_board_remove(stage.board, unit_of(&stage, "db.0"));
    placement_board_put(stage.board, unit_of(&stage, "db.0"), noisy);
    assert_int_equal(place(&stage, "cache.0"), PLACEMENT_NOWHERE);
    stage_done(&stage);
}

static void violations_are_seen_where_a_unit_is(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    struct entry_spec *entry = add_entry(spec, "a", 2);
    vec_push(&entry->placement.anti_affinity, xstrdup("a"));
    struct stage stage = stage_new(spec, 2);
    placement_board_put(stage.board, unit_of(&stage, "a.0"), 0);
    assert_int_equal(placement_violations(stage.board, unit_of(&stage, "a.0")), 0); /* not against itself */
    placement_board_put(stage.board, unit_of(&stage, "a.1"), 0);
    assert_int_equal(placement_violations(stage.board, unit_of(&stage, "a.0")), FILTER_ANTI_AFFINITY);
    placement_board_remove(stage.board, unit_of(&stage, "a.1"));
    label_list_add(&entry->placement.pin, "node", "n1");
    assert_int_equal(placement_violations(stage.board, unit_of(&stage, "a.0")), FILTER_PIN);
    stage_done(&stage);
}

static void staying_wins_ties_and_failure_is_avoided(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 1);
    struct stage stage = stage_new(spec, 4);
    const struct unit_spec *unit = unit_of(&stage, "a");
    for (unsigned i = 0; i < 4; i++) {
        char *name = xasprintf("n%u", i);
        struct placement_hint stay = {.present_node = name};
        assert_int_equal(placement_choose(stage.board, unit, &stay, NULL), i);
        struct placement_hint flee = {.present_node = name, .failed_node = name};
        assert_int_not_equal(placement_choose(stage.board, unit, &flee, NULL), i);
        free(name);
    }
    stage_done(&stage);
}

/* A cordon keeps units away, and those that are there may stay; a node that leaves loses them. */
static void cordons_keep_and_departures_do_not(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 3);
    struct stage stage = stage_new(spec, 0);
    struct placement_node rows[] = {{.name = "cordoned", .is_ready = true, .is_cordoned = true},
        {.name = "leaving", .is_ready = true, .is_leaving = true}, {.name = "good", .is_ready = true}};
    for (size_t i = 0; i < 3; i++)
        (void)placement_board_add_node(stage.board, &rows[i]);
    placement_board_put(stage.board, unit_of(&stage, "a.0"), 0);
    placement_board_put(stage.board, unit_of(&stage, "a.1"), 1);
    assert_int_equal(placement_violations(stage.board, unit_of(&stage, "a.0")), 0);
    assert_int_equal(placement_violations(stage.board, unit_of(&stage, "a.1")), FILTER_LEAVING);
    assert_int_equal(placement_filters(stage.board, unit_of(&stage, "a.2"), 0), FILTER_CORDONED);
    assert_int_equal(placement_filters(stage.board, unit_of(&stage, "a.0"), 1), FILTER_LEAVING);
    assert_int_equal(placement_filters(stage.board, unit_of(&stage, "a.1"), 2), 0);
    assert_int_equal(place(&stage, "a.2"), 2);
    stage_done(&stage);
}

/* However full the others are: who goes to a node that will be replaced moves twice. */
static void outdated_nodes_come_last_and_askers_first(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 9);
    struct stage stage = stage_new(spec, 2);
    struct placement_node outdated = {.name = "outdated", .is_ready = true, .is_outdated = true};
    (void)placement_board_add_node(stage.board, &outdated);
    for (unsigned i = 0; i < 8; i++) {
        char *name = xasprintf("a.%u", i);
        assert_int_not_equal(place(&stage, name), 2);
        free(name);
    }
    struct placement_hint hint = {.present_node = "n0", .failed_node = "outdated", .asked_node = "outdated"};
    struct placement_explanation explanation = {0};
    assert_int_equal(placement_choose(stage.board, unit_of(&stage, "a.8"), &hint, &explanation), 2);
    assert_non_null(strstr(explanation.reason, "Asked"));
    placement_explanation_done(&explanation);
    stage_done(&stage);
}

static void equal_questions_get_equal_answers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct system_spec *spec = new_spec();
        (void)add_entry(spec, "a", (uint32_t)rng_between(&rng, 1, 30));
        (void)add_entry(spec, "b", (uint32_t)rng_between(&rng, 1, 30));
        uint32_t nodes = (uint32_t)rng_between(&rng, 1, 9);
        struct dry_placement first;
        struct dry_placement second;
        placement_dry(spec, nodes, 0, &first);
        placement_dry(spec, nodes, 0, &second);
        uint32_t counts[9] = {0};
        assert_int_equal(first.impossible, 0);
        for (size_t i = 0; i < first.rows.count; i++) {
            assert_string_equal(first.rows.items[i].chosen, second.rows.items[i].chosen);
            counts[first.rows.items[i].chosen[strlen("bank-nodes-")] - '0']++;
        }
        for (uint32_t i = 1; i < nodes; i++) /* even: all nodes within two of each other (one an entry) */
            assert_true(counts[i] <= counts[0] + 2 && counts[0] <= counts[i] + 2);
        dry_placement_done(&first);
        dry_placement_done(&second);
        system_spec_unref(spec);
    }
}

static void a_lost_node_moves_only_its_own(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 9);
    struct stage stage = stage_new(spec, 2);
    struct placement_node third = {.name = "n2", .index = 2, .is_ready = true};
    struct placement_node gone = {.name = "gone", .index = 3};
    (void)placement_board_add_node(stage.board, &third);
    (void)placement_board_add_node(stage.board, &gone);
    for (size_t i = 0; i < 6; i++)
        placement_board_put(stage.board, &stage.units.units.items[i], i % 3);
    for (size_t i = 6; i < 9; i++) /* three that were on the lost node: one for each that is left */
        (void)place(&stage, stage.units.units.items[i].name);
    for (size_t node = 0; node < 3; node++)
        assert_int_equal(placement_board_count(stage.board, node), 3);
    stage_done(&stage);
}

static void dry_runs_say_what_is_impossible(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    vec_push(&add_entry(spec, "a", 3)->placement.anti_affinity, xstrdup("a"));
    add_entry(spec, "late", 1)->placement.colocate_with = xstrdup("z");
    (void)add_entry(spec, "z", 1);
    struct dry_placement result;
    placement_dry(spec, 2, 7, &result);
    assert_int_equal(result.impossible, 1);
    assert_null(result.rows.items[2].chosen);
    assert_string_equal(result.rows.items[2].reason, "no node passed the filters (of 2: 2 by AntiAffinity)");
    assert_string_equal(result.rows.items[3].chosen, result.rows.items[4].chosen); /* late waits for z */
    struct json *json = dry_placement_to_json(&result);
    const struct json *row = json_at(json_get(json, "units"), 0);
    assert_string_equal(json_string(json_get(row, "unit")), "a.0");
    assert_true(text_starts_with(json_string(json_get(row, "node")), "bank-nodes-"));
    assert_int_equal(json_count(json_get(row, "candidates")), 2);
    assert_true(json_bool(json_get(json_at(json_get(row, "candidates"), 0), "chosen")));
    assert_int_equal(json_count(json_get(json_at(json_get(row, "candidates"), 0), "scores")), SCORE_COUNT);
    json_free(json);
    dry_placement_done(&result);
    system_spec_unref(spec);
}

static void explanations_are_bounded(void **state)
{
    (void)state;
    struct system_spec *spec = new_spec();
    (void)add_entry(spec, "a", 1);
    struct stage stage = stage_new(spec, 100);
    struct placement_explanation explanation = {0};
    (void)placement_choose(stage.board, unit_of(&stage, "a"), NULL, &explanation);
    assert_int_equal(explanation.candidates.count, PLACEMENT_CANDIDATES_MAX);
    assert_int_equal(explanation.candidates_left_out, 100 - PLACEMENT_CANDIDATES_MAX);
    bool has_chosen = false;
    vec_for_each (candidate, &explanation.candidates)
        has_chosen = has_chosen || candidate->is_chosen;
    assert_true(has_chosen);
    placement_explanation_done(&explanation);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_spread_over_nodes),
        cmocka_unit_test(pack_fills_one_node_up_to_its_capacity),
        cmocka_unit_test(zones_are_spread_before_nodes),
        cmocka_unit_test(filters_forbid),
        cmocka_unit_test(nodes_that_cannot_are_left_out),
        cmocka_unit_test(colocation_and_anti_affinity),
        cmocka_unit_test(violations_are_seen_where_a_unit_is),
        cmocka_unit_test(staying_wins_ties_and_failure_is_avoided),
        cmocka_unit_test(cordons_keep_and_departures_do_not),
        cmocka_unit_test(outdated_nodes_come_last_and_askers_first),
        cmocka_unit_test(equal_questions_get_equal_answers),
        cmocka_unit_test(a_lost_node_moves_only_its_own),
        cmocka_unit_test(dry_runs_say_what_is_impossible),
        cmocka_unit_test(explanations_are_bounded),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
