#include "unit/api/suites.h"

#include "api/problems.h"
#include "base/json.h"
#include "base/str.h"

static void problems_are_sorted_by_line(void **state)
{
    (void)state;
    struct api_problems problems;
    struct str out = STR_INIT(1000);
    api_problems_init(&problems, "f");
    api_problems_add(&problems, 9, "b", "second");
    api_problems_add(&problems, 2, "a", "first %d", 1);
    api_problems_add(&problems, 9, "c", "third");
    api_problems_sort(&problems);
    api_problems_print(&problems, &out);
    assert_string_equal(str_text(&out), "f:2: a: first 1\nf:9: b: second\nf:9: c: third\n");
    str_done(&out);
    api_problems_done(&problems);
}

static void only_so_many_are_kept(void **state)
{
    (void)state;
    struct api_problems problems;
    struct str out = STR_INIT(100000);
    api_problems_init(&problems, NULL);
    for (unsigned i = 0; i < API_PROBLEMS_MAX + 5; i++)
        api_problems_add(&problems, i + 1, "", "wrong");
    assert_int_equal(problems.items.count, API_PROBLEMS_MAX);
    api_problems_print(&problems, &out);
    assert_true(text_ends_with(str_text(&out), "100: wrong\nand 5 more mistakes\n"));
    str_done(&out);
    api_problems_done(&problems);
}

static void a_node_without_line_takes_its_parents(void **state)
{
    (void)state;
    struct api_problems problems;
    struct json *root = json_object_new();
    json_set_line(root, 4);
    struct json *child = json_set_object(root, "spec");
    api_problems_init(&problems, NULL);
    api_problems_add_at(&problems, child, "odd");
    assert_int_equal(problems.items.items[0].line, 4);
    assert_string_equal(problems.items.items[0].path, "spec");
    api_problems_done(&problems);
    json_free(root);
}

const struct CMUnitTest problems_tests[3] = {
    cmocka_unit_test(problems_are_sorted_by_line),
    cmocka_unit_test(only_so_many_are_kept),
    cmocka_unit_test(a_node_without_line_takes_its_parents),
};
