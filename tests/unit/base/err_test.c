#include "harness.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void set_fills_and_returns(void **state)
{
    (void)state;
    struct err err = {.sys = 7, .retry_after_ms = 9};
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "actor %s", "bank/ledger"), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "actor bank/ledger");
    assert_int_equal(err.sys, 0);
    assert_int_equal(err.retry_after_ms, 0);
    assert_int_equal(err_set(NULL, ERR_BUSY, "nobody listens"), -1);
}

static void every_errno_has_a_kind(void **state)
{
    (void)state;
    static const struct {
        int errno_value;
        enum err_kind kind;
    } cases[] = {{EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {ENOENT, ERR_NOT_FOUND}, {EEXIST, ERR_CONFLICT},
        {EAGAIN, ERR_BUSY}, {ECONNREFUSED, ERR_UNAVAILABLE}, {EPIPE, ERR_UNAVAILABLE},
        {ETIMEDOUT, ERR_TIMEOUT}, {ECANCELED, ERR_CANCELED}, {EIO, ERR_SYSTEM}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        assert_int_equal(err_set_errno(&err, cases[i].errno_value, "open"), -1);
        assert_int_equal(err.kind, cases[i].kind);
        assert_int_equal(err.sys, cases[i].errno_value);
        assert_int_equal(strncmp(err.text, "open: ", 6), 0);
        assert_true(strlen(err.text) > 6);
    }
}

static void wrap_goes_in_front_and_keeps_the_kind(void **state)
{
    (void)state;
    struct err err = {0};
    (void)err_set_errno(&err, ENOENT, "open");
    err.retry_after_ms = 5;
    assert_int_equal(err_wrap(&err, "pod %s", "a"), -1);
    assert_string_equal(err.text, "pod a: open: No such file or directory");
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(err.retry_after_ms, 5);
    assert_int_equal(err_wrap(NULL, "nobody"), -1);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct err err = {0};
    (void)err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)err_set_errno(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void own_text_may_be_an_argument(void **state)
{
    (void)state;
    struct err err = {0};
    (void)err_set(&err, ERR_INVALID, "inner");
    (void)err_set(&err, ERR_CONFLICT, "outer of %s", err.text);
    assert_string_equal(err.text, "outer of inner");
}

static void names_differ(void **state)
{
    (void)state;
    for (int i = ERR_NONE; i <= ERR_LIMIT; i++) {
        for (int j = ERR_NONE; j < i; j++)
            assert_string_not_equal(err_kind_name((enum err_kind)i), err_kind_name((enum err_kind)j));
    }
    assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
    struct err err = {.kind = ERR_BUSY, .text = "x"};
    err_clear(&err);
    assert_int_equal(err.kind, ERR_NONE);
    assert_string_equal(err.text, "");
}

TEST_GROUP(err, cmocka_unit_test(set_fills_and_returns), cmocka_unit_test(every_errno_has_a_kind),
    cmocka_unit_test(wrap_goes_in_front_and_keeps_the_kind), cmocka_unit_test(long_texts_are_cut),
    cmocka_unit_test(own_text_may_be_an_argument), cmocka_unit_test(names_differ));
