/* What an operator may send as a unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "actor/spec.h"
#include "base/err.h"
#include "base/limits.h"
#include "node_control/unit_spec.h"
#include "suites.h"

static struct actor_child_spec worker(const char *name, const char *under)
{
    return (struct actor_child_spec){.name = name, .under = under, .behavior = "bank.teller"};
}

static struct actor_child_spec supervisor(const char *name, const char *under)
{
    return (struct actor_child_spec){
        .name = name, .under = under, .is_supervisor = true, .restarts_max = 3, .period_ms = 5000};
}

static void expect_ok(const struct actor_unit_spec *spec)
{
    struct err err = {0};
    if (unit_spec_check(spec, &err) < 0)
        fail_msg("%s", err.text);
}

static void expect_wrong(const struct actor_unit_spec *spec, const char *part)
{
    struct err err = {0};
    assert_int_equal(unit_spec_check(spec, &err), -1);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void test_names(void **state)
{
    static const char *const good[] = {"ledger", "tellers.0", "a-b.999999"};
    static const char *const bad[] = {"", "Ledger", "tellers.", "tellers.x", "a/b", "tellers.0.1",
        "a.1234567", "-a", "../../etc", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"};
    struct actor_unit_spec spec = {.root = worker("", "")};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        spec.name = good[i];
        expect_ok(&spec);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.name = bad[i];
        expect_wrong(&spec, "no name of a unit");
    }
}

static void test_children(void **state)
{
    struct actor_child_spec children[] = {supervisor("group", ""), worker("one", "group"), worker("two", "")};
    struct actor_unit_spec spec = {
        .name = "tellers.0", .root = supervisor("", ""), .children = children, .child_count = 3};
    (void)state;
    expect_ok(&spec);
    children[1].under = "two";
    expect_wrong(&spec, "child \"one\": \"two\" is no supervisor before it");
    children[1].under = "one";
    expect_wrong(&spec, "no supervisor before it");
    children[1] = worker("two", "");
    expect_wrong(&spec, "there are two");
    children[1] = worker("bad name", "");
    expect_wrong(&spec, "no DNS label");
    children[1] = worker("one", "");
    spec.root = worker("", "");
    expect_wrong(&spec, "no supervisor before it");
}

static void test_behaviors(void **state)
{
    static const char *const bad[] = {"teller", ".teller", "bank."};
    struct actor_unit_spec spec = {.name = "ledger", .root = worker("", "")};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spec.root.behavior = bad[i];
        expect_wrong(&spec, "library.name");
    }
    spec.root.behavior = NULL;
    expect_wrong(&spec, "needs a behavior or a supervisor");
    spec.root = supervisor("", "");
    spec.root.behavior = "bank.teller";
    expect_wrong(&spec, "not both");
    spec.root = supervisor("", "");
    spec.root.period_ms = 0;
    expect_wrong(&spec, "intensity");
}

static void test_arguments_and_numbers(void **state)
{
    static const uint8_t cut_map[] = {0x81, 0xa1};
    static const uint8_t nil[] = {0xc0};
    struct actor_unit_spec spec = {.name = "ledger", .root = worker("", "")};
    (void)state;
    spec.root.arguments = nil;
    spec.root.arguments_size = sizeof(nil);
    expect_ok(&spec);
    spec.root.arguments = cut_map;
    spec.root.arguments_size = sizeof(cut_map);
    expect_wrong(&spec, "arguments");
    spec.root = worker("", "");
    spec.root.mailbox_capacity = LIMIT_MAILBOX_CAPACITY + 1;
    expect_wrong(&spec, "mailbox capacity");
    spec.root = worker("", "");
    spec.root.restart = (enum actor_restart)17;
    expect_wrong(&spec, "unknown restart");
}

static void test_too_many_children(void **state)
{
    struct actor_child_spec children[LIMIT_CHILDREN + 1];
    struct actor_unit_spec spec = {.name = "tellers.0",
        .root = supervisor("", ""),
        .children = children,
        .child_count = LIMIT_CHILDREN + 1};
    (void)state;
    for (size_t i = 0; i <= LIMIT_CHILDREN; i++)
        children[i] = worker("one", "");
    expect_wrong(&spec, "more than 64 children");
}

static void test_dup_shares_nothing(void **state)
{
    char name[] = "tellers.0", child_name[] = "one", behavior[] = "bank.teller";
    uint8_t arguments[] = {0xc0};
    struct actor_child_spec child = {
        .name = child_name, .under = "", .behavior = behavior, .arguments = arguments, .arguments_size = 1};
    struct actor_unit_spec spec = {
        .name = name, .generation = 4, .root = supervisor("", ""), .children = &child, .child_count = 1};
    (void)state;
    struct actor_unit_spec *copy = spec_dup(&spec);
    name[0] = child_name[0] = behavior[0] = 'X';
    arguments[0] = 0;
    assert_string_equal(copy->name, "tellers.0");
    assert_string_equal(copy->children[0].name, "one");
    assert_string_equal(copy->children[0].behavior, "bank.teller");
    assert_int_equal(copy->children[0].arguments[0], 0xc0);
    assert_null(copy->root.behavior);
    free(copy);
}

const struct CMUnitTest unit_spec_tests[] = {
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_children),
    cmocka_unit_test(test_behaviors),
    cmocka_unit_test(test_arguments_and_numbers),
    cmocka_unit_test(test_too_many_children),
    cmocka_unit_test(test_dup_shares_nothing),
};
const size_t unit_spec_test_count = sizeof(unit_spec_tests) / sizeof(unit_spec_tests[0]);
