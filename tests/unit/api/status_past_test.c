#include "unit/api/suites.h"

#include "api/status_json.h"
#include "api/status_past.h"
#include "base/json.h"
#include "base/mem.h"

static struct json *parse(const char *text)
{
    struct json *json = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json, NULL), 0);
    return json;
}

#define FORMER                                                                                               \
    "{\"startedAt\":\"2026-01-01T00:00:00Z\",\"term\":3,\"restarts\":4,\"exitsLost\":1,\"recentExits\":[],"  \
    "\"nodeStatuses\":[{\"node\":\"b-0\",\"uid\":\"a1\",\"startedAt\":\"2026-01-01T00:00:01Z\","             \
    "\"runtimeRestarts\":2},{\"node\":\"b-1\",\"uid\":\"a2\",\"startedAt\":\"2026-01-01T00:00:02Z\","        \
    "\"runtimeRestarts\":0}]}"

/* What the leader after it makes when nothing happened, with its members in another order. */
#define PRESENT                                                                                              \
    "{\"term\":4,\"startedAt\":\"2026-02-01T00:00:00Z\",\"recentExits\":[],\"restarts\":0,\"exitsLost\":0,"  \
    "\"nodeStatuses\":[{\"node\":\"b-0\",\"runtimeRestarts\":0,\"uid\":\"a1\"},{\"node\":\"b-1\","           \
    "\"startedAt\":\"2026-02-01T00:00:02Z\",\"uid\":\"a2\",\"runtimeRestarts\":0}]}"

static void test_nothing_happened(void **state)
{
    struct json *former = parse(FORMER), *present = parse(PRESENT);
    struct json *past = status_past_of(former);
    (void)state;
    assert_true(status_hash(former) != status_hash(present));
    status_past_add(past, present);
    assert_true(status_hash(former) == status_hash(present));
    assert_null(status_past_of(NULL));
    status_past_add(NULL, present);
    assert_true(status_hash(former) == status_hash(present));
    json_free(past);
    json_free(present);
    json_free(former);
}

static void test_what_happened_is_added(void **state)
{
    struct json *former = parse(FORMER);
    struct json *present =
        parse("{\"restarts\":2,\"nodeStatuses\":[{\"node\":\"b-0\",\"uid\":\"a9\",\"runtimeRestarts\":1,"
              "\"startedAt\":\"2026-03-01T00:00:00Z\"},{\"node\":\"b-7\",\"uid\":\"\"}]}");
    struct json *past = status_past_of(former);
    (void)state;
    status_past_add(past, present);
    assert_int_equal(json_int(json_get(present, "restarts")), 6);
    assert_int_equal(json_int(json_get(present, "exitsLost")), 1);
    assert_string_equal(json_string(json_get(present, "startedAt")), "2026-01-01T00:00:00Z");
    const struct json *nodes = json_get(present, "nodeStatuses");
    assert_int_equal(json_int(json_get(json_at(nodes, 0), "runtimeRestarts")), 3);
    assert_string_equal(json_string(json_get(json_at(nodes, 0), "startedAt")), "2026-03-01T00:00:00Z");
    assert_null(json_get(json_at(nodes, 1), "startedAt"));
    json_free(past);
    json_free(present);
    json_free(former);
}

static struct json *with_exits(int first, int count)
{
    struct json *status = json_object_new();
    struct json *list = json_set_array(status, "recentExits");
    for (int i = 0; i < count; i++)
        (void)json_set_int(json_add_object(list), "incarnation", first + i);
    return status;
}

static void test_exits_are_the_newest(void **state)
{
    struct json *former = with_exits(1, 6), *present = with_exits(7, 7);
    struct json *past = status_past_of(former);
    (void)state;
    status_past_add(past, present);
    const struct json *exits = json_get(present, "recentExits");
    assert_int_equal(json_count(exits), STATUS_RECENT_EXITS_MAX);
    for (int i = 0; i < STATUS_RECENT_EXITS_MAX; i++)
        assert_int_equal(json_int(json_get(json_at(exits, (size_t)i), "incarnation")), 4 + i);
    json_free(past);
    json_free(present);
    json_free(former);
}

static void test_hash(void **state)
{
    static const char *const others[] = {"{\"a\":[1,2],\"b\":\"1\"}", "{\"a\":[2,1],\"b\":1}",
        "{\"a\":[1,2],\"b\":1,\"c\":null}", "{\"a\":[1,2]}", "{\"a\":[1],\"b\":1}", "{\"b\":[1,2],\"a\":1}"};
    struct json *one = parse("{\"a\":[1,2],\"b\":1}");
    struct json *same = parse("{\"messages\":7,\"b\":1,\"term\":2,\"a\":[1,2]}");
    (void)state;
    assert_true(status_hash(one) == status_hash(same));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct json *other = parse(others[i]);
        assert_true(status_hash(one) != status_hash(other));
        json_free(other);
    }
    json_free(same);
    json_free(one);
}

const struct CMUnitTest status_past_tests[4] = {
    cmocka_unit_test(test_nothing_happened),
    cmocka_unit_test(test_what_happened_is_added),
    cmocka_unit_test(test_exits_are_the_newest),
    cmocka_unit_test(test_hash),
};
