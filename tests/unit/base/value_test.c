#include "harness.h"

#include <float.h>
#include <math.h>
#include <msgpack.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/value.h"

static struct value view(const struct str *str)
{
    return value_of(str->data, str->size);
}

static void integers_of_all_sizes(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296,
        INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, -2147483648LL, -2147483649LL, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        _cleanup_(str_done) struct str out = STR_INIT(100);
        int64_t back = 0;
        uint64_t unsigned_back = 0;
        double real = 0;
        value_put_int(&out, numbers[i]);
        assert_int_equal(value_type(view(&out)), VALUE_INT);
        assert_true(value_get_int(view(&out), &back));
        assert_int_equal(back, numbers[i]);
        assert_int_equal(value_get_uint(view(&out), &unsigned_back), numbers[i] >= 0);
        assert_true(value_get_double(view(&out), &real));
        assert_true(real == (double)numbers[i]);
        assert_int_equal(value_validate(out.data, out.size, NULL), 0);
    }
    _cleanup_(str_done) struct str out = STR_INIT(100);
    uint64_t large = 0;
    int64_t number = 0;
    value_put_uint(&out, UINT64_MAX);
    assert_true(value_get_uint(view(&out), &large));
    assert_true(large == UINT64_MAX);
    assert_false(value_get_int(view(&out), &number));
    static const uint8_t signed_byte[] = {0xD0, 5}; /* not the shortest form, and still a 5 */
    assert_true(value_get_int(value_of(signed_byte, 2), &number));
    assert_int_equal(number, 5);
}

static void scalars(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str out = STR_INIT(1000);
    value_put_array(&out, 8);
    value_put_nil(&out);
    value_put_bool(&out, true);
    value_put_double(&out, -1.5);
    value_put_string(&out, "text");
    value_put_string(&out, NULL);
    value_put_bytes(&out, "\0\xFF", 2);
    value_put_time(&out, -5, 7);
    value_put_string_bytes(&out, "a\0b", 3);
    struct value array = view(&out);
    bool truth = false;
    double real = 0;
    const char *text = NULL;
    const void *data = NULL;
    size_t size = 0;
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    assert_int_equal(value_count(array), 8);
    assert_int_equal(value_span(array), out.size);
    assert_int_equal(value_type(value_at(array, 0)), VALUE_NIL);
    assert_true(value_get_bool(value_at(array, 1), &truth));
    assert_true(truth);
    assert_true(value_get_double(value_at(array, 2), &real));
    assert_true(real == -1.5);
    assert_true(value_is_string(value_at(array, 3), "text"));
    assert_false(value_is_string(value_at(array, 3), "tex"));
    assert_int_equal(value_type(value_at(array, 4)), VALUE_NIL);
    assert_true(value_get_bytes(value_at(array, 5), &data, &size));
    assert_int_equal(size, 2);
    assert_memory_equal(data, "\0\xFF", 2);
    assert_true(value_get_time(value_at(array, 6), &seconds, &nanoseconds));
    assert_int_equal(seconds, -5);
    assert_int_equal(nanoseconds, 7);
    assert_true(value_get_string(value_at(array, 7), &text, &size));
    assert_int_equal(size, 3);
    assert_int_equal(value_type(value_at(array, 8)), VALUE_NONE);
    assert_false(value_get_bool(array, &truth));
    assert_false(value_get_double(array, &real));
    assert_false(value_get_string(array, &text, &size));
    assert_false(value_get_bytes(array, &data, &size));
    assert_false(value_get_time(array, &seconds, &nanoseconds));
    static const uint8_t single[] = {0xCA, 0x3F, 0xC0, 0, 0};
    assert_true(value_get_double(value_of(single, 5), &real));
    assert_true(real == 1.5);
}

static void maps_and_arguments(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str out = STR_INIT(1000);
    int64_t number = 0;
    value_put_map(&out, 3);
    value_put_string(&out, "skip");
    value_put_array(&out, 2);
    value_put_map(&out, 1);
    value_put_string(&out, "amount");
    value_put_int(&out, 1);
    value_put_nil(&out);
    value_put_string(&out, "amount");
    value_put_int(&out, 5);
    value_put_string(&out, "to");
    value_put_string(&out, "x");
    struct value map = view(&out);
    assert_true(value_get_int(value_find(map, "amount"), &number));
    assert_int_equal(number, 5);
    assert_true(value_is_string(value_find(map, "to"), "x"));
    assert_int_equal(value_type(value_find(map, "none")), VALUE_NONE);
    assert_int_equal(value_type(value_find(value_find(map, "skip"), "amount")), VALUE_NONE); /* an array */
    assert_true(value_get_int(value_argument(map, "amount", 0), &number));
    assert_true(value_is_string(value_at(map, 2), "x"));
    struct value array = value_find(map, "skip");
    assert_int_equal(value_type(value_argument(array, "any", 1)), VALUE_NIL);
    assert_int_equal(value_type(value_argument(array, "any", 2)), VALUE_NONE);
    struct value_iterator iterator = value_iterate(map);
    assert_true(value_next(&iterator));
    assert_true(value_is_string(iterator.key, "skip"));
    assert_true(value_next(&iterator) && value_next(&iterator));
    assert_false(value_next(&iterator));
    _cleanup_(str_done) struct str copy = STR_INIT(1000);
    value_put_value(&copy, map);
    assert_int_equal(copy.size, out.size);
    assert_memory_equal(copy.data, out.data, out.size);
}

static void nothing_reads_as_nothing(void **state)
{
    (void)state;
    struct value none = {0};
    int64_t number;
    assert_int_equal(value_type(none), VALUE_NONE);
    assert_int_equal(value_span(none), 0);
    assert_int_equal(value_count(none), 0);
    assert_int_equal(value_type(value_find(none, "a")), VALUE_NONE);
    assert_false(value_get_int(none, &number));
    for (int i = VALUE_NONE; i <= VALUE_OTHER; i++)
        assert_true(strlen(value_type_name((enum value_type)i)) > 2);
}

static void expect_invalid(const void *data, size_t size, enum err_kind kind, const char *part)
{
    struct err err = {0};
    assert_int_equal(value_validate(data, size, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void broken_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {{"", 0, "not msgpack"}, {"\xC1", 1, "not msgpack"}, {"\x01\x02", 2, "1 bytes behind"},
        {"\xDB\xFF\xFF\xFF\xFF", 5, "not msgpack"}, {"\xDD\xFF\xFF\xFF\xFF\x01", 6, "not msgpack"},
        {"\xA2\xFFx", 3, "not UTF-8"}, {"\x81\x01\x02", 3, "must be a string, not an integer"},
        {"\xCB\x7F\xF8\0\0\0\0\0\0", 9, "NaN"}, {"\xCA\x7F\x80\0\0", 5, "NaN"}, {"\xD4\x05x", 3, "extension"},
        {"\xC7\x01\x01x", 4, "extension"}, {"\xD4\x01", 2, "not msgpack"},
        {"\xC7\x0C\x01\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\0", 15, "nanoseconds"}, {"\xCD\x01", 2, "not msgpack"},
        {"\xC7\x0C", 2, "not msgpack"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_invalid(cases[i].bytes, cases[i].size, ERR_INVALID, cases[i].part);
    char deep[LIMIT_TREE_DEPTH + 2];
    memset(deep, '\x91', sizeof(deep));
    deep[sizeof(deep) - 1] = '\x01';
    expect_invalid(deep, sizeof(deep), ERR_LIMIT, "nested");
    assert_int_equal(value_validate(deep + 1, sizeof(deep) - 1, NULL), 0);
    _cleanup_(cleanup_free) char *large = xcalloc(1, LIMIT_VALUE_BYTES + 1);
    expect_invalid(large, LIMIT_VALUE_BYTES + 1, ERR_LIMIT, "larger than");
}

static void no_cut_value_reads_beyond_its_end(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str out = STR_INIT(1000);
    static const char text[] = "{\"a\":[1,-200,70000,1.5,\"text\",null,{\"$bin\":\"aGk=\"}],"
                               "\"b\":{\"$time\":\"2026-11-23T12:00:00Z\"}}";
    assert_int_equal(value_from_text(text, strlen(text), &out, NULL), 0);
    for (size_t size = 0; size < out.size; size++) {
        _cleanup_(cleanup_free) void *exact = xmemdup(out.data, size); /* a sanitizer sees the end */
        assert_int_equal(value_validate(exact, size, NULL), -1);
        assert_int_equal(value_span(value_of(exact, size)), 0);
        assert_int_equal(value_type(value_find(value_of(exact, size), "none")), VALUE_NONE);
        (void)value_at(value_find(value_of(exact, size), "a"), 6); /* may be there or not */
    }
}

static void expect_text_form(const char *text)
{
    _cleanup_(str_done) struct str bytes = STR_INIT(LIMIT_VALUE_BYTES);
    _cleanup_(str_done) struct str back = STR_INIT(LIMIT_JSON_BYTES);
    struct err err = {0};
    if (value_from_text(text, strlen(text), &bytes, &err) < 0 ||
        value_to_text(bytes.data, bytes.size, &back, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(str_text(&back), text);
}

static void json_forms(void **state)
{
    (void)state;
    expect_text_form("null");
    expect_text_form("[true,-9223372036854775808,18446744073709551615,1.5,\"\xC3\xA9\",{}]");
    expect_text_form("{\"$bin\":\"AP8=\"}");
    expect_text_form("{\"$bin\":\"\"}");
    expect_text_form("{\"$time\":\"2026-11-23T12:00:00.25Z\"}");
    expect_text_form("{\"$bin\":1}"); /* only a text is special */
    expect_text_form("{\"$bin\":\"AP8=\",\"more\":1}");
}

static void expect_json_refused(const char *text, const char *part)
{
    _cleanup_(str_done) struct str bytes = STR_INIT(LIMIT_VALUE_BYTES);
    struct err err = {0};
    assert_int_equal(value_from_text(text, strlen(text), &bytes, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void expect_value_refused(const char *bytes, size_t size, const char *part)
{
    struct json *root = NULL;
    struct err err = {0};
    assert_int_equal(value_to_json(bytes, size, &root, &err), -1);
    assert_null(root);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void what_has_no_form_is_refused(void **state)
{
    (void)state;
    expect_json_refused("{\"a\":{\"$bin\":\"*\"}}", "line 1: a[\"$bin\"]: must be base64");
    expect_json_refused("{\"$time\":\"noon\"}", "must be a time");
    expect_json_refused("18446744073709551616", "64 bits");
    expect_json_refused("NaN", "no JSON value");
    expect_value_refused("\x82\xA1"
                         "a\x01\xA1"
                         "a\x02",
        7, "duplicate key \"a\"");
    expect_value_refused("\x81\xA2"
                         "a\0\x01",
        5, "NUL");
    expect_value_refused("\x81\xA4$bin\xA1x", 8, "no JSON form");
    expect_value_refused("\xC7\x0C\x01\0\0\0\0\x7F\0\0\0\0\0\0\0", 15, "years");
    expect_value_refused("\xC1", 1, "not msgpack");
    _cleanup_(str_done) struct str small = STR_INIT(3);
    struct err err = {0};
    assert_int_equal(value_from_text("\"abcdef\"", 8, &small, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void many_nodes_are_refused(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str bytes = STR_INIT(LIMIT_VALUE_BYTES);
    struct json *root = NULL;
    struct err err = {0};
    value_put_array(&bytes, LIMIT_TREE_NODES);
    for (int i = 0; i < LIMIT_TREE_NODES; i++)
        value_put_nil(&bytes);
    assert_int_equal(value_validate(bytes.data, bytes.size, NULL), 0);
    assert_int_equal(value_to_json(bytes.data, bytes.size, &root, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* libmsgpack must read what we write, all of it. */
static bool library_reads(const struct str *bytes)
{
    msgpack_unpacked result;
    size_t offset = 0;
    msgpack_unpacked_init(&result);
    msgpack_unpack_return code = msgpack_unpack_next(&result, bytes->data, bytes->size, &offset);
    msgpack_unpacked_destroy(&result);
    return code == MSGPACK_UNPACK_SUCCESS && offset == bytes->size;
}

static void random_trees_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        struct err err = {0};
        rng_seed(&rng, seed);
        _cleanup_(json_freep) struct json *tree = random_tree(&rng);
        _cleanup_(json_freep) struct json *back = NULL;
        _cleanup_(str_done) struct str bytes = STR_INIT(LIMIT_VALUE_BYTES);
        if (value_from_json(tree, &bytes, &err) < 0 ||
            value_to_json(bytes.data, bytes.size, &back, &err) < 0 || !json_equal(tree, back))
            fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
        assert_int_equal(value_span(view(&bytes)), bytes.size);
        assert_true(library_reads(&bytes));
    }
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    size_t valid = 0;
    rng_seed(&rng, 77);
    for (int round = 0; round < 20000; round++) {
        size_t size = rng_below(&rng, 40);
        uint8_t data[40];
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(rng_one_in(&rng, 2) ? 0x80 + rng_below(&rng, 0x40) : rng_u64(&rng));
        _cleanup_(cleanup_free) void *exact = xmemdup(data, size);
        if (value_validate(exact, size, NULL) == 0) {
            valid++;
            assert_int_equal(value_span(value_of(exact, size)), size);
        }
        struct value_iterator iterator = value_iterate(value_of(exact, size));
        while (value_next(&iterator))
            assert_true(value_span(iterator.item) <= size);
    }
    assert_true(valid > 10);
}

TEST_GROUP(value, cmocka_unit_test(integers_of_all_sizes), cmocka_unit_test(scalars),
    cmocka_unit_test(maps_and_arguments), cmocka_unit_test(nothing_reads_as_nothing),
    cmocka_unit_test(broken_bytes_are_refused), cmocka_unit_test(no_cut_value_reads_beyond_its_end),
    cmocka_unit_test(json_forms), cmocka_unit_test(what_has_no_form_is_refused),
    cmocka_unit_test(many_nodes_are_refused), cmocka_unit_test(random_trees_survive),
    cmocka_unit_test(random_bytes_do_no_harm));
