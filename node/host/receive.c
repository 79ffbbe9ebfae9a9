/* Frames from a process. It may send anything at any time: what makes no sense at all ends it, what is late
 * is ignored, and nothing that it says is done in the name of an actor that is not in it. */
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "capi/intern.h"
#include "host/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void receive_violation(struct process *process, const char *fmt, ...)
{
    char text[REASON_PLACE_BYTES] = "broke the protocol: ";
    va_list arguments;
    va_start(arguments, fmt);
    size_t used = strlen(text);
    (void)vsnprintf(text + used, sizeof(text) - used, fmt, arguments); /* cut */
    va_end(arguments);
    process->is_hostile = true;
    process_kill(process, text);
    if (process->socket.fd >= 0)
        (void)shutdown(process->socket.fd, SHUT_RDWR); /* not one more of its frames */
}

/* ---- texts ---- */

static void receive_intern(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    size_t size = frame_payload_bytes(frame);
    if (frame->method == 0 || frame->method > LIMIT_HOST_TEXTS || size > LIMIT_HOST_TEXT_BYTES) {
        receive_violation(process, "INTERN of number %u, %zu bytes", frame->method, size);
        return;
    }
    while (process->texts.count < frame->method)
        (void)vec_push_new(&process->texts);
    struct process_text *text = &process->texts.items[frame->method - 1];
    free(text->text);
    *text = (struct process_text){.text = xstrndup((const char *)payload, size)};
}

static struct process_text *find_text(struct process *process, uint32_t number)
{
    if (number == 0 || number > process->texts.count || !process->texts.items[number - 1].text) {
        receive_violation(process, "text %u was never told", number);
        return NULL;
    }
    return &process->texts.items[number - 1];
}

struct histrio_ref receive_target(struct process *process, const struct frame *frame)
{
    if (frame->name == 0)
        return (struct histrio_ref){frame->ref_node, frame->ref_id};
    struct process_text *text = find_text(process, frame->name);
    if (!text)
        return (struct histrio_ref){0};
    if (!text->was_looked_up) {
        text->was_looked_up = true;
        text->name = (uint32_t)actor_system_name(NULL, text->text);
    }
    return (struct histrio_ref){0, text->name};
}

uint32_t receive_method(struct process *process, const struct frame *frame)
{
    struct process_text *text = frame->method ? find_text(process, frame->method) : NULL;
    if (!text)
        return 0;
    size_t size = strlen(text->text);
    if (text->method == 0 && size <= LIMIT_MESSAGE_TYPE_BYTES)
        text->method = intern_outside(text->text, size);
    return text->method;
}

/* ---- the connection ---- */

static void receive_hello(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    struct value told = value_of(payload, frame_payload_bytes(frame));
    uint64_t protocol = 0, pid = 0;
    const char *role = process->is_script ? "script" : "worker";
    if (!value_get_uint(value_find(told, "protocol"), &protocol) || protocol != FRAME_PROTOCOL) {
        receive_violation(process, "it speaks protocol %u, this node %d: update the package histrio",
            (unsigned)protocol, FRAME_PROTOCOL);
    } else if (process->state != PROCESS_FORKING || !value_is_string(value_find(told, "role"), role)) {
        receive_violation(process, "HELLO twice, or not as a %s", role);
    } else {
        if (process->is_script && value_get_uint(value_find(told, "pid"), &pid) && pid <= INT32_MAX)
            process->pid = (pid_t)pid; /* for people: nothing is ever sent to it */
        /* An older package says nothing: then it does not. */
        (void)value_get_bool(value_find(told, "traces"), &process->takes_traces);
        processes_hello(process);
    }
}

/* ---- what ends a delivery ---- */

static const char snapshots_too_large[] =
    "the state after it is not kept: the states of all actors take all memory that they may take";

/* What SNAPSHOT has not kept: who gets the answer that it comes before would rely on it. */
static void receive_snapshot(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    proxy->is_state_refused =
        !hosted_keep(ctx, payload, frame_payload_bytes(frame), proxy->host->snapshot_bytes_max);
    if (proxy->is_state_refused && !proxy->was_refusal_logged)
        histrio_log(ctx, HISTRIO_LOG_ERROR, "%s", snapshots_too_large);
    proxy->was_refusal_logged = proxy->is_state_refused;
}

static void receive_end(struct histrio_context *ctx, struct proxy *proxy, struct delivery *delivery,
    const struct frame *frame, const uint8_t *payload)
{
    struct process *process = proxy->process;
    struct message *message = delivery->message;
    char text[LIMIT_STATUS_TEXT_BYTES];
    enum histrio_error error;
    bool state_refused = proxy->is_state_refused;
    proxy->is_state_refused = false;
    delivery_free(process, delivery);
    if (!message) {
        /* a signal: nobody waits */
    } else if (process->buffers.refused) {
        (void)snprintf(text, sizeof(text), "the answer: %s", process->buffers.refused);
        hosted_reply_error(ctx, message, HISTRIO_APPLICATION, text);
    } else if (state_refused && frame->kind == FRAME_REPLY) {
        hosted_reply_error(ctx, message, HISTRIO_APPLICATION, snapshots_too_large);
    } else if (frame->kind == FRAME_REPLY) {
        hosted_reply(ctx, message, payload, frame_payload_bytes(frame), process->buffers.came);
    } else if (frame->kind == FRAME_ERROR) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)frame_payload_bytes(frame), (const char *)payload);
        error = frame->code == HISTRIO_OK || frame->code > HISTRIO_DENIED ? HISTRIO_APPLICATION
                                                                          : (enum histrio_error)frame->code;
        hosted_reply_error(ctx, message, error, text);
    } else if (frame->code == FRAME_DONE_UNHANDLED) {
        hosted_unhandled(ctx, message);
    } else {
        hosted_reply_error(ctx, message, HISTRIO_TIMEOUT, "its time was over before it began");
    }
    proxy_went_on(ctx, proxy);
}

/* REPLY, ERROR and DONE. */
static void receive_answer(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    struct delivery *delivery = delivery_find(proxy->process, frame->number);
    if (!delivery || delivery->proxy != proxy)
        return; /* of something that was dropped meanwhile */
    if (delivery->kind != FRAME_START && delivery->kind != FRAME_STOP)
        receive_end(ctx, proxy, delivery, frame, payload);
    else if (frame->kind == FRAME_DONE)
        proxy_done(ctx, proxy, delivery);
    else
        receive_violation(proxy->process, "%s for a START or STOP", frame_kind_name(frame->kind));
}

/* Its handler has returned, and answers later: it does not keep others from being delivered. */
static void receive_taken(struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame)
{
    struct delivery *delivery = delivery_find(proxy->process, frame->number);
    if (!delivery || delivery->proxy != proxy || delivery->kind != FRAME_ASK || delivery->is_taken)
        return;
    delivery->is_taken = true;
    proxy->taken++;
    proxy_went_on(ctx, proxy);
}

/* ---- all ---- */

static void receive_from_actor(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    struct proxy *proxy = NULL;
    if (frame->actor > 0 && frame->actor <= process->slots.count)
        proxy = process->slots.items[frame->actor - 1];
    struct histrio_context ctx;
    if (frame->actor > process->slots.count) {
        receive_violation(
            process, "%s from actor %u, which it never had", frame_kind_name(frame->kind), frame->actor);
    } else if (!proxy || !hosted_enter(process->host->worker, proxy->id, &ctx)) {
        if (frame->kind == FRAME_ASK || frame->kind == FRAME_SPAWN)
            request_fail(process, frame->actor, frame->number, HISTRIO_DENIED,
                frame->actor ? "the actor has ended" : "only an actor may do this, inside of a handler");
    } else if (frame->kind == FRAME_REPLY || frame->kind == FRAME_ERROR || frame->kind == FRAME_DONE) {
        receive_answer(&ctx, proxy, frame, payload);
    } else if (frame->kind == FRAME_TAKEN) {
        receive_taken(&ctx, proxy, frame);
    } else if (frame->kind == FRAME_SNAPSHOT) {
        receive_snapshot(&ctx, proxy, frame, payload);
    } else if (frame->kind == FRAME_FAILED) {
        proxy_failed(&ctx, proxy, frame, payload);
    } else {
        request_handle(&ctx, proxy, frame, payload);
    }
}

void receive_frame(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    if (process->is_hostile)
        return;
    if (process->state == PROCESS_FORKING && frame->kind != FRAME_HELLO) {
        receive_violation(process, "%s before HELLO", frame_kind_name(frame->kind));
        return;
    }
    switch ((enum frame_kind)frame->kind) {
    case FRAME_HELLO: receive_hello(process, frame, payload); break;
    case FRAME_INTERN: receive_intern(process, frame, payload); break;
    case FRAME_LOG: output_frame(process, frame, payload); break;
    case FRAME_CANCEL:
    case FRAME_TELL:
    case FRAME_ASK:
    case FRAME_REPLY:
    case FRAME_ERROR:
    case FRAME_DONE:
    case FRAME_FAILED:
    case FRAME_SPAWN:
    case FRAME_MONITOR:
    case FRAME_DEMONITOR:
    case FRAME_LINK:
    case FRAME_UNLINK:
    case FRAME_EXIT:
    case FRAME_TIMER_START:
    case FRAME_TIMER_CANCEL:
    case FRAME_TRAP:
    case FRAME_TAKEN:
    case FRAME_SNAPSHOT: receive_from_actor(process, frame, payload); break;
    case FRAME_WELCOME:
    case FRAME_START:
    case FRAME_STOP:
    case FRAME_DROP:
    case FRAME_DOWN:
    case FRAME_TIMER:
    case FRAME_KIND_END:
        receive_violation(process, "%s is for the node to say", frame_kind_name(frame->kind));
        break;
    }
}
