/* Frames from the node, and what happens without one. */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cworker/private.h"
#include "cworker/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

/* The first line of a payload that is a text. The caller frees it. */
static char *line_of(const struct frame *frame, const uint8_t *payload)
{
    size_t size = frame_payload_bytes(frame);
    const uint8_t *newline = memchr(payload, '\n', size);
    return xstrndup((const char *)payload, newline ? (size_t)(newline - payload) : size);
}

static void handle_text(
    struct cactor *actor, const struct frame *frame, const uint8_t *payload, struct histrio_message *message)
{
    char *text = line_of(frame, payload);
    message->value = (const uint8_t *)text;
    message->size = (uint32_t)strlen(text);
    handle_message(actor->worker, actor, &(struct handled){.message = message, .delivery = frame->number});
    free(text);
}

/* It came too late to be handled. */
static void skip(struct cactor *actor, const struct frame *frame)
{
    answer_frame(actor, FRAME_DONE, 0, frame->number, NULL, 0);
}

static void told_or_asked(struct cactor *actor, const struct frame *frame, const uint8_t *payload)
{
    struct histrio_message message = {.type = frame->method,
        .kind = frame->kind == FRAME_ASK ? HISTRIO_ASK : HISTRIO_TELL,
        .size = (uint32_t)frame_payload_bytes(frame),
        .value = payload,
        .sender = {frame->ref_node, frame->ref_id},
        .reference = frame->kind == FRAME_ASK ? frame->number : 0};
    handle_message(actor->worker, actor, &(struct handled){.message = &message, .delivery = frame->number});
}

static void timer_fired(struct cactor *actor, const struct frame *frame)
{
    struct histrio_message message = {.type = frame->method,
        .kind = HISTRIO_TIMER,
        .reference = frame->ref_id,
        .value = (const uint8_t *)""};
    vec_for_each (timer, &actor->timers) {
        if (timer->number != frame->ref_id)
            continue;
        if (timer->period_ms == 0)
            vec_remove_swap(&actor->timers, (size_t)(timer - actor->timers.items));
        else
            timer->due_ns += timer->period_ms * NS_PER_MS;
        handle_message(
            actor->worker, actor, &(struct handled){.message = &message, .delivery = frame->number});
        return;
    }
    skip(actor, frame);
}

static void came_down(struct cactor *actor, const struct frame *frame, const uint8_t *payload)
{
    vec_for_each (monitor, &actor->monitors) {
        if (monitor->number != frame->ref_id)
            continue;
        struct histrio_message message = {
            .kind = HISTRIO_DOWN, .reference = monitor->number, .sender = monitor->ref};
        if (frame->code != 0) {
            message.kind = frame->code == FRAME_DOWN_ENDED ? HISTRIO_ENDED : HISTRIO_RESTARTED;
            message.value = payload;
            message.size = (uint32_t)frame_payload_bytes(frame);
            handle_message(
                actor->worker, actor, &(struct handled){.message = &message, .delivery = frame->number});
            return;
        }
        vec_remove_swap(&actor->monitors, (size_t)(monitor - actor->monitors.items));
        handle_text(actor, frame, payload, &message);
        return;
    }
    skip(actor, frame);
}

static void exited(struct cactor *actor, const struct frame *frame, const uint8_t *payload)
{
    struct histrio_message message = {.kind = HISTRIO_EXIT, .sender = {frame->ref_node, frame->ref_id}};
    vec_for_each (unlinking, &actor->unlinking)
        if (histrio_ref_equal(unlinking->ref, message.sender)) {
            skip(actor, frame);
            return;
        }
    handle_text(actor, frame, payload, &message);
}

/* ---- answers to requests ---- */

static void unlinked(struct cworker *worker, const struct frame *frame)
{
    struct cactor *actor = cworker_actor(worker, frame->actor);
    if (!actor)
        return;
    vec_for_each (unlinking, &actor->unlinking)
        if (unlinking->number == frame->number) {
            vec_remove_swap(&actor->unlinking, (size_t)(unlinking - actor->unlinking.items));
            return;
        }
}

static void answered(struct cworker *worker, const struct frame *frame, const uint8_t *payload)
{
    struct ask *ask = ask_find(worker, frame->number);
    if (!ask) {
        unlinked(worker, frame); /* or nobody waits any more */
        return;
    }
    struct ask copy = *ask;
    ask_free(worker, ask);
    if (cworker_is_dropped(worker, copy.actor->slot))
        return;
    size_t size = frame_payload_bytes(frame);
    bool is_error = frame->kind == FRAME_ERROR;
    char *text = is_error ? xstrndup((const char *)payload, size) : NULL;
    struct histrio_message message = {.kind = is_error ? HISTRIO_ERROR : HISTRIO_REPLY,
        .error = is_error ? frame->code : 0,
        .size = (uint32_t)(is_error ? strlen(text) : size),
        .value = is_error ? (const uint8_t *)text : payload,
        .reference = copy.number};
    handle_message(
        worker, copy.actor, &(struct handled){.message = &message, .then = copy.then, .data = copy.data});
    free(text);
}

/* ---- actors begin and end ---- */

static void start(struct cworker *worker, const struct frame *frame, const uint8_t *payload)
{
    struct err err = {0};
    const uint8_t *arguments;
    size_t size;
    if (frame->actor == 0 || cworker_is_dropped(worker, frame->actor))
        return;
    struct cactor *actor = instance_new(worker, frame, payload, &arguments, &size, &err);
    if (actor) {
        handle_start(worker, actor, frame->number, arguments, size);
        return;
    }
    snapshot_forget(cworker_slot(worker, frame->actor));
    struct frame failed = {.kind = FRAME_FAILED, .actor = frame->actor, .number = frame->number};
    connection_append(&worker->connection, &failed, err.text, strnlen(err.text, REASON_BYTES - 1));
}

static void stop(struct cactor *actor, const struct frame *frame, const uint8_t *payload)
{
    char *reason = line_of(frame, payload);
    handle_stop(actor->worker, actor, frame->number, reason);
    free(reason);
}

void dispatch_frame(struct cworker *worker, const struct frame *frame, const uint8_t *payload)
{
    struct cactor *actor = cworker_actor(worker, frame->actor);
    if (frame->kind == FRAME_START) {
        start(worker, frame, payload);
        return;
    }
    if (frame->kind == FRAME_SNAPSHOT) {
        snapshot_came(worker, frame, payload);
        return;
    }
    if (frame->kind == FRAME_REPLY || frame->kind == FRAME_ERROR) {
        answered(worker, frame, payload);
        return;
    }
    if (!actor) /* it has ended by itself meanwhile */
        return;
    if (frame->kind == FRAME_DROP) {
        instance_free(actor);
        return;
    }
    if (cworker_is_dropped(worker, frame->actor))
        return;
    switch (frame->kind) { /* an enum frame_kind: the rest is not for us, or says nothing to C */
    case FRAME_TELL:
    case FRAME_ASK: told_or_asked(actor, frame, payload); break;
    case FRAME_TIMER: timer_fired(actor, frame); break;
    case FRAME_DOWN: came_down(actor, frame, payload); break;
    case FRAME_EXIT: exited(actor, frame, payload); break;
    case FRAME_STOP: stop(actor, frame, payload); break;
    default: break;
    }
}

/* ---- without a frame ---- */

static bool fail_one_ask(struct cworker *worker)
{
    if (worker->failed_asks.count == 0)
        return false;
    struct failed_ask failed = worker->failed_asks.items[0];
    vec_remove_at(&worker->failed_asks, 0);
    struct frame frame = {.kind = FRAME_ERROR,
        .code = (uint8_t)failed.error,
        .size = (uint32_t)(FRAME_HEADER_BYTES + strlen(failed.text)),
        .number = failed.number};
    answered(worker, &frame, (const uint8_t *)failed.text);
    return true;
}

static int64_t due_ns(const struct cactor *actor)
{
    return actor->last_message_ns + actor->receive_timeout_ms * NS_PER_MS;
}

/* Whose receive timeout is next; NULL: nobody's. */
static struct cactor *find_next(const struct cworker *worker)
{
    struct cactor *next = NULL;
    for (size_t i = 0; worker->timeouts > 0 && i < worker->slots.count; i++) {
        struct cactor *actor = worker->slots.items[i].actor;
        if (actor && actor->receive_timeout_ms > 0 && !worker->slots.items[i].is_dropped &&
            (!next || due_ns(actor) < due_ns(next)))
            next = actor;
    }
    return next;
}

static bool time_one_out(struct cworker *worker)
{
    struct cactor *actor = find_next(worker);
    if (!actor || due_ns(actor) > cworker_now())
        return false;
    struct histrio_message message = {.kind = HISTRIO_TIMER, .value = (const uint8_t *)""};
    handle_message(worker, actor, &(struct handled){.message = &message});
    return true;
}

struct local_round dispatch_round(const struct cworker *worker)
{
    return (struct local_round){worker->failed_asks.count, worker->timeouts};
}

bool dispatch_local(struct cworker *worker, struct local_round *round)
{
    if (round->failed_asks > 0 && fail_one_ask(worker)) {
        round->failed_asks--;
        return true;
    }
    if (round->timeouts > 0 && time_one_out(worker)) {
        round->timeouts--;
        return true;
    }
    return false;
}

int dispatch_wait_ms(const struct cworker *worker)
{
    if (worker->failed_asks.count > 0)
        return 0;
    const struct cactor *actor = find_next(worker);
    if (!actor)
        return -1;
    int64_t left_ns = due_ns(actor) - cworker_now();
    int64_t left_ms = left_ns > 0 ? (left_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

void dispatch_flush(struct cworker *worker)
{
    connection_flush(&worker->connection);
    begun_written(&worker->begun);
}
