#include "harness.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

static struct json *parsed(const char *text)
{
    struct json *root = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &root, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return root;
}

static void expect_text(const char *text, const char *expected)
{
    _cleanup_(json_freep) struct json *root = parsed(text);
    _cleanup_(cleanup_free) char *written = json_to_text(root, JSON_COMPACT);
    assert_string_equal(written, expected);
}

static void texts_come_out_as_they_went_in(void **state)
{
    (void)state;
    expect_text(" null ", "null");
    expect_text("[true,false,[],{}]", "[true,false,[],{}]");
    expect_text("{\"b\":1,\"a\":[2]}", "{\"b\":1,\"a\":[2]}");
    expect_text("\"\\u00e9\\ud83d\\ude00\\/\\n\\u0000\"", "\"\xC3\xA9\xF0\x9F\x98\x80/\\n\\u0000\"");
}

static void integers_are_exact(void **state)
{
    (void)state;
    static const char *const same[] = {"0", "-1", "9007199254740993", "1234567890123460",
        "9223372036854775807", "9223372036854775808", "18446744073709551615", "-9223372036854775808"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        expect_text(same[i], same[i]);
    expect_text("-0", "0");
    _cleanup_(json_freep) struct json *large = parsed("9223372036854775808");
    assert_int_equal(json_type(large), JSON_UINT);
    assert_true(json_uint(large) == 9223372036854775808ULL);
    assert_int_equal(json_int(large), 0);
}

static void doubles_are_the_shortest_text(void **state)
{
    (void)state;
    expect_text("1.0", "1.0");
    expect_text("0.1", "0.1");
    expect_text("1e2", "100.0");
    expect_text("1E+300", "1e+300");
    expect_text("-0.0", "-0.0");
    expect_text("1e-400", "0.0");
    expect_text("1.7976931348623157e308", "1.7976931348623157e+308");
    expect_text("0.30000000000000004", "0.30000000000000004");
}

static void expect_refused(const char *text, size_t size, enum err_kind kind, const char *part)
{
    struct json *root = NULL;
    struct err err = {0};
    if (json_parse(text, size, &root, &err) == 0)
        fail_msg("accepted: %.*s", (int)size, text);
    assert_null(root);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void bad_texts_say_where(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", "line 1 column 1: the text ends"},
        {"{\n  \"a\": 1,\n}", "line 3 column 1"}, {"[1 2]", "line 1 column 4: this is not valid"},
        {"{\"a\" 1}", "column 6: this is not valid"}, {"{a:1}", "column 2: this is no JSON value"},
        {"{\"a\":1 \"b\":2}", "column 8: this is not valid"}, {"[1,]", "not valid"},
        {"{\"a\":}", "not valid"}, {"[}", "not valid"}, {"[", "text ends inside of brackets"},
        {"{\"a\":[1}", "text ends inside of brackets"}, {"nul", "no JSON value"},
        {"nullx", "column 5: this is no JSON value"}, {"01", "begin with 0"}, {"-", "a digit"},
        {"-x", "a digit"}, {"+1", "no JSON value"}, {"1.", "a digit"}, {".5", "no JSON value"},
        {"1e", "a digit"}, {"1.5.2", "no JSON value"}, {"1-2", "not valid"}, {"1e400", "too large"},
        {"18446744073709551616", "64 bits"}, {"-9223372036854775809", "64 bits"},
        {"[1,\n99999999999999999999999999]", "line 2 column 1: the integer"}, {"NaN", "no JSON value"},
        {"\"abc", "ends inside of a string"}, {"\"a\nb\"", "control character"}, {"\"\\x\"", "one of"},
        {"\"\\", "one of"}, {"\"\\u12g4\"", "hexadecimal"}, {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"}, {"\"\\udc00\"", "surrogate"}, {"\"\xFF\"", "UTF-8"},
        {"{\"a\":1,\n\"a\":2}", "line 2 column 1: duplicate key \"a\""}, {"{\"a\\u0000\":1}", "NUL"},
        {"'a'", "no JSON value"}, {"// no\n1", "no JSON value"}, {"\xEF\xBB\xBF 1", "no JSON value"},
        {"[1]]", "column 4: nothing is open"}, {"1 2", "column 3: this is not valid"}, {"1,", "not valid"},
        {"[1]\f", "column 4: this is no JSON value"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i][0], strlen(cases[i][0]), ERR_INVALID, cases[i][1]);
    expect_refused("1\0", 2, ERR_INVALID, "column 2: this is no JSON value");
}

static void limits_hold(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str deep = STR_INIT(100000000);
    for (int i = 0; i <= LIMIT_TREE_DEPTH; i++)
        str_append(&deep, i % 2 ? "[" : "{\"a\":");
    expect_refused(deep.data, deep.size, ERR_LIMIT, "nested more than 64");
    str_clear(&deep);
    str_append_char(&deep, '[');
    for (int i = 0; i < LIMIT_TREE_NODES; i++)
        str_append(&deep, "1,");
    expect_refused(deep.data, deep.size, ERR_LIMIT, "more than 1000000 values");
    str_clear(&deep);
    for (int i = 0; i < LIMIT_JSON_BYTES; i++)
        str_append_char(&deep, ' ');
    str_append_char(&deep, '1');
    expect_refused(deep.data, deep.size, ERR_LIMIT, "bytes of JSON");
    str_clear(&deep);
    str_appendf(&deep, "1.%0500d", 7);
    expect_refused(deep.data, deep.size, ERR_INVALID, "digits");
}

static void large_objects_are_fast(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_JSON_BYTES);
    str_append_char(&text, '{');
    for (int i = 0; i < 200000; i++)
        str_appendf(&text, "%s\"key-%d\":%d", i ? "," : "", i, i);
    str_append_char(&text, '}');
    _cleanup_(json_freep) struct json *root = parsed(text.data);
    assert_int_equal(json_count(root), 200000);
    assert_int_equal(json_int(json_get(root, "key-199999")), 199999);
    assert_null(json_get(root, "key-200000"));
}

static const char *const sample = "{\n"
                                  " \"name\": \"bank\",\n"
                                  " \"n\": 5, \"big\": 18446744073709551615, \"half\": 0.5,\n"
                                  " \"on\": true, \"nul\": \"a\\u0000b\",\n"
                                  " \"list\": [\n  {\"restart\": \"Never\"}],\n"
                                  " \"wait\": \"1m30s\", \"a b\": {\"c\": null}\n"
                                  "}";

static void typed_reads(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *root = parsed(sample);
    bool on = false;
    int64_t number = 0;
    uint64_t large = 0;
    double half = 0;
    const char *text = NULL;
    int index = -1;
    static const char *const names[] = {"Always", "Never", NULL};
    assert_int_equal(json_read_bool(json_get(root, "on"), &on, NULL), 0);
    assert_true(on);
    assert_int_equal(json_read_int(json_get(root, "n"), 1, 5, &number, NULL), 0);
    assert_int_equal(number, 5);
    assert_int_equal(json_read_uint(json_get(root, "big"), UINT64_MAX, &large, NULL), 0);
    assert_true(large == UINT64_MAX);
    assert_int_equal(json_read_double(json_get(root, "half"), &half, NULL), 0);
    assert_true(half == 0.5);
    assert_int_equal(json_read_double(json_get(root, "n"), &half, NULL), 0);
    assert_true(half == 5.0);
    assert_int_equal(json_read_string(json_get(root, "name"), 4, &text, NULL), 0);
    assert_string_equal(text, "bank");
    assert_int_equal(json_read_duration(json_get(root, "wait"), &number, NULL), 0);
    assert_int_equal(number, 90000);
    assert_int_equal(
        json_read_enum(json_get(json_at(json_get(root, "list"), 0), "restart"), names, &index, NULL), 0);
    assert_int_equal(index, 1);
}

static void typed_reads_say_where(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *root = parsed(sample);
    const struct json *restart = json_get(json_at(json_get(root, "list"), 0), "restart");
    const struct json *name = json_get(root, "name");
    static const char *const names[] = {"Permanent", "Transient", NULL};
    struct err err = {0};
    bool on;
    int64_t number;
    uint64_t large;
    double real;
    const char *text = NULL;
    int index;
    assert_int_equal(json_read_enum(restart, names, &index, &err), -1);
    assert_string_equal(
        err.text, "line 6: list[0].restart: must be one of Permanent, Transient, not \"Never\"");
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(json_read_int(name, 0, 9, &number, &err), -1);
    assert_string_equal(err.text, "line 2: name: must be an integer, not a string");
    assert_int_equal(json_read_int(json_get(root, "n"), 6, 9, &number, &err), -1);
    assert_string_equal(err.text, "line 3: n: must be from 6 to 9");
    assert_int_equal(json_read_int(json_get(root, "big"), 0, INT64_MAX, &number, &err), -1);
    assert_int_equal(json_read_uint(json_get(root, "n"), 4, &large, &err), -1);
    assert_int_equal(json_read_uint(name, 4, &large, &err), -1);
    assert_int_equal(json_read_double(name, &real, &err), -1);
    assert_int_equal(json_read_bool(name, &on, &err), -1);
    assert_int_equal(json_read_string(name, 3, &text, &err), -1);
    assert_string_equal(err.text, "line 2: name: must have at most 3 bytes");
    assert_int_equal(json_read_string(json_get(root, "nul"), 30, &text, &err), -1);
    assert_string_equal(err.text, "line 4: nul: must not hold a NUL character");
    assert_int_equal(json_read_duration(name, &number, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(json_read_string(json_get(root, "none"), 30, &text, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(json_error(json_get(json_get(root, "a b"), "c"), &err, "no %d", 5), -1);
    assert_string_equal(err.text, "line 7: [\"a b\"].c: no 5");
    assert_null(text);
}

static void unknown_members_are_found(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *root = parsed("{\"a\":1,\"x\":2,\"b\":3,\"y\":4}");
    static const char *const names[] = {"a", "b", NULL};
    size_t position = 0;
    assert_string_equal(json_key(json_next_unknown(root, names, &position)), "x");
    assert_string_equal(json_key(json_next_unknown(root, names, &position)), "y");
    assert_null(json_next_unknown(root, names, &position));
    assert_null(json_next_unknown(json_get(root, "a"), names, &position));
}

static void missing_nodes_read_as_null(void **state)
{
    (void)state;
    assert_int_equal(json_type(NULL), JSON_NULL);
    assert_null(json_get(json_get(NULL, "a"), "b"));
    assert_null(json_at(NULL, 0));
    assert_null(json_key_at(NULL, 0));
    assert_string_equal(json_string(NULL), "");
    assert_int_equal(json_string_size(NULL), 0);
    assert_int_equal(json_line(NULL), 0);
    assert_false(json_bool(NULL));
    json_free(NULL);
}

static void built_by_hand(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *root = json_object_new();
    json_set_string(root, "s", "x");
    json_set_string(root, "none", NULL);
    json_set_stringf(root, "f", "%d-%d", 1, 2);
    json_set_bool(root, "b", true);
    json_set_int(root, "i", -5);
    json_set_uint(root, "u", UINT64_MAX);
    json_set_double(root, "d", 2);
    json_set_null(root, "z");
    struct json *list = json_set_array(root, "list");
    json_add_string(list, "a");
    json_add_int(list, 7);
    json_set_int(json_add_object(list), "k", 1);
    json_set_object(root, "o");
    json_set_string(root, "s", "replaced in its place");
    assert_true(json_remove(root, "z"));
    assert_false(json_remove(root, "z"));
    _cleanup_(cleanup_free) char *text = json_to_text(root, JSON_COMPACT);
    assert_string_equal(text,
        "{\"s\":\"replaced in its place\",\"none\":null,\"f\":\"1-2\",\"b\":true,\"i\":-5,"
        "\"u\":18446744073709551615,\"d\":2.0,\"list\":[\"a\",7,{\"k\":1}],\"o\":{}}");
    int seen = 0;
    json_for_each(item, list)
    {
        if (json_type(item) == JSON_INT)
            break; /* leaves the whole loop */
        seen++;
    }
    assert_int_equal(seen, 1);
    assert_ptr_equal(json_parent(list), root);
}

static void indexed_objects_change(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 11);
    _cleanup_(json_freep) struct json *root = json_object_new();
    int64_t model[60];
    size_t count = 0;
    memset(model, -1, sizeof(model));
    for (int64_t step = 0; step < 5000; step++) {
        size_t index = rng_below(&rng, 60);
        char key[8];
        (void)snprintf(key, sizeof(key), "k%zu", index);
        if (rng_below(&rng, 3) != 0) {
            json_set_int(root, key, step);
            count += model[index] < 0;
            model[index] = step;
        } else {
            assert_int_equal(json_remove(root, key), model[index] >= 0);
            count -= model[index] >= 0;
            model[index] = -1;
        }
        assert_int_equal(json_count(root), count);
        assert_int_equal(json_int(json_get(root, key)), model[index] < 0 ? 0 : model[index]);
    }
}

static void pretty_form(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *root = parsed("{\"a\":[1,{\"b\":[]}],\"c\":{}}");
    _cleanup_(cleanup_free) char *text = json_to_text(root, JSON_PRETTY);
    assert_string_equal(text, "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}\n");
}

static void random_trees_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        struct err err = {0};
        rng_seed(&rng, seed);
        _cleanup_(json_freep) struct json *tree = random_tree(&rng);
        _cleanup_(json_freep) struct json *copy = json_dup(tree);
        _cleanup_(json_freep) struct json *back = NULL;
        _cleanup_(cleanup_free) char *text = json_to_text(tree, seed % 2 ? JSON_COMPACT : JSON_PRETTY);
        assert_true(json_equal(tree, copy));
        if (json_parse(text, strlen(text), &back, &err) < 0 || !json_equal(tree, back))
            fail_msg("seed %llu: %s: %s", (unsigned long long)seed, err.text, text);
    }
}

static void equal_looks_at_everything(void **state)
{
    (void)state;
    static const char *const different[] = {"null", "true", "false", "1", "2", "18446744073709551615", "1.0",
        "-0.0", "0.0", "\"\"", "\"a\"", "[]", "[1]", "[2]", "{}", "{\"a\":1}", "{\"b\":1}",
        "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"};
    for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++) {
        for (size_t j = 0; j < sizeof(different) / sizeof(different[0]); j++) {
            _cleanup_(json_freep) struct json *left = parsed(different[i]);
            _cleanup_(json_freep) struct json *right = parsed(different[j]);
            assert_int_equal(json_equal(left, right), i == j);
        }
    }
}

TEST_GROUP(json, cmocka_unit_test(texts_come_out_as_they_went_in), cmocka_unit_test(integers_are_exact),
    cmocka_unit_test(doubles_are_the_shortest_text), cmocka_unit_test(bad_texts_say_where),
    cmocka_unit_test(limits_hold), cmocka_unit_test(large_objects_are_fast), cmocka_unit_test(typed_reads),
    cmocka_unit_test(typed_reads_say_where), cmocka_unit_test(unknown_members_are_found),
    cmocka_unit_test(missing_nodes_read_as_null), cmocka_unit_test(built_by_hand),
    cmocka_unit_test(indexed_objects_change), cmocka_unit_test(pretty_form),
    cmocka_unit_test(random_trees_survive), cmocka_unit_test(equal_looks_at_everything));
