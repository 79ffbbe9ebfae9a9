/* What hosted actors ask the runtime for. */
#include "base/limits.h"
#include "base/mem.h"
#include "host/private.h"

#include <stdio.h>

enum { SENT_WHILE_MUTED_MAX = 1000 * 1000, MUTED_UNIT_BYTES = 256 };

/* ---- numbers ---- */

struct proxy_numbers *proxy_numbers(struct proxy *proxy)
{
    if (!proxy->numbers)
        proxy->numbers = xcalloc(1, sizeof(*proxy->numbers));
    return proxy->numbers;
}

static struct number_pair *find_ours(const struct number_pairs *pairs, uint64_t ours)
{
    vec_for_each (pair, &pairs->items)
        if (pair->ours == ours)
            return pair;
    return NULL;
}

static struct number_pair *find_theirs(const struct number_pairs *pairs, uint64_t theirs)
{
    vec_for_each (pair, &pairs->items)
        if (pair->theirs == theirs)
            return pair;
    return NULL;
}

uint64_t number_pairs_translate(struct number_pairs *pairs, uint64_t ours)
{
    const struct number_pair *pair = find_ours(pairs, ours);
    if (!pair)
        return 0;
    uint64_t theirs = pair->theirs;
    if (pair->is_once)
        vec_remove_swap(&pairs->items, (size_t)(pair - pairs->items.items));
    return theirs;
}

uint64_t number_pairs_take(struct number_pairs *pairs, uint64_t ours)
{
    struct number_pair *pair = find_ours(pairs, ours);
    if (pair)
        pair->is_once = true;
    return number_pairs_translate(pairs, ours);
}

/* Takes it out; 0: there is none. */
static uint64_t take_theirs(struct number_pairs *pairs, uint64_t theirs)
{
    const struct number_pair *pair = find_theirs(pairs, theirs);
    if (!pair)
        return 0;
    uint64_t ours = pair->ours;
    vec_remove_swap(&pairs->items, (size_t)(pair - pairs->items.items));
    return ours;
}

/* False: one more than is allowed. */
static bool may_add(struct proxy *proxy, const struct number_pairs *pairs, const struct frame *frame)
{
    if (pairs->items.count < LIMIT_HOST_WATCHES && !find_theirs(pairs, frame->number))
        return true;
    receive_violation(proxy->process, "%s: number %llu is in use, or more than %d at once",
        frame_kind_name(frame->kind), (unsigned long long)frame->number, LIMIT_HOST_WATCHES);
    return false;
}

/* ---- messages ---- */

void request_answer(struct process *process, uint32_t slot, uint64_t number, const void *value, size_t size)
{
    struct frame frame = {.kind = FRAME_REPLY, .actor = slot, .number = number};
    process_append(process, &frame, value, size);
}

void request_fail(
    struct process *process, uint32_t slot, uint64_t number, enum histrio_error error, const char *text)
{
    struct frame frame = {.kind = FRAME_ERROR, .code = (uint8_t)error, .actor = slot, .number = number};
    process_append_text(process, &frame, text);
}

/* The outcome of an ask; data is the process's number. */
static enum histrio_result asked(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    struct proxy *proxy = state;
    proxy->requests--;
    if (!proxy->process || proxy->state == PROXY_OVER)
        return HISTRIO_CONTINUE;
    struct frame frame = {.kind = outcome->kind == HISTRIO_ERROR ? FRAME_ERROR : FRAME_REPLY,
        .code = outcome->error,
        .actor = proxy->slot,
        .number = (uintptr_t)data};
    if (!buffers_append(proxy->process, &frame, outcome->value, outcome->size,
            message_attachment(hosted_message(ctx, outcome))))
        request_fail(proxy->process, proxy->slot, frame.number, HISTRIO_APPLICATION, BUFFERS_TOO_LARGE);
    return HISTRIO_CONTINUE;
}

/* Whoever sends to receivers that cannot keep up is told so by getting no messages; its process goes on
 * nevertheless, and what it sends is ours to hold. */
static bool may_send(const struct histrio_context *ctx, struct proxy *proxy, size_t size)
{
    if (!hosted_is_muted(ctx)) {
        proxy->sent_while_muted = 0;
        return true;
    }
    proxy->sent_while_muted += 1 + (uint32_t)(size / MUTED_UNIT_BYTES);
    if (proxy->sent_while_muted <= SENT_WHILE_MUTED_MAX)
        return true;
    receive_violation(proxy->process, "%s floods a receiver that cannot keep up",
        histrio_path((struct histrio_context *)(uintptr_t)ctx));
    return false;
}

/* A message whose large data the node cannot hold now. */
static void refuse(
    struct histrio_context *ctx, const struct proxy *proxy, const struct frame *frame, const char *why)
{
    if (frame->kind == FRAME_ASK)
        request_fail(proxy->process, proxy->slot, frame->number, HISTRIO_MAILBOX_FULL, why);
    else
        histrio_log(ctx, HISTRIO_WARNING, "a message was dropped: %s", why);
}

static void send_message_of(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    struct process *process = proxy->process;
    size_t size = frame_payload_bytes(frame);
    struct histrio_ref to = receive_target(process, frame);
    uint32_t method = receive_method(process, frame);
    if (process->is_hostile || !may_send(ctx, proxy, size))
        return;
    if (process->buffers.refused) {
        refuse(ctx, proxy, frame, process->buffers.refused);
        return;
    }
    if (frame->kind == FRAME_TELL) {
        hosted_tell(ctx, to, method, payload, size, process->buffers.came);
        return;
    }
    if (proxy->requests >= LIMIT_HOST_REQUESTS) {
        request_fail(process, proxy->slot, frame->number, HISTRIO_MAILBOX_FULL, "too many asks are open");
        return;
    }
    proxy->requests++;
    uint64_t ask = hosted_ask(ctx, to, method, payload, size, frame->timeout_ms, asked,
        (void *)(uintptr_t)frame->number, process->buffers.came); /* its outcome says everything */
    if (!process->recent_asks)
        process->recent_asks = xcalloc(RECENT_ASKS, sizeof(*process->recent_asks));
    process->recent_asks[frame->number % RECENT_ASKS] = (struct recent_ask){frame->number, ask, proxy->slot};
}

/* Who handles it is told, wherever that is; unless its outcome has come. */
static void cancel_recent(struct histrio_context *ctx, struct proxy *proxy, struct recent_ask *ask)
{
    if (hosted_cancel_ask(ctx, ask->ours))
        proxy->requests--;
    *ask = (struct recent_ask){0};
}

static void cancel_ask(struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame)
{
    struct recent_ask *ask =
        proxy->process->recent_asks ? &proxy->process->recent_asks[frame->number % RECENT_ASKS] : NULL;
    if (ask && ask->theirs == frame->number && ask->slot == proxy->slot)
        cancel_recent(ctx, proxy, ask);
}

void requests_cancel_all(struct histrio_context *ctx, struct proxy *proxy)
{
    struct recent_ask *asks = proxy->process->recent_asks;
    for (size_t i = 0; asks && i < RECENT_ASKS && proxy->requests > 0; i++)
        if (asks[i].slot == proxy->slot && asks[i].ours != 0)
            cancel_recent(ctx, proxy, &asks[i]);
}

void request_cancelled(
    void *host, struct histrio_context *hosted, void *state, struct histrio_ref asker, uint64_t ask)
{
    const struct proxy *proxy = state;
    (void)host;
    if (!proxy->process || proxy->process->state != PROCESS_RUNNING)
        return;
    struct frame cancel = {
        .kind = FRAME_CANCEL, .actor = proxy->slot, .number = delivery_of_ask(hosted, proxy, asker, ask)};
    if (cancel.number != 0)
        process_append(proxy->process, &cancel, NULL, 0);
}

/* ---- the rest ---- */

static void watch(struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame)
{
    struct histrio_ref to = receive_target(proxy->process, frame);
    struct number_pairs *monitors = &proxy_numbers(proxy)->monitors;
    if (proxy->process->is_hostile || !may_add(proxy, monitors, frame))
        return;
    bool lasts = frame->code == FRAME_MONITOR_LASTS;
    struct number_pair pair = {.theirs = frame->number,
        .ours = lasts ? histrio_watch(ctx, to) : histrio_monitor(ctx, to),
        .is_once = !lasts};
    vec_push(&monitors->items, pair);
}

static void start_timer(struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame)
{
    uint32_t method = receive_method(proxy->process, frame);
    uint32_t period_ms = frame->ref_id <= UINT32_MAX ? (uint32_t)frame->ref_id : UINT32_MAX;
    struct number_pairs *timers = &proxy_numbers(proxy)->timers;
    if (proxy->process->is_hostile || !may_add(proxy, timers, frame))
        return;
    struct number_pair pair = {.theirs = frame->number,
        .ours = histrio_timer_start(ctx, frame->timeout_ms, period_ms, method),
        .is_once = period_ms == 0};
    vec_push(&timers->items, pair);
}

/* Its code may want to know from when on no exit comes any more. */
static void unlink_from(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, struct histrio_ref to)
{
    static const uint8_t nil = 0xc0;
    histrio_unlink(ctx, to);
    if (frame->number != 0)
        request_answer(proxy->process, proxy->slot, frame->number, &nil, sizeof(nil));
}

static void send_exit(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    char reason[REASON_BYTES];
    struct histrio_ref to = receive_target(proxy->process, frame);
    (void)snprintf(reason, sizeof(reason), "%.*s", (int)frame_payload_bytes(frame), (const char *)payload);
    if (!proxy->process->is_hostile)
        histrio_exit(ctx, hosted_exit_target(ctx, to), reason);
}

void request_handle(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    struct process *process = proxy->process;
    struct histrio_ref to;
    uint64_t ours;
    switch (frame->kind) { /* an enum frame_kind: receive.c knows all */
    case FRAME_TELL:
    case FRAME_ASK: send_message_of(ctx, proxy, frame, payload); break;
    case FRAME_CANCEL: cancel_ask(ctx, proxy, frame); break;
    case FRAME_SPAWN: spawn_handle(ctx, proxy, frame, payload); break;
    case FRAME_MONITOR: watch(ctx, proxy, frame); break;
    case FRAME_DEMONITOR:
        ours = take_theirs(&proxy_numbers(proxy)->monitors, frame->number);
        if (ours)
            histrio_demonitor(ctx, ours);
        break;
    case FRAME_LINK:
    case FRAME_UNLINK:
        to = receive_target(process, frame);
        if (process->is_hostile)
            break;
        if (frame->kind == FRAME_LINK)
            histrio_link(ctx, to);
        else
            unlink_from(ctx, proxy, frame, to);
        break;
    case FRAME_EXIT: send_exit(ctx, proxy, frame, payload); break;
    case FRAME_TIMER_START: start_timer(ctx, proxy, frame); break;
    case FRAME_TIMER_CANCEL:
        ours = take_theirs(&proxy_numbers(proxy)->timers, frame->number);
        if (ours)
            (void)histrio_timer_cancel(ctx, ours); /* it may have fired: SDKs know their own */
        break;
    case FRAME_TRAP: histrio_trap_exits(ctx, frame->code != 0); break;
    default: break; /* receive.c sends nothing else here */
    }
}
