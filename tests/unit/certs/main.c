/* Certificates of a system: who is accepted, what a Secret needs at each moment of its life, and that all
 * processes accept each other while it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "certs/certs.h"

#define UID "2f9e6d1c-7a51-4c1e-9d54-0c6f6b0e8a11"
#define OTHER_UID "aaaaaaaa-7a51-4c1e-9d54-0c6f6b0e8a11"

enum { DAY_S = 24 * 3600, YEAR_S = 365 * DAY_S };

static const int64_t now_s = 1800000000;

static void make_authority(struct certs_pair *authority)
{
    struct err err = {0};
    if (certs_make_authority("bank", UID, now_s, authority, &err) < 0)
        fail_msg("%s", err.text);
}

static void make_leaf(
    const struct certs_pair *authority, enum role role, int64_t at_s, struct certs_pair *leaf)
{
    struct err err = {0};
    if (certs_make_leaf(authority, role, UID, at_s, CERTS_LEAF_S, leaf, &err) < 0)
        fail_msg("%s", err.text);
}

static void create(struct certs_content *content, int64_t at_s)
{
    struct err err = {0};
    if (certs_perform(CERTS_CREATE, NULL, "bank", UID, at_s, content, &err) < 0)
        fail_msg("%s", err.text);
}

static void expect_refused(enum err_kind kind, const char *text, const struct certs_pair *leaf,
    const char *authorities, enum role role, const char *uid, int64_t at_s)
{
    struct err err = {0};
    assert_int_equal(certs_verify(leaf->chain, leaf->key, authorities, role, uid, at_s, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void test_who_is_accepted(void **state)
{
    struct certs_pair authority, other, node, operator_leaf;
    (void)state;
    make_authority(&authority);
    make_authority(&other);
    make_leaf(&authority, ROLE_NODE, now_s, &node);
    make_leaf(&authority, ROLE_OPERATOR, now_s, &operator_leaf);
    assert_int_equal(certs_verify(node.chain, node.key, authority.chain, ROLE_NODE, UID, now_s, NULL), 0);
    assert_int_equal(certs_verify(operator_leaf.chain, operator_leaf.key, authority.chain, ROLE_OPERATOR, UID,
                         now_s, NULL),
        0);
    expect_refused(ERR_DENIED, "is not of operator." UID, &node, authority.chain, ROLE_OPERATOR, UID, now_s);
    expect_refused(ERR_DENIED, "is not of node.", &operator_leaf, authority.chain, ROLE_NODE, UID, now_s);
    expect_refused(ERR_DENIED, "is not of", &node, authority.chain, ROLE_NODE, OTHER_UID, now_s);
    expect_refused(ERR_DENIED, "is not of", &node, authority.chain, ROLE_NODE, "not a label", now_s);
    expect_refused(ERR_INVALID, "refused", &node, other.chain, ROLE_NODE, UID, now_s);
    expect_refused(ERR_EXPIRED, "expired", &node, authority.chain, ROLE_NODE, UID, now_s + CERTS_LEAF_S + 1);
    expect_refused(
        ERR_EXPIRED, "not yet valid", &node, authority.chain, ROLE_NODE, UID, now_s - CERTS_SKEW_S - 1);
    struct certs_pair mixed = {node.chain, operator_leaf.key};
    expect_refused(ERR_INVALID, "key", &mixed, authority.chain, ROLE_NODE, UID, now_s);
    certs_pair_done(&authority);
    certs_pair_done(&other);
    certs_pair_done(&node);
    certs_pair_done(&operator_leaf);
}

/* A leaf cannot sign, nor stand for an authority. */
static void test_leaf_is_no_authority(void **state)
{
    struct certs_pair authority, node, below;
    (void)state;
    make_authority(&authority);
    make_leaf(&authority, ROLE_NODE, now_s, &node);
    make_leaf(&node, ROLE_OPERATOR, now_s, &below);
    _cleanup_(cleanup_free) char *chain = xasprintf("%s%s", below.chain, node.chain);
    _cleanup_(cleanup_free) char *bundle = xasprintf("%s%s", authority.chain, node.chain);
    struct certs_pair chained = {chain, below.key};
    expect_refused(ERR_INVALID, "refused", &chained, authority.chain, ROLE_OPERATOR, UID, now_s);
    expect_refused(ERR_INVALID, "refused", &chained, bundle, ROLE_OPERATOR, UID, now_s);
    certs_pair_done(&authority);
    certs_pair_done(&node);
    certs_pair_done(&below);
}

static void test_expiry(void **state)
{
    struct certs_pair authority, node;
    int64_t end_s = 0;
    struct err err = {0};
    (void)state;
    make_authority(&authority);
    make_leaf(&authority, ROLE_NODE, now_s, &node);
    assert_int_equal(certs_expiry(node.chain, &end_s, NULL), 0);
    assert_int_equal(end_s, now_s + CERTS_LEAF_S);
    assert_int_equal(certs_expiry(authority.chain, &end_s, NULL), 0);
    assert_int_equal(end_s, now_s + CERTS_AUTHORITY_S);
    assert_int_equal(certs_expiry("no certificate", &end_s, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(certs_expiry(NULL, &end_s, &err), -1);
    assert_int_equal(certs_make_leaf(&authority, ROLE_NODE, "not a label", now_s, 1, &node, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    certs_pair_done(&authority);
    certs_pair_done(&node);
}

static void test_first_secret(void **state)
{
    struct certs_content content;
    struct certs_plan plan = certs_plan(NULL, UID, now_s);
    (void)state;
    assert_int_equal(plan.step, CERTS_CREATE);
    create(&content, now_s);
    plan = certs_plan(&content, UID, now_s);
    assert_int_equal(plan.step, CERTS_KEEP);
    assert_int_equal(plan.next_s, now_s + CERTS_LEAF_S / 2);
    assert_int_equal(certs_plan(&content, UID, plan.next_s - 1).step, CERTS_KEEP);
    assert_int_equal(certs_plan(&content, UID, plan.next_s).step, CERTS_RENEW_LEAVES);
    /* Of a former system of the same name. */
    assert_int_equal(certs_plan(&content, OTHER_UID, now_s).step, CERTS_CREATE);
    /* Our clock was wrong, then or now. */
    assert_int_equal(certs_plan(&content, UID, now_s - YEAR_S).step, CERTS_CREATE);
    assert_int_equal(certs_plan(&content, UID, now_s + 11 * YEAR_S).step, CERTS_CREATE);
    certs_content_done(&content);
}

/* All of a content's values, to break one at a time. */
static char **field(struct certs_content *content, int number)
{
    char **fields[] = {&content->authorities, &content->authority_keys, &content->node_chain,
        &content->node_key, &content->operator_chain, &content->operator_key};
    return fields[number];
}

static void expect_repaired(const struct certs_content *content, enum certs_step expected)
{
    struct certs_content repaired;
    struct err err = {0};
    struct certs_plan plan = certs_plan(content, UID, now_s);
    assert_int_equal(plan.step, expected);
    if (certs_perform(plan.step, content, "bank", UID, now_s, &repaired, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(certs_plan(&repaired, UID, now_s).step, CERTS_KEEP);
    certs_content_done(&repaired);
}

static void test_damaged_values(void **state)
{
    struct certs_content content, other;
    (void)state;
    create(&content, now_s);
    create(&other, now_s);
    for (int i = 0; i < 6; i++) {
        enum certs_step expected = i < 2 ? CERTS_CREATE : CERTS_RENEW_LEAVES;
        char *good = *field(&content, i);
        char cut[400];
        (void)snprintf(cut, sizeof(cut), "%.*s", 200, good);
        char *bad[] = {NULL, (char[]){""}, (char[]){"nonsense"}, cut, *field(&other, i)};
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            *field(&content, i) = bad[k];
            expect_repaired(&content, expected);
        }
        *field(&content, i) = good;
    }
    /* Somebody added an authority of their own. */
    char *good = content.authorities;
    content.authorities = xasprintf("%s%s", other.authorities, good);
    struct certs_plan plan = certs_plan(&content, UID, now_s + CERTS_OVERLAP_S);
    assert_int_equal(plan.step, CERTS_DROP_AUTHORITY);
    struct certs_content dropped;
    assert_int_equal(certs_perform(plan.step, &content, "bank", UID, now_s, &dropped, NULL), 0);
    assert_string_equal(dropped.authorities, good);
    free(content.authorities);
    content.authorities = good;
    certs_content_done(&dropped);
    certs_content_done(&content);
    certs_content_done(&other);
}

static void test_steps_that_do_not_fit(void **state)
{
    struct certs_content content, made;
    struct err err = {0};
    (void)state;
    create(&content, now_s);
    assert_int_equal(certs_perform(CERTS_KEEP, &content, "bank", UID, now_s, &made, &err), -1);
    assert_int_equal(certs_perform(CERTS_SWITCH_AUTHORITY, &content, "bank", UID, now_s, &made, &err), -1);
    assert_int_equal(certs_perform(CERTS_RENEW_LEAVES, NULL, "bank", UID, now_s, &made, &err), -1);
    assert_int_equal(certs_perform(CERTS_CREATE, NULL, "bank", "no label", now_s, &made, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    certs_content_done(&content);
}

static void expect_accepted(
    const struct certs_content *shown, const struct certs_content *trusted, int64_t at_s)
{
    struct err err = {0};
    if (certs_verify(shown->node_chain, shown->node_key, trusted->authorities, ROLE_NODE, UID, at_s, &err) <
            0 ||
        certs_verify(shown->operator_chain, shown->operator_key, trusted->authorities, ROLE_OPERATOR, UID,
            at_s, &err) < 0)
        fail_msg("after %lld days: %s", (long long)((at_s - now_s) / DAY_S), err.text);
}

enum { FORMER_MAX = 4 };

/* What was written before, and when it was replaced. */
struct history {
    struct certs_content contents[FORMER_MAX];
    int64_t replaced_s[FORMER_MAX];
    size_t count;
};

/* A process that has not yet loaded the newest, and one that has, in both directions. */
static void expect_all_accepted(
    const struct history *history, const struct certs_content *present, int64_t at_s)
{
    expect_accepted(present, present, at_s);
    for (size_t i = 0; i < history->count && i < FORMER_MAX; i++) {
        if (history->replaced_s[i] + CERTS_OVERLAP_S <= at_s)
            continue;
        expect_accepted(&history->contents[i], present, at_s);
        expect_accepted(present, &history->contents[i], at_s);
    }
}

static void remember(struct history *history, const struct certs_content *content, int64_t at_s)
{
    size_t place = history->count++ % FORMER_MAX;
    certs_content_done(&history->contents[place]);
    history->contents[place] = *content;
    history->replaced_s[place] = at_s;
}

/* 11 years, looked at each time that the plan says: at any moment all who loaded what was written up to an
 * overlap ago accept each other. */
static void test_life(void **state)
{
    struct history history = {.count = 0};
    struct certs_content content, changed;
    int steps[CERTS_DROP_AUTHORITY + 1] = {0};
    (void)state;
    create(&content, now_s);
    for (int64_t at_s = now_s; at_s < now_s + 11LL * YEAR_S;) {
        struct certs_plan plan = certs_plan(&content, UID, at_s);
        steps[plan.step]++;
        if (plan.step == CERTS_KEEP) {
            assert_true(plan.next_s > at_s);
            at_s = plan.next_s;
            continue;
        }
        assert_int_not_equal(plan.step, CERTS_CREATE);
        assert_int_equal(certs_perform(plan.step, &content, "bank", UID, at_s, &changed, NULL), 0);
        remember(&history, &content, at_s);
        content = changed;
        expect_all_accepted(&history, &content, at_s);
    }
    assert_int_equal(steps[CERTS_ADD_AUTHORITY], 1);
    assert_int_equal(steps[CERTS_SWITCH_AUTHORITY], 1);
    assert_int_equal(steps[CERTS_DROP_AUTHORITY], 1);
    assert_in_range(steps[CERTS_RENEW_LEAVES], 260, 270);
    assert_in_range(steps[CERTS_KEEP], 260, 275); /* each look finds something to do */
    certs_content_done(&content);
    for (size_t i = 0; i < FORMER_MAX; i++)
        certs_content_done(&history.contents[i]);
}

/* The operator was away while a leaf expired, or in the middle of a change of authorities. */
static void test_late(void **state)
{
    struct certs_content content, changed;
    (void)state;
    create(&content, now_s);
    int64_t late_s = now_s + 9LL * YEAR_S + YEAR_S / 2;
    assert_int_equal(certs_plan(&content, UID, late_s).step, CERTS_RENEW_LEAVES);
    assert_int_equal(certs_perform(CERTS_RENEW_LEAVES, &content, "bank", UID, late_s, &changed, NULL), 0);
    assert_int_equal(certs_plan(&changed, UID, late_s).step, CERTS_ADD_AUTHORITY);
    certs_content_done(&content);
    assert_int_equal(certs_perform(CERTS_ADD_AUTHORITY, &changed, "bank", UID, late_s, &content, NULL), 0);
    certs_content_done(&changed);
    late_s += 60 * DAY_S; /* the leaves are gone meanwhile: new ones of the signer, then the change goes on */
    assert_int_equal(certs_plan(&content, UID, late_s).step, CERTS_RENEW_LEAVES);
    assert_int_equal(certs_perform(CERTS_RENEW_LEAVES, &content, "bank", UID, late_s, &changed, NULL), 0);
    assert_int_equal(certs_plan(&changed, UID, late_s).step, CERTS_SWITCH_AUTHORITY);
    certs_content_done(&changed);
    certs_content_done(&content);
}

/* Values that somebody else wrote are refused and never trusted to be texts of a kind. */
static void test_hostile_values(void **state)
{
    static const char encrypted[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct certs_content content;
    struct rng rng;
    (void)state;
    create(&content, now_s);
    rng_seed(&rng, 3);
    for (int round = 0; round < 300; round++) {
        char **broken = field(&content, (int)rng_below(&rng, 6));
        char *good = *broken;
        size_t size = strlen(good);
        *broken = xstrdup(good);
        for (int i = 0; i < 3; i++)
            (*broken)[rng_below(&rng, size)] = (char)(1 + rng_below(&rng, 255));
        (void)certs_plan(&content, UID, now_s); /* whatever it says */
        free(*broken);
        *broken = good;
    }
    char *good = content.node_key;
    content.node_key = xstrdup(encrypted); /* no question at a terminal */
    assert_int_equal(certs_plan(&content, UID, now_s).step, CERTS_RENEW_LEAVES);
    free(content.node_key);
    content.node_key = xmalloc(1000 * 1000 + 1);
    memset(content.node_key, '-', 1000 * 1000);
    content.node_key[1000 * 1000] = 0;
    assert_int_equal(certs_plan(&content, UID, now_s).step, CERTS_RENEW_LEAVES);
    free(content.node_key);
    content.node_key = good;
    certs_content_done(&content);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_accepted),
        cmocka_unit_test(test_leaf_is_no_authority),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_first_secret),
        cmocka_unit_test(test_damaged_values),
        cmocka_unit_test(test_steps_that_do_not_fit),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_hostile_values),
    };
    return _cmocka_run_group_tests("certs", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
