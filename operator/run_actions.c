/* What the core plans, done. Everything here is quick: the fence record's fsync is the longest, and it is
 * what the actions behind it wait for anyway. */
#include "operator/run_private.h"

#include "api/status_json.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "operator/fence_file.h"
#include "operator/run_server.h"
#include "operator_control/control.h"
#include "types/fence_record.h"
#include "types/status.h"

#include <stdlib.h>
#include <string.h>

/* What one plan brought, to be told to the core when its actions are not needed any more. */
struct outcome {
    uint64_t write; /* 0: none */
    uint32_t term;  /* in force when the write worked */
    struct err write_err;
    VEC(struct run_failure) failures;
};

static void write_fence(struct run *run, const struct core_action *action, struct outcome *outcome)
{
    _cleanup_(json_freep) struct json *document = fence_record_to_json(action->record);
    _cleanup_(cleanup_free) char *text = json_to_text(document, JSON_PRETTY);
    outcome->write = action->write;
    outcome->term = action->record->term;
    (void)fence_file_write(
        run->fence, text, strlen(text), &outcome->write_err); /* its kind says whether it worked */
}

static void create_node(struct run *run, const struct core_action *action, struct outcome *outcome)
{
    struct err err = {0};
    struct driver_node node = {.name = action->node, .kube_node = "", .zone = ""};
    if (run->driver->create(run->driver, &node, &err) < 0) {
        struct run_failure failure = {xstrdup(action->node), xstrdup(err.text)};
        vec_push(&outcome->failures, failure);
    }
}

static void delete_node(struct run *run, const struct core_action *action, struct outcome *outcome)
{
    enum driver_removal how = action->is_forced ? DRIVER_KILL : DRIVER_DRAIN;
    if (run->driver->remove(run->driver, action->node, how, NULL) < 0) {
        struct run_failure failure = {xstrdup(action->node), NULL}; /* it is gone already: as asked */
        vec_push(&outcome->failures, failure);
    }
}

static void tell_action(struct run *run, const struct core_action *action)
{
    const char *about = action->unit_name ? action->unit_name : action->node ? action->node : "";
    run_tell_event(run, action->reason, about, action->is_warning, action->text);
}

static void perform(struct run *run, const struct core_action *action, struct outcome *outcome)
{
    switch (action->kind) {
    case CORE_WRITE_FENCE: write_fence(run, action, outcome); break;
    case CORE_CREATE_NODE: create_node(run, action, outcome); break;
    case CORE_DELETE_NODE: delete_node(run, action, outcome); break;
    case CORE_SEND_CONFIGURATION:
    case CORE_REQUEST_INVENTORY:
    case CORE_SEND_ROSTER:
    case CORE_SEND_ROUTES:
    case CORE_SEND_DEAD:
    case CORE_ASSIGN:
    case CORE_REVOKE:
    case CORE_DRAIN: control_send(run->control, run->core, action); break;
    case CORE_EVENT: tell_action(run, action); break;
    case CORE_STATUS_CHANGED: run->status_changed = true; break;
    case CORE_STOPPED: run->is_done = true; break;
    case CORE_LOST: run->is_lost = true; break;
    }
}

static void report(struct run *run, struct outcome *outcome)
{
    if (outcome->write && outcome->write_err.kind == ERR_NONE) {
        control_set_term(
            run->control, outcome->term); /* R0: no command and no echo of a term before its write */
        core_fence_written(run->core, outcome->write);
    } else if (outcome->write) {
        core_fence_failed(run->core, outcome->write, outcome->write_err.text);
    }
    vec_for_each (failure, &outcome->failures) {
        core_node_gone(run->core, failure->node, 0, failure->text);
        free(failure->node);
        free(failure->text);
    }
    vec_done(&outcome->failures);
}

void run_act(struct run *run)
{
    for (;;) {
        struct core_plan plan;
        struct outcome outcome = {0};
        (void)run_tick(run); /* the core wants to know the time, we do not */
        core_plan(run->core, &plan);
        for (size_t i = 0; i < plan.count; i++)
            perform(run, &plan.actions[i], &outcome);
        bool is_over = plan.count == 0 && !plan.has_more;
        run->wake_at_ms = plan.wake_at_ms;
        report(run, &outcome);
        /* Ends because the core is quiescent when nothing new happened: tests/sim checks that. */
        if (is_over || run->is_done || run->is_lost)
            return;
    }
}

static void serve_status(struct run *run, struct run_request *request)
{
    struct status status = {0};
    core_status(run->core, &status);
    _cleanup_(json_freep) struct json *document = status_to_json(&status, STATUS_FOR_RUN);
    request->json = json_to_text(document, JSON_COMPACT);
    status_done(&status);
    run_request_answer(request, NULL);
}

static void serve_explain(struct run *run, struct run_request *request)
{
    struct err err = {0};
    _cleanup_(json_freep) struct json *document = core_explain(run->core, request->unit, &err);
    if (document)
        request->json = json_to_text(document, JSON_COMPACT);
    run_request_answer(request, document ? NULL : &err);
}

static void serve_resume(struct run *run, struct run_request *request)
{
    struct err err = {0};
    int failed = core_resume(run->core, request->unit, &err);
    run_request_answer(request, failed ? &err : NULL);
}

void run_serve(struct run *run, struct run_request *request)
{
    switch (request->kind) {
    case RUN_STATUS: serve_status(run, request); break;
    case RUN_EXPLAIN: serve_explain(run, request); break;
    case RUN_RESUME: serve_resume(run, request); break;
    case RUN_STOP:
        run_stop(run, request->drain_timeout_ms);
        run_request_answer(request, NULL);
        break;
    }
}
