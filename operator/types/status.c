#include "types/status.h"

#include "base/mem.h"

const char *const condition_kind_names[] = {"Ready", "Reconciling", "Stalled", "Degraded", NULL};

void status_exit_done(struct status_exit *exit)
{
    free(exit->actor);
    free(exit->unit);
    free(exit->node);
    free(exit->reason);
    free(exit->decision);
    free(exit->cause);
    free(exit->rule);
    free(exit->backtrace);
    *exit = (struct status_exit){0};
}

void status_exit_copy(struct status_exit *to, const struct status_exit *from)
{
    *to = *from;
    to->actor = xstrdup(from->actor);
    to->unit = xstrdup(from->unit);
    to->node = xstrdup(from->node);
    to->reason = xstrdup(from->reason);
    to->decision = xstrdup(from->decision);
    to->cause = xstrdup(from->cause);
    to->rule = xstrdup(from->rule);
    to->backtrace = xstrdup(from->backtrace);
}

static void status_node_done(struct status_node *node)
{
    free(node->node);
    free(node->pod);
    free(node->kube_node);
    free(node->zone);
    free(node->state);
    free(node->reason);
    free(node->message);
    free(node->template_hash);
    free(node->link_address);
    free(node->gateway_address);
}

static void status_unit_done(struct status_unit *unit)
{
    free(unit->unit);
    free(unit->entry);
    free(unit->node);
    free(unit->state);
    free(unit->reason);
    free(unit->rule);
}

static void status_actor_done(struct status_actor *actor)
{
    free(actor->path);
    free(actor->unit);
    free(actor->node);
    free(actor->state);
    free(actor->behavior);
    free(actor->last_exit);
}

void status_done(struct status *status)
{
    free(status->system);
    free(status->system_uid);
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++) {
        free(status->conditions[kind].reason);
        free(status->conditions[kind].message);
    }
    vec_for_each (node, &status->nodes)
        status_node_done(node);
    vec_done(&status->nodes);
    vec_for_each (unit, &status->units)
        status_unit_done(unit);
    vec_done(&status->units);
    vec_for_each (actor, &status->actor_rows)
        status_actor_done(actor);
    vec_done(&status->actor_rows);
    vec_for_each (exit, &status->exits)
        status_exit_done(exit);
    vec_done(&status->exits);
    vec_for_each (quarantine, &status->quarantined) {
        free(quarantine->unit);
        free(quarantine->reason);
    }
    vec_done(&status->quarantined);
    *status = (struct status){0};
}
