#include "unit/kube_watch/suites.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "unit/kube_watch/thing.h"

/* What on_change said, as text. */
static void note_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct str *text = ctx;
    char key[KUBE_KEY_BYTES];
    kube_object_key(new_object ? new_object : old_object, key);
    str_appendf(text, "%s%s %s>%s\n", is_initial ? "initial " : "", key,
        old_object ? thing_color(old_object) : "", new_object ? thing_color(new_object) : "");
}

static void expect_names(struct kube_objects *objects, const char *expected)
{
    _cleanup_(str_done) struct str text = STR_INIT(1000);
    vec_for_each (object, &objects->list)
        str_appendf(&text, "%s%s", text.size ? " " : "", (*object)->name);
    assert_string_equal(str_text(&text), expected);
    kube_objects_done(objects);
}

static void expect_found(struct kube_store *store, const char *index, const char *key, const char *expected)
{
    struct kube_objects objects = {0};
    kube_store_find(store, index, key, &objects);
    expect_names(&objects, expected);
}

static void objects_are_found_by_key_and_by_index(void **state)
{
    (void)state;
    struct kube_store *store = kube_store_new(thing_indexes, 2);
    kube_store_put_take(store, thing_new("x", "a", "1", 1, "red"), 1, NULL, NULL);
    kube_store_put_take(store, thing_new("x", "b", "2", 2, "blue"), 2, NULL, NULL);
    kube_store_put_take(store, thing_new(NULL, "c", "3", 3, "red"), 3, NULL, NULL);
    expect_found(store, "color", "red", "a c");
    expect_found(store, "namespace", "x", "a b");
    expect_found(store, "namespace", "", "c");
    expect_found(store, "color", "green", "");

    kube_store_put_take(store, thing_new("x", "a", "1", 4, "blue"), 4, NULL, NULL);
    expect_found(store, "color", "red", "c");
    expect_found(store, "color", "blue", "b a");
    kube_store_put_take(store, thing_new("x", "a", "1", 5, ""), 5, NULL, NULL);
    expect_found(store, "color", "blue", "b");
    kube_store_remove(store, "x/b", 6, NULL, NULL);
    kube_store_remove(store, "x/b", 7, NULL, NULL);
    expect_found(store, "color", "blue", "");
    assert_int_equal(kube_store_count(store), 2);
    assert_int_equal(kube_store_version(store), 7);

    _cleanup_(kube_object_unrefp) struct kube_object *object = kube_store_get(store, "x", "a");
    assert_int_equal(object->resource_version, 5);
    assert_null(kube_store_get(store, "x", "b"));
    _cleanup_(kube_object_unrefp) struct kube_object *other = kube_store_get(store, "", "c");
    assert_string_equal(other->uid, "3");
    struct kube_objects all = {0};
    kube_store_list(store, &all);
    expect_names(&all, "a c");
    kube_store_free(store);
}

static void what_a_reader_holds_outlives_the_store(void **state)
{
    (void)state;
    struct kube_store *store = kube_store_new(NULL, 0);
    kube_store_put_take(store, thing_new("x", "a", "1", 1, "red"), 1, NULL, NULL);
    struct kube_object *object = kube_store_get(store, "x", "a");
    kube_store_put_take(store, thing_new("x", "a", "1", 2, "blue"), 2, NULL, NULL);
    kube_store_free(store);
    assert_string_equal(thing_color(object), "red");
    assert_int_equal(thing_count(), 1);
    kube_object_unref(object);
    assert_int_equal(thing_count(), 0);
}

static void a_replacement_tells_what_went_while_nobody_watched(void **state)
{
    (void)state;
    struct kube_store *store = kube_store_new(thing_indexes, 2);
    _cleanup_(str_done) struct str text = STR_INIT(1000);
    struct kube_replacement *first = kube_replacement_new();
    kube_replacement_put_take(first, thing_new("x", "same", "1", 1, "red"));
    kube_replacement_put_take(first, thing_new("x", "gone", "2", 2, "blue"));
    kube_replacement_put_take(first, thing_new("x", "other", "3", 3, "red"));
    kube_replacement_put_take(first, thing_new("x", "kept", "4", 3, "red"));
    kube_store_replace_take(store, first, 3, note_change, &text);
    assert_string_equal(str_text(&text),
        "initial x/same >red\ninitial x/gone >blue\ninitial x/other >red\ninitial x/kept >red\n");
    const struct kube_object *same = kube_store_peek(store, "x/same");

    str_clear(&text);
    struct kube_replacement *second = kube_replacement_new();
    kube_replacement_put_take(second, thing_new("x", "late", "9", 8, "green"));
    kube_replacement_put_take(second, thing_new("x", "late", "9", 9, "white"));
    kube_replacement_put_take(second, thing_new("x", "other", "33", 7, "black"));
    kube_replacement_put_take(second, thing_new("x", "same", "1", 1, "red"));
    kube_replacement_put_take(second, thing_new("x", "never", "8", 8, "red"));
    kube_replacement_remove(second, "x/never");
    kube_replacement_keep(second, "x/kept");
    kube_replacement_keep(second, "x/unknown");
    kube_store_replace_take(store, second, 9, note_change, &text);
    assert_string_equal(str_text(&text), "x/gone blue>\nx/late >white\nx/other red>\nx/other >black\n");
    assert_ptr_equal(kube_store_peek(store, "x/same"), same);
    assert_int_equal(kube_store_version(store), 9);
    expect_found(store, "color", "red", "same kept");
    expect_found(store, "color", "black", "other");
    kube_store_free(store);
    assert_int_equal(thing_count(), 0);
}

static void heads_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct err err;
    struct kube_object *object = NULL;
    _cleanup_(json_freep) struct json *nameless = thing_json("x", "", "1", 1, "red");
    assert_int_equal(kube_object_read(nameless, thing_decode, thing_release, NULL, &object, &err), -1);
    assert_string_equal(err.text, "an object without metadata.name");
    _cleanup_(json_freep) struct json *anonymous = thing_json("x", "a", "", 1, "red");
    assert_int_equal(kube_object_read(anonymous, thing_decode, thing_release, NULL, &object, &err), -1);
    assert_string_equal(err.text, "an object without metadata.uid");
    _cleanup_(json_freep) struct json *unversioned = thing_json("x", "a", "1", 0, "red");
    assert_int_equal(kube_object_read(unversioned, thing_decode, thing_release, NULL, &object, &err), -1);
    assert_string_equal(err.text, "metadata.resourceVersion \"0\" of \"a\" is not a number above 0");
    _cleanup_(json_freep) struct json *colorless = thing_json("x", "a", "1", 1, "bad");
    assert_int_equal(kube_object_read(colorless, thing_decode, thing_release, NULL, &object, &err), -1);
    assert_string_equal(err.text, "\"a\": color \"bad\" is no color");
    assert_null(object);
}

/* One writer replaces and changes two objects of one color at a time; readers see both or none. */
enum { ROUNDS = 2000 };

static void read_rounds(void *ctx)
{
    struct kube_store *store = ctx;
    uint64_t last = 0;
    while (last < ROUNDS) { /* the writer ends at that version */
        struct kube_objects objects = {0};
        kube_store_find(store, "namespace", "x", &objects);
        assert_true(objects.list.count == 0 || objects.list.count == 2);
        if (objects.list.count == 2)
            assert_string_equal(thing_color(objects.list.items[0]), thing_color(objects.list.items[1]));
        kube_objects_done(&objects);
        uint64_t version = kube_store_version(store);
        assert_true(version >= last);
        last = version;
    }
}

static void readers_see_one_moment(void **state)
{
    (void)state;
    struct kube_store *store = kube_store_new(thing_indexes, 2);
    struct thread *readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(thread_start(&readers[i], "reader", read_rounds, store, NULL), 0);
    for (uint64_t version = 1; version <= ROUNDS; version++) {
        char color[24];
        snprintf(color, sizeof(color), "c%d", (int)version);
        struct kube_replacement *replacement = kube_replacement_new();
        if (version % 3) {
            kube_replacement_put_take(replacement, thing_new("x", "a", "1", version, color));
            kube_replacement_put_take(replacement, thing_new("x", "b", "2", version, color));
        }
        kube_store_replace_take(store, replacement, version, NULL, NULL);
    }
    for (int i = 0; i < 2; i++)
        thread_join(readers[i]);
    kube_store_free(store);
    assert_int_equal(thing_count(), 0);
}

int store_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_found_by_key_and_by_index),
        cmocka_unit_test(what_a_reader_holds_outlives_the_store),
        cmocka_unit_test(a_replacement_tells_what_went_while_nobody_watched),
        cmocka_unit_test(heads_that_make_no_sense_are_refused),
        cmocka_unit_test(readers_see_one_moment),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
