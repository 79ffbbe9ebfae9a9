#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"

/* ---- specs ---- */

static struct entry_spec *add_entry(struct system_spec *spec, const char *name)
{
    struct entry_spec *entry = vec_push_new(&spec->entries);
    entry->root.name = xstrdup(name);
    entry->root.under = xstrdup("");
    entry->root.behavior_c = xasprintf("l.%s", name);
    entry->replicas = 1;
    return entry;
}

static struct system_spec *a_spec(void)
{
    struct system_spec *spec = system_spec_new();
    spec->name = xstrdup("bank");
    spec->generation = 1;
    spec->nodes.replicas = 3;
    (void)add_entry(spec, "ledger");
    struct entry_spec *tellers = add_entry(spec, "tellers");
    tellers->has_replicas = true;
    tellers->replicas = 3;
    struct entry_spec *account = add_entry(spec, "account");
    account->keyed = (struct keyed_spec){true, 2, 1000};
    return spec;
}

static void units_are_entries_replicas_and_shards(void **state)
{
    (void)state;
    struct system_spec *spec = a_spec();
    struct unit_list list;
    units_from_spec(spec, &list);
    system_spec_unref(spec); /* the list keeps it */
    static const char *const expected[] = {
        "ledger", "tellers.0", "tellers.1", "tellers.2", "account.0", "account.1"};
    assert_int_equal(list.units.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(list.units.items[i].name, expected[i]);
    assert_int_equal(unit_list_find(&list, "tellers.2")->replica, 2);
    assert_null(unit_list_find(&list, "tellers"));
    assert_null(unit_list_find(&list, "tellers.3"));
    unit_list_done(&list);
}

static int64_t generation_of(struct system_spec *spec, const char *name)
{
    struct unit_list list;
    units_from_spec(spec, &list);
    int64_t generation = unit_list_find(&list, name)->generation;
    unit_list_done(&list);
    assert_true(generation > 0);
    return generation;
}

static void a_generation_changes_with_what_restarts_a_unit(void **state)
{
    (void)state;
    struct system_spec *spec = a_spec();
    struct entry_spec *ledger = &spec->entries.items[0];
    int64_t before = generation_of(spec, "ledger");
    assert_int_equal(before, generation_of(spec, "ledger"));
    assert_int_not_equal(before, generation_of(spec, "tellers.0"));
    ledger->placement.spread = SPREAD_PACK;
    ledger->root.mailbox.capacity = 5;
    spec->supervision.intensity.restarts = 9;
    assert_int_equal(before, generation_of(spec, "ledger")); /* live */
    ledger->root.arguments = xmemdup("\x90", 1);
    ledger->root.arguments_size = 1;
    assert_int_not_equal(before, generation_of(spec, "ledger"));
    system_spec_unref(spec);
}

static void a_comparison_says_what_a_change_means(void **state)
{
    (void)state;
    struct system_spec *before = a_spec();
    struct system_spec *after = a_spec();
    assert_int_equal(system_spec_compare(before, after), SPEC_CHANGE_NONE);
    after->nodes.replicas = 4;
    assert_int_equal(system_spec_compare(before, after), SPEC_CHANGE_LIVE);
    after->nodes.image = xstrdup("i");
    assert_int_equal(system_spec_compare(before, after), SPEC_CHANGE_LIVE | SPEC_CHANGE_ROLLS_NODES);
    after->nodes.replicas = 3;
    after->entries.items[0].root.restart = RESTART_TEMPORARY;
    assert_int_equal(
        system_spec_compare(before, after), SPEC_CHANGE_RESTARTS_UNITS | SPEC_CHANGE_ROLLS_NODES);
    after->entries.items[2].keyed.shards = 3;
    assert_true(system_spec_compare(before, after) & SPEC_CHANGE_REFUSED);
    system_spec_unref(after);
    after = a_spec();
    (void)add_entry(after, "more");
    assert_int_equal(system_spec_compare(before, after), SPEC_CHANGE_LIVE);
    assert_int_equal(system_spec_compare(after, before), SPEC_CHANGE_LIVE);
    system_spec_unref(before);
    system_spec_unref(after);
}

static void labels_cover_labels(void **state)
{
    (void)state;
    struct label_list have = {0};
    struct label_list wanted = {0};
    assert_true(label_list_covers(&have, &wanted));
    label_list_add(&have, "a", "1");
    label_list_add(&have, "b", "2");
    label_list_add(&wanted, "b", "2");
    assert_true(label_list_covers(&have, &wanted));
    label_list_add(&wanted, "a", "2");
    assert_false(label_list_covers(&have, &wanted));
    assert_null(label_list_get(&have, "c"));
    label_list_done(&have);
    label_list_done(&wanted);
}

/* ---- the fence record ---- */

static char *random_text(struct rng *rng)
{
    return rng_one_in(rng, 4) ? NULL : xasprintf("t%u\"\n", (unsigned)rng_below(rng, 1000));
}

static void random_roster(struct rng *rng, struct roster *roster)
{
    roster->version = rng_u64(rng);
    for (uint64_t i = rng_below(rng, 5); i > 0; i--) {
        struct roster_member *member = vec_push_new(&roster->members);
        *member = (struct roster_member){
            rng_u64(rng), random_text(rng), random_text(rng), random_text(rng), random_text(rng)};
    }
}

static void random_record(struct rng *rng, struct fence_record *record)
{
    *record = (struct fence_record){.system = random_text(rng),
        .system_uid = random_text(rng),
        .term = (uint32_t)rng_u64(rng),
        .lease_ms = rng_between(rng, 0, 60000),
        .is_committed = rng_one_in(rng, 2),
        .next_serial = rng_u64(rng),
        .spread_nodes = (uint32_t)rng_below(rng, 5)};
    random_roster(rng, &record->current);
    random_roster(rng, &record->previous);
    for (uint64_t i = rng_below(rng, 6); i > 0; i--)
        (void)fence_record_add_dead(record, rng_u64(rng));
    for (uint64_t i = rng_below(rng, 3); i > 0; i--)
        vec_push(&record->cordons, xasprintf("n%u", (unsigned)i));
    for (uint64_t i = rng_below(rng, 3); i > 0; i--)
        fence_record_add_quarantine(record, "unit", "it crashed", rng_between(rng, 0, INT64_MAX));
}

static char *text_of(const struct fence_record *record)
{
    struct json *json = fence_record_to_json(record);
    char *text = json_to_text(json, JSON_COMPACT);
    json_free(json);
    return text;
}

static void a_record_survives_json_and_copies(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng rng;
        struct fence_record record;
        struct fence_record read;
        struct fence_record copy;
        struct json *json = NULL;
        struct err err = {0};
        rng_seed(&rng, seed);
        random_record(&rng, &record);
        char *text = text_of(&record);
        assert_int_equal(json_parse(text, strlen(text), &json, &err), 0);
        if (fence_record_from_json(json, &read, &err) < 0)
            fail_msg("seed %u: %s", (unsigned)seed, err.text);
        fence_record_copy(&copy, &read);
        fence_record_done(&read);
        char *again = text_of(&copy);
        assert_string_equal(text, again);
        fence_record_done(&copy);
        fence_record_done(&record);
        json_free(json);
        free(text);
        free(again);
    }
}

static void broken_records_are_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"[]", "{}", "{\"format\":2}", "{\"format\":1,\"term\":-1}",
        "{\"format\":1,\"term\":1,\"leaseMs\":1,\"roster\":{\"version\":1,\"members\":[{\"uid\":\"xyz\"}]}}",
        ("{\"format\":1,\"term\":1,\"leaseMs\":1,\"roster\":{\"version\":1,\"members\":[{\"uid\":"
         "\"00000000000000ZZ\"}]}}")};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct json *json = NULL;
        struct fence_record record;
        struct err err = {0};
        assert_int_equal(json_parse(broken[i], strlen(broken[i]), &json, &err), 0);
        assert_int_equal(fence_record_from_json(json, &record, &err), -1);
        assert_true(err.kind == ERR_INVALID || err.kind == ERR_NOT_FOUND);
        json_free(json);
    }
}

static void the_oldest_deaths_fall_out(void **state)
{
    (void)state;
    struct fence_record record = {0};
    for (uint64_t uid = 1; uid <= FENCE_DEAD_UIDS_MAX + 1; uid++)
        assert_true(fence_record_add_dead(&record, uid));
    assert_false(fence_record_add_dead(&record, 2));
    assert_int_equal(record.dead_uids.count, FENCE_DEAD_UIDS_MAX);
    assert_false(fence_record_is_dead(&record, 1));
    assert_true(fence_record_is_dead(&record, FENCE_DEAD_UIDS_MAX + 1));
    fence_record_done(&record);
}

static void quarantines_come_and_go(void **state)
{
    (void)state;
    struct fence_record record = {0};
    fence_record_add_quarantine(&record, "a", "why", 5);
    assert_string_equal(fence_record_quarantine(&record, "a")->reason, "why");
    assert_null(fence_record_quarantine(&record, "b"));
    assert_false(fence_record_remove_quarantine(&record, "b"));
    assert_true(fence_record_remove_quarantine(&record, "a"));
    assert_null(fence_record_quarantine(&record, "a"));
    fence_record_done(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_entries_replicas_and_shards),
        cmocka_unit_test(a_generation_changes_with_what_restarts_a_unit),
        cmocka_unit_test(a_comparison_says_what_a_change_means),
        cmocka_unit_test(labels_cover_labels),
        cmocka_unit_test(a_record_survives_json_and_copies),
        cmocka_unit_test(broken_records_are_refused),
        cmocka_unit_test(the_oldest_deaths_fall_out),
        cmocka_unit_test(quarantines_come_and_go),
    };
    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
