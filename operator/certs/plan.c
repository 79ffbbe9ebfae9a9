/* Which step a Secret needs, and the step.
 *
 * Invariants of a content that was made here
 * 1. Both leaves are signed by the authority of the first key ("the signer").
 * 2. A second key belongs to an authority that is in the bundle already, and signs after the overlap.
 * 3. A second authority without a key is the former one, and stays for the overlap after the leaves were
 *    signed anew. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "certs/certs.h"
#include "certs/x509.h"

enum { AUTHORITY_USE_S = CERTS_AUTHORITY_S / 10 * 9 };

/* A content, read. */
struct state {
    struct x509_list authorities;
    struct x509_keys keys;
    X509 *signer; /* of the list; NULL: none has the first key */
    X509 *next;   /* has the second key */
};

static X509 *authority_of(const struct state *state, int key)
{
    if (key >= state->keys.count)
        return NULL;
    for (int i = 0; i < state->authorities.count; i++) {
        if (X509_check_private_key(state->authorities.items[i], state->keys.items[key]) == 1)
            return state->authorities.items[i];
    }
    (void)x509_error(NULL, ""); /* OpenSSL remembers the comparisons that failed */
    return NULL;
}

static void state_done(struct state *state)
{
    x509_list_done(&state->authorities);
    x509_keys_done(&state->keys);
}

static int state_read(const struct certs_content *content, struct state *ret_state, struct err *err)
{
    struct state state = {.signer = NULL};
    if (x509_read(content->authorities, &state.authorities, err) < 0)
        return err_wrap(err, "ca.crt");
    if (x509_read_keys(content->authority_keys, &state.keys, err) < 0) {
        state_done(&state);
        return err_wrap(err, "ca.key");
    }
    state.signer = authority_of(&state, 0);
    state.next = authority_of(&state, 1);
    *ret_state = state;
    return 0;
}

/* ---- what is next ---- */

static struct certs_plan step(enum certs_step what, const char *why)
{
    return (struct certs_plan){.step = what, .why = why};
}

/* When a leaf is to be renewed; 0: now, as it would not be accepted. */
static int64_t leaf_due_s(const struct state *state, const char *chain, const char *key, enum role role,
    const char *system_uid, int64_t now_s)
{
    struct x509_list leaves = {.count = 0};
    struct x509_keys keys = {.count = 0};
    struct x509_list signer = {.items = {state->signer}, .count = 1};
    int64_t due_s = 0;
    if (x509_read(chain, &leaves, NULL) == 0 && x509_read_keys(key, &keys, NULL) == 0 &&
        x509_verify(leaves.items[0], keys.items[0], &signer, role, system_uid, now_s, NULL) == 0) {
        int64_t made_s = x509_made_s(leaves.items[0]);
        due_s = made_s + (x509_end_s(leaves.items[0]) - made_s) / 2;
    }
    x509_list_done(&leaves);
    x509_keys_done(&keys);
    return due_s;
}

static int64_t leaf_made_s(const char *chain)
{
    struct x509_list leaves;
    if (x509_read(chain, &leaves, NULL) < 0)
        return 0;
    int64_t made_s = x509_made_s(leaves.items[0]);
    x509_list_done(&leaves);
    return made_s;
}

/* The change of authorities that is under way or due; CERTS_KEEP with when to look again. */
static struct certs_plan plan_authorities(
    const struct state *state, const struct certs_content *content, int64_t now_s)
{
    int64_t due_s = x509_made_s(state->signer) + AUTHORITY_USE_S;
    struct certs_plan plan = step(CERTS_ADD_AUTHORITY, "the authority is in the last tenth of its life");
    if (state->authorities.count == 2 && state->next && state->next != state->signer) {
        due_s = x509_made_s(state->next) + CERTS_OVERLAP_S;
        plan = step(CERTS_SWITCH_AUTHORITY, "the next authority is known to all by now");
    } else if (state->authorities.count == 2 && state->keys.count == 1) {
        due_s = leaf_made_s(content->node_chain) + CERTS_OVERLAP_S;
        plan = step(CERTS_DROP_AUTHORITY, "nobody shows certificates of the former authority any more");
    } else if (state->authorities.count > 1 || state->keys.count > 1) {
        return step(CERTS_DROP_AUTHORITY, "the Secret has authorities or keys that are not ours");
    }
    return now_s >= due_s ? plan : (struct certs_plan){.step = CERTS_KEEP, .next_s = due_s, .why = "valid"};
}

static struct certs_plan plan_state(
    const struct state *state, const struct certs_content *content, const char *system_uid, int64_t now_s)
{
    if (!state->signer || !x509_is_authority_of(state->signer, system_uid))
        return step(CERTS_CREATE, "the authority is not this system's, or its key is not there");
    if (now_s >= x509_end_s(state->signer) || now_s < x509_made_s(state->signer) - CERTS_SKEW_S)
        return step(CERTS_CREATE, "the authority has expired, or is from the future");
    int64_t node_s = leaf_due_s(state, content->node_chain, content->node_key, ROLE_NODE, system_uid, now_s);
    int64_t operator_s =
        leaf_due_s(state, content->operator_chain, content->operator_key, ROLE_OPERATOR, system_uid, now_s);
    int64_t leaf_s = node_s < operator_s ? node_s : operator_s;
    if (leaf_s == 0)
        return step(CERTS_RENEW_LEAVES, "a certificate is missing, damaged or expired");
    struct certs_plan plan = plan_authorities(state, content, now_s);
    if (plan.step != CERTS_KEEP)
        return plan;
    if (now_s >= leaf_s)
        return step(CERTS_RENEW_LEAVES, "half of the certificates' life is over");
    if (leaf_s < plan.next_s)
        plan.next_s = leaf_s;
    return plan;
}

struct certs_plan certs_plan(const struct certs_content *content, const char *system_uid, int64_t now_s)
{
    struct state state;
    if (!content)
        return step(CERTS_CREATE, "there is no Secret yet");
    if (state_read(content, &state, NULL) < 0)
        return step(CERTS_CREATE, "the authority is missing or damaged");
    struct certs_plan plan = plan_state(&state, content, system_uid, now_s);
    state_done(&state);
    return plan;
}

/* ---- the steps ---- */

void certs_content_done(struct certs_content *content)
{
    free(content->authorities);
    free(content->authority_keys);
    free(content->node_chain);
    free(content->node_key);
    free(content->operator_chain);
    free(content->operator_key);
    *content = (struct certs_content){.authorities = NULL};
}

/* Who the content is for, and when. */
struct work {
    const char *system;
    const char *system_uid;
    int64_t now_s;
    struct certs_content *made;
};

static int make_leaf(const struct work *work, X509 *authority, EVP_PKEY *authority_key, enum role role,
    char **chain, char **key_text, struct err *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = x509_new_key(err);
    _cleanup_(X509_freep) X509 *made = NULL;
    if (key)
        made = x509_new_leaf(
            key, authority, authority_key, role, work->system_uid, work->now_s, CERTS_LEAF_S, err);
    if (!made || x509_append(chain, made, err) < 0 || x509_append_key(key_text, key, err) < 0)
        return -1;
    return 0;
}

static int make_leaves(const struct work *work, X509 *authority, EVP_PKEY *key, struct err *err)
{
    struct certs_content *made = work->made;
    return make_leaf(work, authority, key, ROLE_NODE, &made->node_chain, &made->node_key, err) < 0 ||
                   make_leaf(work, authority, key, ROLE_OPERATOR, &made->operator_chain, &made->operator_key,
                       err) < 0
               ? -1
               : 0;
}

static void keep_leaves(const struct work *work, const struct certs_content *from)
{
    work->made->node_chain = xstrdup(from->node_chain);
    work->made->node_key = xstrdup(from->node_key);
    work->made->operator_chain = xstrdup(from->operator_chain);
    work->made->operator_key = xstrdup(from->operator_key);
}

static int append_authority(const struct work *work, X509 *authority, EVP_PKEY *key, struct err *err)
{
    if (x509_append(&work->made->authorities, authority, err) < 0)
        return -1;
    return key ? x509_append_key(&work->made->authority_keys, key, err) : 0;
}

static int add_authority(const struct work *work, bool with_leaves, struct err *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = x509_new_key(err);
    _cleanup_(X509_freep) X509 *made = NULL;
    if (key)
        made = x509_new_authority(key, work->system, work->system_uid, work->now_s, err);
    if (!made || append_authority(work, made, key, err) < 0)
        return -1;
    return with_leaves ? make_leaves(work, made, key, err) : 0;
}

static int perform(enum certs_step what, const struct state *state, const struct certs_content *from,
    const struct work *work, struct err *err)
{
    switch (what) {
    case CERTS_RENEW_LEAVES:
        work->made->authorities = xstrdup(from->authorities);
        work->made->authority_keys = xstrdup(from->authority_keys);
        return make_leaves(work, state->signer, state->keys.items[0], err);
    case CERTS_ADD_AUTHORITY:
        keep_leaves(work, from);
        if (append_authority(work, state->signer, state->keys.items[0], err) < 0)
            return -1;
        return add_authority(work, false, err);
    case CERTS_SWITCH_AUTHORITY:
        if (!state->next)
            break;
        if (append_authority(work, state->next, state->keys.items[1], err) < 0 ||
            append_authority(work, state->signer, NULL, err) < 0)
            return -1;
        return make_leaves(work, state->next, state->keys.items[1], err);
    case CERTS_DROP_AUTHORITY:
        keep_leaves(work, from);
        return append_authority(work, state->signer, state->keys.items[0], err);
    case CERTS_CREATE:
    case CERTS_KEEP: break;
    }
    return err_set(err, ERR_INVALID, "step %d does not fit the Secret", (int)what);
}

static int perform_on(
    enum certs_step what, const struct certs_content *from, const struct work *work, struct err *err)
{
    struct state state;
    if (what == CERTS_CREATE)
        return add_authority(work, true, err);
    if (!from)
        return err_set(err, ERR_INVALID, "there is no Secret");
    if (state_read(from, &state, err) < 0)
        return -1;
    bool keeps_leaves = what == CERTS_ADD_AUTHORITY || what == CERTS_DROP_AUTHORITY;
    bool has_leaves = from->node_chain && from->node_key && from->operator_chain && from->operator_key;
    int result = -1;
    if (!state.signer || (keeps_leaves && !has_leaves))
        (void)err_set(err, ERR_INVALID, "step %d does not fit the Secret", (int)what);
    else
        result = perform(what, &state, from, work, err);
    state_done(&state);
    return result;
}

int certs_perform(enum certs_step what, const struct certs_content *content, const char *system,
    const char *system_uid, int64_t now_s, struct certs_content *ret_content, struct err *err)
{
    struct certs_content made = {.authorities = NULL};
    struct work work = {system, system_uid, now_s, &made};
    if (perform_on(what, content, &work, err) < 0) {
        certs_content_done(&made);
        return err_wrap(err, "certificates of system '%s'", system);
    }
    *ret_content = made;
    return 0;
}
