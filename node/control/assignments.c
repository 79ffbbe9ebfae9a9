#include "node_control/assignments.h"

#include "base/epoch.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *refusal_name(enum refusal refusal)
{
    switch (refusal) {
    case REFUSAL_NO: return "none";
    case REFUSAL_OF_OLD_TERM: return "old term";
    case REFUSAL_OF_OLD_EPOCH: return "old epoch";
    case REFUSAL_WITHOUT_LEASE: return "no lease";
    case REFUSAL_OF_WRONG_UID: return "wrong uid";
    case REFUSAL_START_FAILED: return "start failed";
    case REFUSAL_OF_BAD_SPEC: return "bad spec";
    case REFUSAL_OF_STRANGE_TERM: return "strange term";
    case REFUSAL_WHILE_DRAINING: return "draining";
    }
    return "unknown";
}

static struct assignment_action *add_action(
    struct assignment_actions *actions, enum assignment_action_kind kind, const struct assignment *assignment)
{
    struct assignment_action *action = vec_push_new(&actions->list);
    action->kind = kind;
    action->unit = xstrdup(assignment->unit);
    action->seen_epoch = assignment->seen_epoch;
    return action;
}

static void answer_assign(struct assignment_actions *actions, const struct assignment *assignment,
    uint64_t epoch, enum refusal refusal, const char *reason)
{
    struct assignment_action *action = add_action(actions, ASSIGNMENT_ANSWER_ASSIGN, assignment);
    action->epoch = epoch;
    action->refusal = refusal;
    action->reason = xstrdup(reason ? reason : "");
}

static void answer_revoke(struct assignment_actions *actions, const struct assignment *assignment,
    uint64_t epoch, enum refusal refusal)
{
    struct assignment_action *action = add_action(actions, ASSIGNMENT_ANSWER_REVOKE, assignment);
    action->epoch = epoch;
    action->refusal = refusal;
}

void assignment_actions_done(struct assignment_actions *actions, void (*free_spec)(void *spec))
{
    vec_for_each (action, &actions->list) {
        free(action->unit);
        free(action->reason);
        if (action->spec)
            free_spec(action->spec);
    }
    vec_done(&actions->list);
}

void assignments_init(struct assignments *assignments, uint64_t node_uid, void (*free_spec)(void *spec))
{
    *assignments = (struct assignments){.node_uid = node_uid, .free_spec = free_spec};
}

static void drop_next(struct assignments *assignments, struct assignment *assignment)
{
    if (assignment->next.spec)
        assignments->free_spec(assignment->next.spec);
    assignment->next = (struct assignment_next){0};
}

void assignments_done(struct assignments *assignments)
{
    map_for_each (item, &assignments->units) {
        struct assignment *assignment = item.value;
        drop_next(assignments, assignment);
        free(assignment->unit);
        free(assignment);
    }
    map_done(&assignments->units, NULL);
}

static struct assignment *find(const struct assignments *assignments, const char *unit)
{
    return map_get(&assignments->units, unit);
}

static struct assignment *find_or_add(struct assignments *assignments, const char *unit)
{
    struct assignment *assignment = find(assignments, unit);
    if (assignment || map_count(&assignments->units) >= LIMIT_UNITS)
        return assignment;
    assignment = xcalloc(1, sizeof(*assignment));
    assignment->unit = xstrdup(unit);
    map_put(&assignments->units, unit, assignment);
    return assignment;
}

bool assignment_is_held(const struct assignment *assignment)
{
    return assignment->is_listed &&
           (assignment->state == UNIT_STARTING || assignment->state == UNIT_RUNNING ||
               assignment->state == UNIT_STOPPING);
}

size_t assignments_held_count(const struct assignments *assignments)
{
    size_t count = 0;
    map_for_each (item, &assignments->units)
        count += assignment_is_held(item.value);
    return count;
}

uint64_t assignments_seen_epoch(const struct assignments *assignments, const char *unit)
{
    const struct assignment *assignment = find(assignments, unit);
    return assignment ? assignment->seen_epoch : 0;
}

static void refuse_next(struct assignments *assignments, struct assignment *assignment, enum refusal refusal,
    const char *reason, struct assignment_actions *actions)
{
    if (assignment->next.epoch)
        answer_assign(actions, assignment, assignment->next.epoch, refusal, reason);
    drop_next(assignments, assignment);
}

static void stop_held(struct assignment *assignment, struct assignment_actions *actions)
{
    if (!assignment_is_held(assignment) || assignment->state == UNIT_STOPPING)
        return;
    if (assignment->is_answer_due) {
        assignment->is_answer_due = false;
        answer_assign(
            actions, assignment, assignment->epoch, REFUSAL_OF_OLD_EPOCH, "stopped before it was running");
    }
    assignment->state = UNIT_STOPPING;
    add_action(actions, ASSIGNMENT_STOP, assignment)->epoch = assignment->epoch;
}

/* Lets the waiting assignment go on as far as it can. */
static void advance(struct assignment *assignment, struct assignment_actions *actions)
{
    struct assignment_next *next = &assignment->next;
    if (!next->epoch || next->needs_lease)
        return;
    if (assignment_is_held(assignment)) {
        stop_held(assignment, actions);
        return;
    }
    assignment->is_listed = true;
    assignment->state = UNIT_STARTING;
    assignment->epoch = next->epoch;
    assignment->generation = next->generation;
    assignment->reason[0] = 0;
    assignment->is_answer_due = true;
    struct assignment_action *action = add_action(actions, ASSIGNMENT_START, assignment);
    action->epoch = next->epoch;
    action->generation = next->generation;
    action->spec = next->spec;
    *next = (struct assignment_next){0};
}

static void refuse(const char *unit, uint64_t epoch, uint64_t seen_epoch, enum refusal refusal,
    const char *reason, struct assignment_actions *actions)
{
    struct assignment_action *action = vec_push_new(&actions->list);
    *action = (struct assignment_action){.kind = ASSIGNMENT_ANSWER_ASSIGN,
        .unit = xstrdup(unit),
        .epoch = epoch,
        .seen_epoch = seen_epoch,
        .refusal = refusal,
        .reason = xstrdup(reason ? reason : "")};
}

/* The rules; REFUSAL_NO also where it has to wait. */
static enum refusal judge(const struct assignments *assignments, const struct assignment_request *request,
    uint64_t seen_epoch, enum assignment_lease lease, const char **ret_reason)
{
    *ret_reason = "";
    if (request->node_uid != assignments->node_uid)
        return REFUSAL_OF_WRONG_UID;
    if (assignments->is_draining)
        return REFUSAL_WHILE_DRAINING;
    if (request->epoch <= seen_epoch)
        return REFUSAL_OF_OLD_EPOCH;
    if (!request->spec) {
        *ret_reason = request->spec_error;
        return request->spec_refusal;
    }
    return lease == ASSIGNMENT_LEASE_NONE ? REFUSAL_WITHOUT_LEASE : REFUSAL_NO;
}

void assignments_assign(struct assignments *assignments, const struct assignment_request *request,
    enum assignment_lease lease, struct assignment_actions *actions)
{
    const char *reason = "";
    uint64_t seen_epoch = assignments_seen_epoch(assignments, request->unit);
    enum refusal refusal = judge(assignments, request, seen_epoch, lease, &reason);
    struct assignment *assignment =
        refusal == REFUSAL_OF_WRONG_UID ? NULL : find_or_add(assignments, request->unit);
    if (!assignment && refusal == REFUSAL_NO) {
        refusal = REFUSAL_OF_BAD_SPEC;
        reason = "this node has seen too many units";
    }
    if (assignment && request->epoch > assignment->seen_epoch)
        seen_epoch = assignment->seen_epoch = request->epoch;
    if (refusal != REFUSAL_NO) {
        refuse(request->unit, request->epoch, seen_epoch, refusal, reason, actions);
        if (request->spec)
            assignments->free_spec(request->spec);
        return;
    }
    assert(assignment);
    refuse_next(assignments, assignment, REFUSAL_OF_OLD_EPOCH, "a newer assignment came", actions);
    assignment->next = (struct assignment_next){.epoch = request->epoch,
        .generation = request->generation,
        .spec = request->spec,
        .needs_lease = lease == ASSIGNMENT_LEASE_EXPECTED};
    advance(assignment, actions);
}

void assignments_revoke(struct assignments *assignments, const char *unit, uint64_t epoch, uint64_t node_uid,
    struct assignment_actions *actions)
{
    struct assignment *assignment = node_uid == assignments->node_uid ? find_or_add(assignments, unit) : NULL;
    if (!assignment) {
        const struct assignment unknown = {.unit = (char *)(uintptr_t)unit};
        answer_revoke(actions, &unknown, epoch,
            node_uid == assignments->node_uid ? REFUSAL_OF_BAD_SPEC : REFUSAL_OF_WRONG_UID);
        return;
    }
    if (epoch > assignment->seen_epoch)
        assignment->seen_epoch = epoch;
    if (assignment->next.epoch && assignment->next.epoch <= epoch)
        refuse_next(assignments, assignment, REFUSAL_OF_OLD_EPOCH, "revoked before it started", actions);
    bool is_held = assignment_is_held(assignment);
    if (is_held ? assignment->epoch > epoch : assignment->next.epoch != 0) {
        answer_revoke(actions, assignment, epoch, REFUSAL_OF_OLD_EPOCH);
        return;
    }
    if (!is_held) {
        assignment->is_listed = false;
        answer_revoke(actions, assignment, epoch, REFUSAL_NO);
        return;
    }
    if (epoch > assignment->revoke_epoch)
        assignment->revoke_epoch = epoch;
    stop_held(assignment, actions);
}

void assignments_lease_held(struct assignments *assignments, struct assignment_actions *actions)
{
    map_for_each (item, &assignments->units) {
        struct assignment *assignment = item.value;
        assignment->next.needs_lease = false;
        advance(assignment, actions);
    }
}

bool assignments_have_waiting(const struct assignments *assignments)
{
    map_for_each (item, &assignments->units) {
        const struct assignment *assignment = item.value;
        if (assignment->next.epoch && assignment->next.needs_lease)
            return true;
    }
    return false;
}

void assignments_lease_lost(
    struct assignments *assignments, const char *reason, struct assignment_actions *actions)
{
    map_for_each (item, &assignments->units) {
        struct assignment *assignment = item.value;
        if (assignment->next.needs_lease)
            refuse_next(assignments, assignment, REFUSAL_WITHOUT_LEASE, reason, actions);
    }
}

static void ended(
    struct assignment *assignment, enum actor_unit_state state, struct assignment_actions *actions)
{
    bool was_stopped = assignment->state == UNIT_STOPPING;
    assignment->state = state;
    assignment->is_listed = !was_stopped;
    if (assignment->is_answer_due) {
        assignment->is_answer_due = false;
        answer_assign(actions, assignment, assignment->epoch,
            state == UNIT_FAILED ? REFUSAL_START_FAILED : REFUSAL_NO, assignment->reason);
    }
    if (assignment->revoke_epoch)
        answer_revoke(actions, assignment, assignment->revoke_epoch, REFUSAL_NO);
    assignment->revoke_epoch = 0;
    advance(assignment, actions);
}

void assignments_unit_changed(struct assignments *assignments, const char *unit, uint64_t epoch,
    enum actor_unit_state state, const char *reason, struct assignment_actions *actions)
{
    struct assignment *assignment = find(assignments, unit);
    if (!assignment || !assignment_is_held(assignment) || assignment->epoch != epoch)
        return;
    (void)snprintf(
        assignment->reason, sizeof(assignment->reason), "%s", reason ? reason : ""); /* may be cut */
    if (state == UNIT_FAILED || state == UNIT_STOPPED) {
        ended(assignment, state, actions);
        return;
    }
    if (assignment->state == UNIT_STOPPING)
        return; /* it began to run while its stop was under way: the end is what counts */
    assignment->state = state;
    if (state == UNIT_RUNNING && assignment->is_answer_due) {
        assignment->is_answer_due = false;
        answer_assign(actions, assignment, epoch, REFUSAL_NO, "");
    }
}

void assignments_start_failed(struct assignments *assignments, const char *unit, uint64_t epoch,
    enum refusal refusal, const char *reason, struct assignment_actions *actions)
{
    struct assignment *assignment = find(assignments, unit);
    if (!assignment || !assignment_is_held(assignment) || assignment->epoch != epoch)
        return;
    (void)snprintf(assignment->reason, sizeof(assignment->reason), "%s", reason); /* may be cut */
    assignment->state = UNIT_FAILED; /* never ran, so nothing is being stopped */
    assignment->is_answer_due = false;
    answer_assign(actions, assignment, epoch, refusal, assignment->reason);
    ended(assignment, UNIT_FAILED, actions);
}

void assignments_drain(struct assignments *assignments, struct assignment_actions *actions)
{
    assignments->is_draining = true;
    map_for_each (item, &assignments->units) {
        struct assignment *assignment = item.value;
        refuse_next(assignments, assignment, REFUSAL_WHILE_DRAINING, "", actions);
        stop_held(assignment, actions);
    }
}
