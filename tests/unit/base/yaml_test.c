#include "harness.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/yaml.h"

static struct json *parsed(const char *text)
{
    struct json *documents = NULL;
    struct err err = {0};
    if (yaml_parse("test.yaml", text, strlen(text), &documents, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return documents;
}

static void expect_json(const char *text, const char *expected)
{
    _cleanup_(json_freep) struct json *documents = parsed(text);
    _cleanup_(cleanup_free) char *written = json_to_text(documents, JSON_COMPACT);
    assert_string_equal(written, expected);
}

static void scalars_of_the_core_schema(void **state)
{
    (void)state;
    expect_json("[~, null, Null, '', \"null\", x]", "[[null,null,null,\"\",\"null\",\"x\"]]");
    expect_json(
        "[true, True, FALSE, yes, on, y, 'true']", "[[true,true,false,\"yes\",\"on\",\"y\",\"true\"]]");
    expect_json("[0, -1, +12, 007, 0x1F, 0o17, 0b1, 1_000]", "[[0,-1,12,7,31,15,\"0b1\",\"1_000\"]]");
    expect_json("[9223372036854775808, 18446744073709551615, -9223372036854775808]",
        "[[9223372036854775808,18446744073709551615,-9223372036854775808]]");
    expect_json("[1.5, .5, 1., 1e3, -1.5E-2, '1.5', 1.2.3, ., 1e, e3, -, +]",
        "[[1.5,0.5,1.0,1000.0,-0.015,\"1.5\",\"1.2.3\",\".\",\"1e\",\"e3\",\"-\",\"+\"]]");
}

static void tags_of_the_core_schema(void **state)
{
    (void)state;
    expect_json("[!!str 5, ! 5, !!int 5, !!float 1.0, !!null ~, !!bool true, !!seq [], !!map {}]",
        "[[\"5\",\"5\",5,1.0,null,true,[],{}]]");
}

static void blocks_and_documents(void **state)
{
    (void)state;
    expect_json("a: 1\nb:\n  - c: |\n      x\n      y\n    d: >-\n      p\n      q\n  - - 1\n",
        "[{\"a\":1,\"b\":[{\"c\":\"x\\ny\\n\",\"d\":\"p q\"},[1]]}]");
    expect_json("---\na: 1\n---\n---\n# nothing\n---\n- 2\n...\n", "[{\"a\":1},[2]]");
    expect_json("", "[]");
    expect_json("# only a comment\n", "[]");
    expect_json("null\n", "[null]");
    expect_json("{\"as\": [\"json\", 1]}", "[{\"as\":[\"json\",1]}]");
}

static void nodes_know_their_lines(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *documents =
        parsed("kind: A\nspec:\n  list:\n    - x\n    - y: 1\n---\nkind: B\n");
    const struct json *list = json_get(json_get(json_at(documents, 0), "spec"), "list");
    assert_int_equal(json_line(json_get(json_at(documents, 0), "spec")), 2);
    assert_int_equal(json_line(list), 3);
    assert_int_equal(json_line(json_at(list, 0)), 4);
    assert_int_equal(json_line(json_get(json_at(list, 1), "y")), 5);
    assert_int_equal(json_line(json_get(json_at(documents, 1), "kind")), 7);
}

static void expect_refused(const char *text, size_t size, enum err_kind kind, const char *part)
{
    struct json *documents = NULL;
    struct err err = {0};
    if (yaml_parse("f.yaml", text, size, &documents, &err) == 0)
        fail_msg("accepted: %s", text);
    assert_null(documents);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void bad_texts_say_where(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a: 1\nb: 2\na: 3\n", "f.yaml:3: duplicate key \"a\", first in line 1"},
        {"a: &x 1\n", "f.yaml:1: anchors"}, {"a: &x [1]\n", "f.yaml:1: anchors"},
        {"a: &x {b: 1}\n", "anchors"}, {"a: 1\nb: *x\n", "f.yaml:2: anchors"},
        {"a: !custom 1\n", "tag !custom is not supported"},
        {"a: !!binary aGk=\n", "f.yaml:1: tag !!binary does not fit"}, {"a: !!int x\n", "does not fit"},
        {"a: !!str [1]\n", "does not fit"},
        {"1: a\n", "f.yaml:1: a key must be a text, not an integer: quote it"},
        {"? [a]\n: b\n", "a key must be a text"}, {"~: a\n", "a key must be a text, not null"},
        {"\"a\\0b\": 1\n", "NUL"}, {"a: .nan\n", "not a finite number"},
        {"a: -.inf\n", "not a finite number"}, {"a: 1e999\n", "not a finite number"},
        {"x: 1\na: 18446744073709551616\n", "f.yaml:2: integer"}, {"a: -9223372036854775809\n", "64 bits"},
        {"a: [1\nb: 2\n", "f.yaml:2: "}, {"a: 'x\n", "f.yaml:"}, {"a:\n\t- x\n", "f.yaml:2: "},
        {"a: 1\n b: 2\n", "f.yaml:2: "}, {"a: 1\nb: \xFF\n", "f.yaml:2: "}, {"%FOO\n--- a\n", "f.yaml:"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i][0], strlen(cases[i][0]), ERR_INVALID, cases[i][1]);
    struct err err = {0};
    struct json *documents;
    assert_int_equal(yaml_parse(NULL, "[", 1, &documents, &err), -1);
    assert_int_equal(strncmp(err.text, "line ", 5), 0);
}

static void limits_hold(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str text = STR_INIT(2 * LIMIT_MANIFEST_BYTES);
    for (int i = 0; i < LIMIT_MANIFEST_BYTES; i++)
        str_append_char(&text, '[');
    expect_refused(text.data, text.size, ERR_LIMIT, "f.yaml:1: nested more than 64 deep");
    str_append_char(&text, '[');
    expect_refused(text.data, text.size, ERR_LIMIT, "f.yaml: more than 1048576 bytes");
    str_clear(&text);
    for (int i = 0; i < 200; i++)
        str_appendf(&text, "%*sa:\n", i, "");
    expect_refused(text.data, text.size, ERR_LIMIT, "f.yaml:65: nested");
    str_clear(&text);
    for (int i = 0; i <= LIMIT_YAML_DOCUMENTS; i++)
        str_append(&text, "---\na: 1\n");
    expect_refused(text.data, text.size, ERR_LIMIT, "more than 64 documents");
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/histrio-yaml-XXXXXX";
    _cleanup_(cleanup_close) int fd = mkstemp(path);
    struct err err = {0};
    struct json *refused = NULL;
    _cleanup_(json_freep) struct json *documents = NULL;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: [1]\n", 7), 7);
    assert_int_equal(yaml_parse_file(path, &documents, &err), 0);
    assert_int_equal(json_count(documents), 1);
    assert_int_equal(ftruncate(fd, 100 * 1024 * 1024), 0);
    assert_int_equal(yaml_parse_file(path, &refused, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(yaml_parse_file(path, &refused, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(refused);
}

static void block_style(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *documents = parsed(
        "{name: bank, note: 'yes', count: 5, d: 1.0, empty: [], none: {}, z: null, list: [a, {k: v, l: "
        "[1, [2, 3]]}]}");
    _cleanup_(str_done) struct str text = STR_INIT(10000);
    yaml_write(json_at(documents, 0), &text);
    assert_string_equal(str_text(&text),
        "name: bank\nnote: \"yes\"\ncount: 5\nd: 1.0\nempty: []\nnone: {}\nz: null\nlist:\n  - a\n"
        "  - k: v\n    l:\n      - 1\n      -\n        - 2\n        - 3\n");
}

static void random_trees_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        struct err err = {0};
        rng_seed(&rng, seed);
        _cleanup_(json_freep) struct json *tree = random_tree(&rng);
        _cleanup_(json_freep) struct json *documents = NULL;
        _cleanup_(str_done) struct str text = STR_INIT(LIMIT_MANIFEST_BYTES);
        yaml_write(tree, &text);
        if (yaml_parse(NULL, str_text(&text), text.size, &documents, &err) < 0 ||
            json_count(documents) != 1 || !json_equal(tree, json_at(documents, 0)))
            fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, err.text, str_text(&text));
    }
}

TEST_GROUP(yaml, cmocka_unit_test(scalars_of_the_core_schema), cmocka_unit_test(tags_of_the_core_schema),
    cmocka_unit_test(blocks_and_documents), cmocka_unit_test(nodes_know_their_lines),
    cmocka_unit_test(bad_texts_say_where), cmocka_unit_test(limits_hold), cmocka_unit_test(files),
    cmocka_unit_test(block_style), cmocka_unit_test(random_trees_survive));
