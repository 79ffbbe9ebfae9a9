/* certs/certs.h: the certificates of one system: an authority of its own, and one leaf certificate for each
 * role. The only user of OpenSSL. Pure functions over PEM texts, but for the keys, which are random; time
 * comes in as seconds since 1970 (wall clock: certificates are read by other machines). Thread: any.
 *
 * All of it is the content of one Secret. Losing it interrupts nothing that is connected, and the next
 * certs_plan() makes a new one; whoever can read its private keys can be the operator or a node of that
 * system, and of no other.
 *
 * An authority lives 10 years and is changed in its last one, in steps that lie CERTS_OVERLAP_S apart, so
 * that at each moment every process accepts what any other shows:
 *     1  the new authority joins the bundle           (keys: old, new)
 *     2  both leaves are signed by the new one        (keys: new)
 *     3  the old authority leaves the bundle
 * Which step is next follows from the texts alone: the authority that signs is the one of the first key. */
#pragma once

#include "base/role.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

enum {
    CERTS_SKEW_S = 3600,                      /* how far clocks may be behind ours */
    CERTS_LEAF_S = 30 * 24 * 3600,            /* renewed at half of it */
    CERTS_AUTHORITY_S = 10 * 365 * 24 * 3600, /* changed when a tenth of it is left */
    CERTS_OVERLAP_S = 3600,                   /* for all processes to have loaded what was written */
};

/* The values of Secret "<system>-histrio-tls" under the keys in quotes, NULL: absent. */
struct certs_content {
    char *authorities;    /* "ca.crt": one certificate, two while the authority is changed */
    char *authority_keys; /* "ca.key": that of the signing authority first */
    char *node_chain;     /* "tls.crt" */
    char *node_key;       /* "tls.key" */
    char *operator_chain; /* "operator.crt" */
    char *operator_key;   /* "operator.key" */
};

void certs_content_done(struct certs_content *content);

enum certs_step {
    CERTS_KEEP,             /* all is well until certs_plan.next_s */
    CERTS_CREATE,           /* a new authority and new leaves: there is none, or it is of no use */
    CERTS_RENEW_LEAVES,     /* half of their life is over, or something is wrong with one */
    CERTS_ADD_AUTHORITY,    /* step 1 */
    CERTS_SWITCH_AUTHORITY, /* step 2 */
    CERTS_DROP_AUTHORITY,   /* step 3 */
};

struct certs_plan {
    enum certs_step step;
    int64_t next_s;  /* of CERTS_KEEP: when to look again */
    const char *why; /* for the log and the Event; static */
};

/* What is to be done with a content now; NULL: there is none. Any text is fine. */
struct certs_plan certs_plan(const struct certs_content *content, const char *system_uid, int64_t now_s);

/* The content after the step, all of it new text. `content` may be NULL for CERTS_CREATE only. `system` is
 * for people who look at the certificate. -1: OpenSSL failed, or the step does not fit the content. */
int certs_perform(enum certs_step step, const struct certs_content *content, const char *system,
    const char *system_uid, int64_t now_s, struct certs_content *ret_content, struct err *err);

/* ---- parts ---- */

struct certs_pair {
    char *chain; /* PEM; of an authority: its certificate */
    char *key;
};

void certs_pair_done(struct certs_pair *pair);

int certs_make_authority(
    const char *system, const char *system_uid, int64_t now_s, struct certs_pair *ret_pair, struct err *err);

/* P-256, valid from CERTS_SKEW_S before now; its only name is role_name(). A node's serves and dials, the
 * operator's only dials. */
int certs_make_leaf(const struct certs_pair *authority, enum role role, const char *system_uid, int64_t now_s,
    int64_t life_s, struct certs_pair *ret_pair, struct err *err);

/* When the first certificate of a chain ends. ERR_INVALID: no certificate. */
int certs_expiry(const char *chain, int64_t *ret_expiry_s, struct err *err);

/* Whether the leaf would be accepted now: its signature by one of `authorities`, times, role and system, and
 * its key. ERR_INVALID, ERR_DENIED (another role or system), ERR_EXPIRED say what is wrong. */
int certs_verify(const char *chain, const char *key, const char *authorities, enum role role,
    const char *system_uid, int64_t now_s, struct err *err);
