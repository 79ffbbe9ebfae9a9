/* What the simulation does not look at: what is told, and what is counted. */
#include "unit/kube_watch/suites.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/follower.h"
#include "unit/kube_watch/thing.h"

struct stage {
    struct kube_store *store;
    struct kube_follower *follower;
    struct reflector_request request;
    struct str told; /* problems, one a line; "over" for their end */
    int changes;
    int64_t now_ms;
};

static void note_problem(void *ctx, const struct err *problem)
{
    struct stage *stage = ctx;
    str_appendf(&stage->told, "%s\n", problem ? problem->text : "over");
}

static void note_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct stage *stage = ctx;
    (void)old_object;
    (void)new_object;
    (void)is_initial;
    stage->changes++;
}

static int setup_as(void **state, bool can_stream)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    str_init(&stage->told, 10000);
    stage->store = kube_store_new(thing_indexes, 2);
    stage->now_ms = 1000;
    const struct kube_follower_config config = {.store = stage->store,
        .decode = thing_decode,
        .release = thing_release,
        .on_problem = note_problem,
        .on_change = note_change,
        .ctx = stage,
        .can_stream = can_stream};
    stage->follower = kube_follower_new(&config);
    *state = stage;
    return 0;
}

static int setup(void **state)
{
    return setup_as(state, false);
}

static int setup_stream(void **state)
{
    return setup_as(state, true);
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    kube_follower_free(stage->follower);
    kube_store_free(stage->store);
    str_done(&stage->told);
    free(stage);
    return thing_count() == 0 ? 0 : -1;
}

static enum reflector_step next(struct stage *stage)
{
    do {
        kube_follower_next(stage->follower, stage->now_ms, &stage->request);
        if (stage->request.step == REFLECTOR_WAIT)
            stage->now_ms = stage->request.until_ms;
    } while (stage->request.step == REFLECTOR_WAIT); /* the second time has come */
    return stage->request.step;
}

static void give_page(struct stage *stage, const char *page)
{
    assert_int_equal(next(stage), REFLECTOR_LIST);
    kube_follower_ended(stage->follower, stage->now_ms,
        &(struct kube_follower_end){.has_answer = true, .page = page, .page_size = strlen(page)});
}

static bool give_line(struct stage *stage, const char *line)
{
    return kube_follower_data(stage->follower, stage->now_ms, line, strlen(line)) &&
           kube_follower_data(stage->follower, stage->now_ms, "\n", 1);
}

static void expect_told(struct stage *stage, const char *expected)
{
    assert_string_equal(str_text(&stage->told), expected);
    str_clear(&stage->told);
}

#define OBJECT(name, version, color)                                                                         \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u\",\"resourceVersion\":\"" version                      \
    "\"},\"color\":\"" color "\"}"
#define PAGE(version, items)                                                                                 \
    "{\"kind\":\"ThingList\",\"items\":[" items "],\"metadata\":{\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"

static void objects_that_cannot_be_read_keep_their_last_state(void **state)
{
    struct stage *stage = *state;
    give_page(stage, PAGE("5", OBJECT("a", "1", "red") "," OBJECT("b", "2", "bad")));
    expect_told(stage, "\"b\": color \"bad\" is no color\n");
    assert_int_equal(kube_store_count(stage->store), 1);
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    assert_true(give_line(stage, EVENT("MODIFIED", OBJECT("a", "6", "bad"))));
    expect_told(stage, "\"a\": color \"bad\" is no color\n");
    assert_true(give_line(stage, EVENT("MODIFIED", OBJECT("a", "7", "bad"))));
    expect_told(stage, ""); /* once */
    assert_string_equal(thing_color(kube_store_peek(stage->store, "a")), "red");
    assert_int_equal(kube_store_version(stage->store), 7);

    /* The same in a list, and then it goes. */
    assert_false(give_line(stage, EVENT("ADDED", OBJECT("c", "3", "red"))));
    expect_told(stage, "version 3 came after version 7\n");
    give_page(stage, PAGE("8", OBJECT("a", "7", "bad")));
    expect_told(stage, "over\n");
    assert_string_equal(thing_color(kube_store_peek(stage->store, "a")), "red");
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    assert_true(give_line(stage, EVENT("DELETED", OBJECT("a", "9", "bad"))));
    assert_int_equal(kube_store_count(stage->store), 0);
    struct kube_follower_counts counts;
    kube_follower_counts(stage->follower, &counts);
    assert_int_equal(counts.refused, 4);
}

static void problems_are_told_once_and_end(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "no connection");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(next(stage), REFLECTOR_LIST);
        kube_follower_ended(stage->follower, stage->now_ms, &(struct kube_follower_end){.err = &err});
    }
    expect_told(stage, "no connection\n");
    give_page(stage, "{\"items\":3}");
    expect_told(stage, "a page of a list: no list: its kind, metadata or items are missing\n");
    assert_false(kube_follower_has_synced(stage->follower));
    give_page(stage, PAGE("5", ""));
    expect_told(stage, "over\n");
    assert_true(kube_follower_has_synced(stage->follower));
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    assert_false(give_line(stage, "{}"));
    expect_told(stage, "a line of a watch that is no event with type and object\n");
    give_page(stage, PAGE("4", ""));
    expect_told(stage,
        "the API server is at version 4 and 5 is known to exist: it lags behind, or its data came from "
        "a backup (then remove the mark of the known version and restart)\n");
    give_page(stage, PAGE("6", ""));
    expect_told(stage, "over\n");
}

static void an_expired_watch_is_no_problem(void **state)
{
    struct stage *stage = *state;
    give_page(stage, PAGE("5", ""));
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    /* A cut line is not glued to what the next watch sends. */
    assert_true(kube_follower_data(stage->follower, stage->now_ms, "{\"type\":", 8));
    stage->now_ms += 5000;
    kube_follower_ended(stage->follower, stage->now_ms, &(struct kube_follower_end){.has_answer = true});
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    assert_true(give_line(stage, EVENT("ADDED", OBJECT("a", "6", "red"))));
    assert_false(give_line(stage, EVENT("ERROR", "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                                                 "\"Failure\",\"reason\":\"Expired\",\"code\":410}")));
    expect_told(stage, "");
    give_page(stage, PAGE("7", OBJECT("a", "6", "red")));
    struct kube_follower_counts counts;
    kube_follower_counts(stage->follower, &counts);
    assert_int_equal(counts.failures, 1);
    assert_int_equal(counts.lists, 2);
    assert_int_equal(counts.watches, 2);
    assert_int_equal(counts.events, 1);
}

static void a_line_beyond_the_limit_ends_the_watch(void **state)
{
    struct stage *stage = *state;
    give_page(stage, PAGE("5", ""));
    assert_int_equal(next(stage), REFLECTOR_WATCH);
    size_t size = 9 * 1024 * 1024;
    _cleanup_(cleanup_free) char *line = xmalloc(size);
    memset(line, ' ', size);
    assert_false(kube_follower_data(stage->follower, stage->now_ms, line, size));
    expect_told(stage, "a line of more than 8388608 bytes in a watch\n");
    assert_int_equal(next(stage), REFLECTOR_LIST);
}

#define HEAD(name, uid, version)                                                                             \
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid                     \
    "\",\"resourceVersion\":\"" version "\"}"
#define INITIAL_END(version)                                                                                 \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version                        \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}"

/* A new leader asks for everything once more: the rest of what it knows is not even read. */
static void a_second_stream_costs_no_trees_of_what_is_known(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(next(stage), REFLECTOR_STREAM);
    assert_true(give_line(stage, HEAD("a", "1", "3") ",\"color\":\"red\"}}"));
    assert_true(give_line(stage, HEAD("b", "2", "4") ",\"color\":\"red\"}}"));
    assert_true(give_line(stage, HEAD("c", "3", "5") ",\"color\":\"red\"}}"));
    assert_true(give_line(stage, HEAD("d", "4", "5") ",\"color\":\"red\"}}"));
    assert_true(give_line(stage, INITIAL_END("9")));
    assert_int_equal(stage->changes, 4);
    const struct kube_object *known = kube_store_peek(stage->store, "a");

    stage->changes = 0;
    assert_true(kube_follower_require(stage->follower, stage->now_ms, 11));
    assert_int_equal(next(stage), REFLECTOR_STREAM);
    assert_true(give_line(stage, HEAD("a", "1", "3") ",\"color\":whatever"));
    assert_true(give_line(stage, HEAD("b", "2", "6") ",\"color\":\"blue\"}}"));  /* it changed */
    assert_true(give_line(stage, HEAD("c", "33", "5") ",\"color\":\"blue\"}}")); /* it is another one */
    assert_true(give_line(stage, INITIAL_END("12")));
    expect_told(stage, "");
    assert_ptr_equal(kube_store_peek(stage->store, "a"), known);
    assert_string_equal(thing_color(kube_store_peek(stage->store, "b")), "blue");
    assert_string_equal(thing_color(kube_store_peek(stage->store, "c")), "blue");
    assert_int_equal(kube_store_count(stage->store), 3);
    assert_int_equal(stage->changes, 4); /* b; c went and came; d went */
    /* Behind its beginning it is a watch as any other. */
    assert_true(give_line(stage, HEAD("a", "1", "13") ",\"color\":\"blue\"}}"));
    assert_string_equal(thing_color(kube_store_peek(stage->store, "a")), "blue");
}

int follower_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_that_cannot_be_read_keep_their_last_state, setup, teardown),
        cmocka_unit_test_setup_teardown(problems_are_told_once_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_watch_is_no_problem, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_beyond_the_limit_ends_the_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_second_stream_costs_no_trees_of_what_is_known, setup_stream, teardown),
    };
    return cmocka_run_group_tests_name("follower", tests, NULL, NULL);
}
