#include "node_control/lease.h"

#include "base/clock.h"

void lease_init(struct lease *lease, uint64_t node_uid, uint64_t first_nonce)
{
    *lease = (struct lease){.node_uid = node_uid,
        .ttl_ms = LEASE_DEFAULT_MS,
        .until_ns = INT64_MIN,
        .next_nonce = first_nonce ? first_nonce : 1};
}

void lease_set_ttl(struct lease *lease, uint32_t ttl_ms)
{
    if (ttl_ms > 0)
        lease->ttl_ms = ttl_ms;
}

enum lease_verdict lease_hear_term(struct lease *lease, uint64_t term)
{
    if (term < lease->term || term == 0)
        return LEASE_OLD_TERM;
    if (lease->term > 0 && term - lease->term > LEASE_TERM_JUMP_MAX)
        return LEASE_STRANGE_TERM;
    if (term > lease->term) {
        /* Nonces that were sent before stay in the ring, but their term no longer fits: an echo must answer a
         * request that its own leader can have received. */
        lease->term = term;
        lease->until_ns = INT64_MIN;
    }
    return LEASE_OBEY;
}

uint64_t lease_request(struct lease *lease, int64_t now_ns)
{
    uint64_t nonce = lease->next_nonce++;
    if (lease->next_nonce == 0)
        lease->next_nonce = 1; /* 0 marks a used place in the ring */
    lease->sent[nonce % LEASE_NONCES_MAX] =
        (struct lease_nonce){.nonce = nonce, .term = lease->term, .sent_ns = now_ns};
    return nonce;
}

bool lease_echo(struct lease *lease, uint64_t node_uid, uint64_t nonce, int64_t now_ns)
{
    struct lease_nonce *sent = &lease->sent[nonce % LEASE_NONCES_MAX];
    if (node_uid != lease->node_uid || nonce == 0 || sent->nonce != nonce || sent->term != lease->term)
        return false;
    int64_t until_ns = sent->sent_ns + lease->ttl_ms * NS_PER_MS;
    sent->nonce = 0; /* an echo counts once */
    if (until_ns <= now_ns || until_ns <= lease->until_ns)
        return false;
    lease->until_ns = until_ns;
    lease->echoes++;
    return true;
}

bool lease_is_held(const struct lease *lease, int64_t now_ns)
{
    return now_ns < lease->until_ns;
}
