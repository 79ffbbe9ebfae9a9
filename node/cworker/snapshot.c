#include "cworker/snapshot.h"

#include "base/mem.h"
#include "capi/writer.h"

#include <stdlib.h>

/* ---- taken ---- */

void snapshot_begin(struct cactor *actor)
{
    if (actor->entry->behavior->snapshot)
        connection_mark(&actor->worker->connection);
}

static enum histrio_result fail(struct histrio_context *ctx, const char *reason)
{
    free(ctx->fail_reason);
    ctx->fail_reason = xstrdup(reason);
    return HISTRIO_FAIL;
}

/* The state after a message that failed is nobody's to go on with, and one that was not handled changed
 * nothing. */
static enum histrio_result take(struct histrio_context *ctx, enum histrio_result result)
{
    struct cactor *actor = ctx->actor;
    struct histrio_context own = {.worker = ctx->worker, .actor = actor};
    struct histrio_writer *writer = histrio_writer_new();
    enum histrio_result taken = actor->entry->behavior->snapshot(&own, actor->state, writer);
    if (taken == HISTRIO_FAIL || taken == HISTRIO_STOP) {
        result = fail(ctx, own.fail_reason ? own.fail_reason : "its snapshot failed");
    } else if (taken == HISTRIO_CONTINUE && writer->out.overflowed) {
        result = fail(ctx, "its snapshot is larger than a message may be");
    } else if (taken == HISTRIO_CONTINUE) {
        struct frame frame = {.kind = FRAME_SNAPSHOT, .actor = actor->slot};
        connection_append_at_mark(&ctx->worker->connection, &frame, str_text(&writer->out), writer->out.size);
    }
    histrio_writer_free(writer);
    free(own.fail_reason);
    return result;
}

enum histrio_result snapshot_take(struct histrio_context *ctx, enum histrio_result result)
{
    if (!ctx->actor->entry->behavior->snapshot)
        return result;
    if (result == HISTRIO_CONTINUE || result == HISTRIO_STOP)
        result = take(ctx, result);
    connection_unmark(&ctx->worker->connection);
    return result;
}

/* ---- restored ---- */

void snapshot_came(struct cworker *worker, const struct frame *frame, const uint8_t *payload)
{
    if (frame->actor == 0 || cworker_is_dropped(worker, frame->actor))
        return;
    struct slot *slot = cworker_slot(worker, frame->actor);
    snapshot_forget(slot);
    slot->kept_size = frame_payload_bytes(frame);
    slot->kept = xmemdup(payload, slot->kept_size);
}

void snapshot_forget(struct slot *slot)
{
    free(slot->kept);
    slot->kept = NULL;
}

bool snapshot_restore(struct histrio_context *ctx, enum histrio_result *ret_result)
{
    struct cactor *actor = ctx->actor;
    const struct histrio_behavior *behavior = actor->entry->behavior;
    struct slot *slot = cworker_slot(ctx->worker, actor->slot);
    uint8_t *kept = slot->kept; /* slots may move while it spawns */
    size_t size = slot->kept_size;
    slot->kept = NULL;
    bool is_there = kept && behavior->restore;
    if (is_there)
        *ret_result = behavior->restore(ctx, actor->state, kept, size);
    free(kept);
    return is_there;
}
