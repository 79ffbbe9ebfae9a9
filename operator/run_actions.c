/* The hands of a local run, and the answers to the CLI. Everything here is quick: the fence record's fsync is
 * the longest, and it is what the actions behind it wait for anyway. */
#include "operator/run_private.h"

#include "api/status_json.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "operator/fence_file.h"
#include "operator/run_server.h"
#include "types/fence_record.h"
#include "types/status.h"

#include <stdlib.h>
#include <string.h>

static int write_fence(void *ctx, const struct fence_record *record, struct err *err)
{
    struct run *run = ctx;
    _cleanup_(json_freep) struct json *document = fence_record_to_json(record);
    _cleanup_(cleanup_free) char *text = json_to_text(document, JSON_PRETTY);
    return fence_file_write(run->fence, text, strlen(text), err);
}

static int create_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct run *run = ctx;
    struct driver_node node = {.name = action->node, .kube_node = "", .zone = ""};
    return run->driver->create(run->driver, &node, err);
}

static int delete_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct run *run = ctx;
    return run->driver->remove(
        run->driver, action->node, action->is_forced ? DRIVER_KILL : DRIVER_DRAIN, err);
}

static void tell_action(void *ctx, const struct core_action *action)
{
    const char *about = action->unit_name ? action->unit_name : action->node ? action->node : "";
    run_tell_event(ctx, action->reason, about, action->is_warning, action->text);
}

static void note_status(void *ctx)
{
    struct run *run = ctx;
    run->status_changed = true;
}

void run_hands(struct run *run, struct shell_hands *ret_hands)
{
    *ret_hands = (struct shell_hands){.write_fence = write_fence,
        .create_node = create_node,
        .delete_node = delete_node,
        .event = tell_action,
        .status_changed = note_status,
        .ctx = run};
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
