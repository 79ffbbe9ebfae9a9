/* R1 and R3 of the node's half: terms, nonces, echoes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "node_control/lease.h"
#include "suites.h"

enum { NODE_UID = 77, FIRST_NONCE = 1000 };

static int64_t ms(int64_t milliseconds)
{
    return milliseconds * NS_PER_MS;
}

static struct lease lease_of_term(uint64_t term)
{
    struct lease lease;
    lease_init(&lease, NODE_UID, FIRST_NONCE);
    assert_int_equal(lease_hear_term(&lease, term), LEASE_OBEY);
    return lease;
}

static void test_term_rules(void **state)
{
    (void)state;
    struct lease lease;
    lease_init(&lease, NODE_UID, FIRST_NONCE);
    assert_int_equal(lease_hear_term(&lease, 0), LEASE_OLD_TERM); /* terms begin at 1 */
    assert_int_equal(lease_hear_term(&lease, 5000), LEASE_OBEY);  /* who knows none takes any */
    assert_int_equal(lease_hear_term(&lease, 5000), LEASE_OBEY);
    assert_int_equal(lease_hear_term(&lease, 4999), LEASE_OLD_TERM);
    assert_int_equal(lease_hear_term(&lease, 6001), LEASE_STRANGE_TERM);
    assert_int_equal(lease.term, 5000);
    assert_int_equal(lease_hear_term(&lease, 6000), LEASE_OBEY);
    assert_int_equal(lease.term, 6000);
    assert_int_equal(lease_hear_term(&lease, 5000), LEASE_OLD_TERM);
    assert_int_equal(lease_hear_term(&lease, UINT64_MAX), LEASE_STRANGE_TERM);
}

static void test_lease_counts_from_the_sending_of_its_nonce(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    lease_set_ttl(&lease, 3000);
    assert_false(lease_is_held(&lease, ms(0)));
    uint64_t nonce = lease_request(&lease, ms(100));
    assert_false(lease_is_held(&lease, ms(100)));
    assert_true(lease_echo(&lease, NODE_UID, nonce, ms(2000)));
    assert_true(lease_is_held(&lease, ms(3099)));
    assert_false(lease_is_held(&lease, ms(3100)));
}

static void test_echo_after_its_ttl_is_worthless(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    lease_set_ttl(&lease, 1000);
    uint64_t nonce = lease_request(&lease, ms(0));
    assert_false(lease_echo(&lease, NODE_UID, nonce, ms(1000)));
    assert_false(lease_is_held(&lease, ms(1000)));
}

static void test_echo_counts_once_and_only_for_us(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    uint64_t nonce = lease_request(&lease, ms(0));
    assert_false(lease_echo(&lease, NODE_UID + 1, nonce, ms(1)));
    assert_false(lease_echo(&lease, NODE_UID, nonce + 1, ms(1)));
    assert_false(lease_echo(&lease, NODE_UID, 0, ms(1)));
    assert_true(lease_echo(&lease, NODE_UID, nonce, ms(1)));
    assert_false(lease_echo(&lease, NODE_UID, nonce, ms(2)));
    assert_int_equal(lease.echoes, 1);
}

static void test_older_echo_never_shortens(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    uint64_t first = lease_request(&lease, ms(0));
    uint64_t second = lease_request(&lease, ms(200));
    assert_true(lease_echo(&lease, NODE_UID, second, ms(210)));
    assert_false(lease_echo(&lease, NODE_UID, first, ms(220)));
    assert_true(lease_is_held(&lease, ms(3199)));
}

static void test_higher_term_ends_the_lease_and_old_nonces(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    uint64_t nonce = lease_request(&lease, ms(0));
    uint64_t late = lease_request(&lease, ms(1));
    assert_true(lease_echo(&lease, NODE_UID, nonce, ms(2)));
    assert_int_equal(lease_hear_term(&lease, 2), LEASE_OBEY);
    assert_false(lease_is_held(&lease, ms(3)));
    assert_false(lease_echo(&lease, NODE_UID, late, ms(4)));
    assert_true(lease_echo(&lease, NODE_UID, lease_request(&lease, ms(5)), ms(6)));
}

static void test_forgotten_nonce_is_unknown(void **state)
{
    (void)state;
    struct lease lease = lease_of_term(1);
    uint64_t first = lease_request(&lease, ms(0));
    for (int i = 0; i < LEASE_NONCES_MAX; i++)
        (void)lease_request(&lease, ms(1));
    assert_false(lease_echo(&lease, NODE_UID, first, ms(2)));
}

const struct CMUnitTest lease_tests[] = {
    cmocka_unit_test(test_term_rules),
    cmocka_unit_test(test_lease_counts_from_the_sending_of_its_nonce),
    cmocka_unit_test(test_echo_after_its_ttl_is_worthless),
    cmocka_unit_test(test_echo_counts_once_and_only_for_us),
    cmocka_unit_test(test_older_echo_never_shortens),
    cmocka_unit_test(test_higher_term_ends_the_lease_and_old_nonces),
    cmocka_unit_test(test_forgotten_nonce_is_unknown),
};
const size_t lease_test_count = sizeof(lease_tests) / sizeof(lease_tests[0]);
