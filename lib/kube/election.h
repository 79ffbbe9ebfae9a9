/* Who leads, decided by one record that everybody may read and replace (a Lease): a pure state machine. Time
 * and answers go in, the next request comes out; lease.h sends it.
 *
 * Invariants:
 *  1. A candidate leads for renew_deadline from when it sent the last renewal that worked, and no longer.
 *  2. A record of somebody else is replaced only when it has not changed for its whole duration, by our own
 * clock, counted from when its present state had arrived. The duration is longer than anybody's renew
 * deadline by more than clocks differ, so 1 and 2 exclude each other.
 *  3. Each replacement names the version that it replaces, so a late one is refused.
 *  4. A record that had to be made names nobody, and nobody takes it before its duration is over: somebody
 * may have removed the record of a leader. Only one that was given up is free at once.
 *  5. A record that says a holder of our name is ours: names are used by one process at a time.
 *
 * Thread: one at a time. */
#ifndef KUBE_ELECTION_H
#define KUBE_ELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

struct election_times {
    int64_t duration_ms; /* above renew_deadline_ms by at least an eighth */
    int64_t renew_deadline_ms;
    int64_t retry_ms;
};

/* What the record says. Texts belong to whoever made the struct; none is NULL. */
struct election_record {
    char *version;  /* its resourceVersion */
    char *holder;   /* "" for nobody */
    char *acquired; /* when holder became it, as text */
    int64_t duration_ms;
    int64_t transitions;
    uint64_t known_version; /* highest version of any object that a leader saw */
};
void election_record_done(struct election_record *record);

enum election_step {
    ELECTION_WAIT,    /* until until_ms */
    ELECTION_GET,     /* read the record */
    ELECTION_CREATE,  /* make it, when there is none */
    ELECTION_REPLACE, /* replace it, when it still has that version */
};

struct election_request {
    enum election_step step;
    int64_t until_ms;
    int64_t timeout_ms;
    const struct election_record
        *record;         /* CREATE, REPLACE: what to write, and version to replace; the election's */
    bool is_acquisition; /* acquired is now */
};

enum election_failure { ELECTION_MISSING, ELECTION_CONFLICT, ELECTION_OTHER };

struct election {
    /* Private but for reading. */
    char *identity;
    struct election_times times;
    struct rng rng;
    bool has_record;
    struct election_record record; /* as last seen */
    struct election_record wanted; /* of the open request; borrows */
    int64_t observed_ms;           /* when record was first seen as it is */
    bool is_current;               /* seen after the last request that may have changed it */
    enum election_step open;
    int64_t sent_ms;
    int64_t next_ms;
    bool was_conflict;
    int64_t held_until_ms; /* 0: not held */
    bool is_over;
};

void election_init(
    struct election *election, const char *identity, const struct election_times *times, uint64_t seed);
void election_done(struct election *election);

/* What to do now; a request counts as sent at now_ms. known_version: the highest version that we saw. */
void election_next(
    struct election *election, int64_t now_ms, uint64_t known_version, struct election_request *ret_request);
/* The open request worked: the record as the server has it, taken. */
void election_answered_take(struct election *election, int64_t now_ms, struct election_record *record);
void election_failed(
    struct election *election, int64_t now_ms, enum election_failure failure, int64_t retry_after_ms);

bool election_leads(const struct election *election, int64_t now_ms);
/* 0 when it does not lead at now_ms. */
int64_t election_held_until_ms(const struct election *election, int64_t now_ms);

/* The end: nobody leads here any more, and election_next gives what gives the record up, then WAIT for ever
 * (INT64_MAX). */
void election_resign(struct election *election);

#endif
