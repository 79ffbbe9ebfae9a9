/* node_control/lease.h: the node's half of R1 and R3: which term is obeyed, and until when the leader lets us
 * go on.
 *
 * Each LeaseRequest carries a fresh nonce; the leader's echo of it lets us go on for TTL from when the nonce
 * was *sent*, so no delay of the network or of the leader can stretch a lease. A higher term takes over: the
 * lease of the former one ends with it. Pure: time comes in. Owned by the control loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEASE_REQUEST_INTERVAL_MS = 200,
    LEASE_TERM_JUMP_MAX = 1000, /* a term further above ours is a mistake or an attack */
    LEASE_NONCES_MAX = 512, /* unanswered requests that are remembered: older echoes are worthless anyway */
    LEASE_DEFAULT_MS = 3000,
};

enum lease_verdict { LEASE_OBEY, LEASE_OLD_TERM, LEASE_STRANGE_TERM };

struct lease_nonce {
    uint64_t nonce;
    uint64_t term; /* known when it was sent */
    int64_t sent_ns;
};

struct lease {
    uint64_t node_uid;
    uint64_t term; /* the highest known; 0: none yet, then any is taken */
    uint32_t ttl_ms;
    int64_t until_ns; /* of the lease of `term`; INT64_MIN: never had one */
    uint64_t next_nonce;
    struct lease_nonce sent[LEASE_NONCES_MAX]; /* a ring by nonce */
    uint64_t echoes;                           /* accepted since start */
};

void lease_init(struct lease *lease, uint64_t node_uid, uint64_t first_nonce);
void lease_set_ttl(struct lease *lease, uint32_t ttl_ms); /* for echoes from now on; 0 is ignored */

/* A message of `term` came in. LEASE_OBEY: it is now the highest known. */
enum lease_verdict lease_hear_term(struct lease *lease, uint64_t term);

/* The nonce of a request that leaves now. */
uint64_t lease_request(struct lease *lease, int64_t now_ns);

/* An echo came in with the present term. False: it is for another uid, of an unknown, used or former nonce,
 * or too late to be of use. */
bool lease_echo(struct lease *lease, uint64_t node_uid, uint64_t nonce, int64_t now_ns);

bool lease_is_held(const struct lease *lease, int64_t now_ns);
