#include "actor/handling.h"

#include "actor/api_timer.h"
#include "actor/ask.h"
#include "actor/clerk.h"
#include "actor/deadletter.h"
#include "actor/executing.h"
#include "actor/life.h"
#include "actor/send.h"

#include <stdio.h>
#include <stdlib.h>

static struct histrio_caller handled_caller(const struct worker *worker, const struct message *message)
{
    struct histrio_ref asker = message_sender(worker, message);
    if (histrio_ref_is_nobody(asker))
        asker = (struct histrio_ref){worker->node_uid, message->sender};
    return (struct histrio_caller){asker, message->reference};
}

static void finish_ask(struct histrio_context *ctx, enum histrio_result result)
{
    struct worker *worker = ctx->worker;
    struct histrio_caller caller = handled_caller(worker, ctx->message);
    static const uint8_t nil = 0xc0;
    char text[192];
    switch (result) {
    case HISTRIO_CONTINUE:
    case HISTRIO_STOP:
        if (!ctx->taken)
            send_reply(worker, ctx->actor, caller, &nil, sizeof(nil), NULL);
        break;
    case HISTRIO_FAIL:
        if (!ctx->taken)
            send_reply_error(
                worker, ctx->actor, caller, HISTRIO_CRASHED, ctx->fail_reason ? ctx->fail_reason : "error");
        break;
    case HISTRIO_UNHANDLED:
        (void)snprintf(text, sizeof(text), "no method \"%s\"", intern_text(ctx->message->type));
        send_reply_error(worker, ctx->actor, caller, HISTRIO_BAD_ARGUMENT, text);
        break;
    }
}

/* All but the plain case of a tell that was handled. */
static void finish_message(struct histrio_context *ctx, enum histrio_result result)
{
    struct worker *worker = ctx->worker;
    if (ctx->message->kind == HISTRIO_ASK && !ctx->answered)
        finish_ask(ctx, result);
    else if (ctx->message->kind == HISTRIO_TELL && result == HISTRIO_UNHANDLED)
        deadletter(worker, ctx->message, HISTRIO_BAD_ARGUMENT);
    if (result != HISTRIO_STOP && result != HISTRIO_FAIL)
        return;
    const char *reason = ctx->fail_reason ? ctx->fail_reason : result == HISTRIO_FAIL ? "error" : "normal";
    /* The message is freed after this: its sender may need it no more, but the reason may come from it. */
    life_end(worker, ctx->actor, reason, NULL);
}

/* A reply, error or timer: false when it is too late for it. */
static bool prepare_notice(
    struct worker *worker, struct actor *actor, struct message *message, struct ask *ret_ask)
{
    switch (message->kind) {
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: return ask_settle(worker, actor, message, ret_ask);
    default: return true;
    }
}

static enum histrio_result handle_special(
    struct histrio_context *ctx, const struct histrio_message *view, struct message *message)
{
    struct actor *actor = ctx->actor;
    struct ask ask = {0};
    if (message->kind == HISTRIO_EXIT)
        actor->exits--;
    if (!prepare_notice(ctx->worker, actor, message, &ask))
        return HISTRIO_CONTINUE;
    if (ask.done) {
        clerk_finish(&ask, view);
        return HISTRIO_CONTINUE;
    }
    if (ask.then)
        return ask.then(ctx, actor->state, view, ask.data);
    return actor->behavior->receive(ctx, actor->state, view);
}

void handle_result(struct histrio_context *ctx, struct message *message, enum histrio_result result)
{
    ctx->message = message;
    if (result != HISTRIO_CONTINUE || message->kind == HISTRIO_ASK)
        finish_message(ctx, result);
    ctx->message = NULL;
    free(ctx->fail_reason);
    ctx->fail_reason = NULL;
}

void handle_other(struct histrio_context *ctx, struct message *message)
{
    struct worker *worker = ctx->worker;
    struct actor *actor = ctx->actor;
    bool is_error = message->kind == HISTRIO_ERROR;
    struct histrio_message view = {
        .type = is_error ? 0 : message->type,
        .kind = message->kind,
        .error = is_error ? (uint8_t)message->error : 0,
        .size = message_value_size(message),
        .value = message_value(message),
        .sender = message_sender(worker, message),
        .reference = message->reference,
    };
    if ((message->flags & MESSAGE_COUNTS) == 0)
        actor->uncounted--;
    ctx->message = message;
    ctx->answered = false;
    ctx->taken = false;
    enum histrio_result result;
    if (message->kind <= HISTRIO_ASK)
        result = actor->behavior->receive(ctx, actor->state, &view);
    else
        result = handle_special(ctx, &view, message);
    if (result == HOSTED_TAKEN) {
        ctx->message = NULL;
        return;
    }
    handle_result(ctx, message, result);
    message_free(worker, message);
}
