#include "shell/shell.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "core/core.h"
#include "operator_control/control.h"
#include "types/fence_record.h"

#include <stdlib.h>

/* A node that could not be made (text says why), or was gone already (NULL). */
struct node_failure {
    char *node;
    char *text;
};

/* What one plan brought, to be told to the core when its actions are not needed any more: they point into it.
 */
struct outcome {
    uint64_t write; /* 0: none */
    uint32_t term;  /* in force when the write worked */
    struct err write_err;
    VEC(struct node_failure) failures;
};

int64_t shell_tick(struct shell *shell)
{
    int64_t now_ms = clock_now_ms(shell->clock);
    core_set_time(shell->core, now_ms, clock_wall_ms(shell->clock));
    return now_ms;
}

static void write_fence(struct shell *shell, const struct core_action *action, struct outcome *outcome)
{
    outcome->write = action->write;
    outcome->term = action->record->term;
    (void)shell->hands.write_fence(
        shell->hands.ctx, action->record, &outcome->write_err); /* its kind says whether it worked */
}

static void add_failure(struct outcome *outcome, const char *node, const char *text)
{
    struct node_failure failure = {xstrdup(node), text ? xstrdup(text) : NULL};
    vec_push(&outcome->failures, failure);
}

static void create_node(struct shell *shell, const struct core_action *action, struct outcome *outcome)
{
    struct err err = {0};
    if (shell->hands.create_node(shell->hands.ctx, action, &err) < 0)
        add_failure(outcome, action->node, err.text);
}

static void delete_node(struct shell *shell, const struct core_action *action, struct outcome *outcome)
{
    if (shell->hands.delete_node(shell->hands.ctx, action, NULL) < 0)
        add_failure(outcome, action->node, NULL);
}

static void perform(struct shell *shell, const struct core_action *action, struct outcome *outcome)
{
    switch (action->kind) {
    case CORE_WRITE_FENCE: write_fence(shell, action, outcome); break;
    case CORE_CREATE_NODE: create_node(shell, action, outcome); break;
    case CORE_DELETE_NODE: delete_node(shell, action, outcome); break;
    case CORE_SEND_CONFIGURATION:
    case CORE_REQUEST_INVENTORY:
    case CORE_SEND_ROSTER:
    case CORE_SEND_ROUTES:
    case CORE_SEND_DEAD:
    case CORE_ASSIGN:
    case CORE_REVOKE:
    case CORE_DRAIN: control_send(shell->control, shell->core, action); break;
    case CORE_EVENT: shell->hands.event(shell->hands.ctx, action); break;
    case CORE_STATUS_CHANGED: shell->hands.status_changed(shell->hands.ctx); break;
    case CORE_STOPPED: shell->is_stopped = true; break;
    case CORE_LOST: shell->is_lost = true; break;
    }
}

static void report(struct shell *shell, struct outcome *outcome)
{
    if (outcome->write && outcome->write_err.kind == ERR_NONE) {
        control_set_term(
            shell->control, outcome->term); /* R0: no command and no echo of a term before its write */
        core_fence_written(shell->core, outcome->write);
    } else if (outcome->write && outcome->write_err.kind == ERR_CONFLICT) {
        core_fence_conflict(shell->core, outcome->write);
    } else if (outcome->write) {
        core_fence_failed(shell->core, outcome->write, outcome->write_err.text);
    }
    vec_for_each (failure, &outcome->failures) {
        core_node_gone(shell->core, failure->node, 0, failure->text);
        free(failure->node);
        free(failure->text);
    }
    vec_done(&outcome->failures);
}

static bool may_act(struct shell *shell)
{
    if (shell->hands.may_act && !shell->hands.may_act(shell->hands.ctx))
        shell->is_lost = true;
    return !shell->is_lost;
}

void shell_act(struct shell *shell)
{
    for (;;) {
        struct core_plan plan;
        struct outcome outcome = {0};
        (void)shell_tick(shell); /* the core wants to know the time, we do not */
        core_plan(shell->core, &plan);
        for (size_t i = 0; i < plan.count && may_act(shell); i++)
            perform(shell, &plan.actions[i], &outcome);
        bool is_over = plan.count == 0 && !plan.has_more;
        shell->wake_at_ms = plan.wake_at_ms;
        report(shell, &outcome);
        /* Ends because the core is quiescent when nothing new happened: tests/sim checks that. */
        if (is_over || shell->is_stopped || shell->is_lost)
            return;
    }
}
