/* The behavior that runs in the place of a hosted actor: it hands messages to the process, and acts for the
 * actor when the process says so. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/value.h"
#include "capi/intern.h"
#include "host/private.h"

#include <stdio.h>
#include <stdlib.h>

enum { START_DOCUMENT_BYTES = LIMIT_VALUE_BYTES + 8192, LOOP_STUCK_MS = 100 };

static void pause_proxy(struct histrio_context *ctx, struct proxy *proxy)
{
    proxy->is_paused = true;
    hosted_pause(ctx, true);
}

/* ---- the beginning ---- */

static enum histrio_result proxy_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct proxy *proxy = state;
    (void)size;
    proxy->host = ctx->worker->hosting->ctx;
    proxy->spec = (const void *)arguments;
    proxy->id = histrio_self(ctx).id;
    proxy->first = proxy->last = DELIVERY_NONE;
    uint32_t capacity = proxy->spec->mailbox_capacity;
    proxy->window = capacity > 0 && capacity < WINDOW_MAX ? capacity : WINDOW_MAX;
    pause_proxy(ctx, proxy);
    HOST_COUNT(proxy->host->counters.actors, 1);
    char why[REASON_BYTES];
    if (processes_place(proxy->host, ctx, proxy, why, sizeof(why)))
        return HISTRIO_CONTINUE;
    histrio_fail(ctx, "%s", why);
    proxy_free_state(proxy);
    return HISTRIO_FAIL;
}

/* Where its library is, and who its parent is in the eyes of histrio/actor.h: not the supervisor that SPAWN
 * puts above it. */
static void write_start_in_c(struct histrio_context *ctx, const struct proxy *proxy, struct str *text)
{
    const char *library = hosted_library(ctx, proxy->spec->behavior);
    const struct proxy *spawning = proxy->host->spawning;
    struct histrio_ref parent = histrio_parent(ctx);
    if (spawning && spawning->process == proxy->process)
        parent = (struct histrio_ref){ctx->worker->node_uid, spawning->id};
    value_put_string(text, "library");
    value_put_string(text, library ? library : "");
    value_put_string(text, "parent");
    value_put_array(text, 2);
    value_put_uint(text, parent.node);
    value_put_uint(text, parent.id);
}

static void write_start(struct histrio_context *ctx, const struct proxy *proxy, struct str *text)
{
    static const uint8_t nil[] = {0xc0};
    const struct actor_child_spec *spec = proxy->spec;
    char epoch[24];
    (void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)histrio_epoch(ctx));
    bool is_in_c = child_is_in_c(spec);
    value_put_map(text, is_in_c ? 8 : 6);
    if (is_in_c)
        write_start_in_c(ctx, proxy, text);
    value_put_string(text, "behavior");
    value_put_string(text, spec->behavior);
    value_put_string(text, "arguments");
    value_put_bytes(text, spec->arguments_size > 0 ? spec->arguments : nil,
        spec->arguments_size > 0 ? spec->arguments_size : sizeof(nil));
    value_put_string(text, "path");
    value_put_string(text, histrio_path(ctx));
    value_put_string(text, "unit");
    value_put_string(text, histrio_unit(ctx));
    value_put_string(text, "epoch");
    value_put_string(text, epoch);
    value_put_string(text, "incarnation");
    value_put_uint(text, histrio_incarnation(ctx));
}

static void run(struct histrio_context *ctx, struct proxy *proxy)
{
    proxy->state = PROXY_RUNNING;
    proxy->process->has_started_one = true;
    backoff_reset(&proxy->host->start_backoff);
    hosted_started(ctx);
    proxy_went_on(ctx, proxy);
}

void proxy_start_in(struct proxy *proxy, struct process *process)
{
    struct histrio_context ctx;
    if (!hosted_enter(process->host->worker, proxy->id, &ctx))
        return; /* it ends in this moment */
    if (process->free_slots.count > 0) {
        proxy->slot = vec_pop(&process->free_slots);
        process->slots.items[proxy->slot - 1] = proxy;
    } else {
        vec_push(&process->slots, proxy);
        proxy->slot = (uint32_t)process->slots.count;
    }
    if (process->is_script) {
        run(&ctx, proxy);
        return;
    }
    proxy->state = PROXY_STARTING;
    size_t kept_size;
    const uint8_t *kept = hosted_kept(&ctx, &kept_size);
    if (kept)
        process_append(
            process, &(struct frame){.kind = FRAME_SNAPSHOT, .actor = proxy->slot}, kept, kept_size);
    const struct delivery *delivery = delivery_new(proxy, FRAME_START, NULL, 0);
    struct histrio_ref self = histrio_self(&ctx);
    struct frame frame = {.kind = FRAME_START,
        .actor = proxy->slot,
        .number = delivery ? delivery->number : 0,
        .ref_node = self.node,
        .ref_id = self.id};
    struct str text = STR_INIT(START_DOCUMENT_BYTES);
    write_start(&ctx, proxy, &text);
    process_append(process, &frame, text.data, text.size);
    str_done(&text);
}

/* ---- messages ---- */

/* A signal has no message that is kept: with its actor it is gone. */
static enum histrio_result deliver_signal(
    struct proxy *proxy, const struct histrio_message *message, struct frame *frame)
{
    struct str text = STR_INIT(REASON_BYTES * 4 + 2 * LIMIT_CAUSE_BYTES + STACK_BYTES);
    if (message->kind != HISTRIO_TIMER)
        str_append_bytes(&text, message->value, message->size);
    const char *stack = message->kind == HISTRIO_DOWN ? death_stack(proxy->host, message->sender.id) : "";
    if (*stack)
        str_appendf(&text, "\n%s", stack);
    const struct delivery *delivery = delivery_new(proxy, (enum frame_kind)frame->kind, NULL, message->type);
    frame->actor = proxy->slot;
    frame->number = delivery ? delivery->number : 0;
    if (delivery) /* else a million are on their way */
        process_append(proxy->process, frame, text.data, text.size);
    str_done(&text);
    return HISTRIO_CONTINUE;
}

/* A client's message, with the trace in which it comes. */
static void append_traced(struct process *process, struct frame *frame, const struct histrio_message *view,
    const struct trace_context *trace)
{
    static const uint8_t nil = 0xc0;
    size_t size = view->size > 0 ? view->size : sizeof(nil), inside = sizeof(*trace) + size;
    struct str text = STR_INIT(LIMIT_VALUE_BYTES + 64);
    const uint8_t head[] = {0xc9, (uint8_t)(inside >> 24), (uint8_t)(inside >> 16), (uint8_t)(inside >> 8),
        (uint8_t)inside, FRAME_TRACED_EXT};
    str_append_bytes(&text, head, sizeof(head));
    str_append_bytes(&text, trace, sizeof(*trace));
    str_append_bytes(&text, view->size > 0 ? view->value : &nil, size);
    process_append(process, frame, text.data, text.size);
    str_done(&text);
}

static enum histrio_result deliver_message(
    struct histrio_context *ctx, struct proxy *proxy, const struct histrio_message *view)
{
    struct process *process = proxy->process;
    struct message *message = hosted_message(ctx, view);
    struct delivery *delivery =
        delivery_new(proxy, view->kind == HISTRIO_ASK ? FRAME_ASK : FRAME_TELL, message, view->type);
    if (!delivery) {
        hosted_put_back(ctx, &message, 1);
        proxy->waits_for_buffer = true;
        pause_proxy(ctx, proxy);
        return HOSTED_TAKEN;
    }
    uint32_t method = process_text(process, view->type);
    struct frame frame = {.kind = delivery->kind,
        .actor = proxy->slot,
        .method = method,
        .number = delivery->number,
        .timeout_ms = hosted_remaining_ms(ctx->worker, message),
        .ref_node = view->sender.node,
        .ref_id = view->sender.id};
    const struct trace_context *trace = message_trace(message);
    if (trace && process->takes_traces)
        append_traced(process, &frame, view, trace);
    else if (!buffers_append(process, &frame, view->value, view->size, message_attachment(message))) {
        delivery_free(process, delivery);
        hosted_reply_error(ctx, message, HISTRIO_BAD_ARGUMENT, BUFFERS_TOO_LARGE);
    }
    return HOSTED_TAKEN;
}

static enum histrio_result proxy_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct proxy *proxy = state;
    struct process *process = proxy->process;
    struct frame frame = {0};
    enum histrio_result result = HISTRIO_CONTINUE;
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_TELL:
    case HISTRIO_ASK: result = deliver_message(ctx, proxy, message); break;
    case HISTRIO_TIMER:
        frame = (struct frame){.kind = FRAME_TIMER,
            .method = process_text(process, message->type),
            .ref_id = number_pairs_translate(&proxy_numbers(proxy)->timers, message->reference)};
        result = frame.ref_id ? deliver_signal(proxy, message, &frame) : HISTRIO_CONTINUE;
        break;
    case HISTRIO_DOWN:
        frame = (struct frame){.kind = FRAME_DOWN,
            .ref_id = number_pairs_take(&proxy_numbers(proxy)->monitors, message->reference)};
        result = frame.ref_id ? deliver_signal(proxy, message, &frame) : HISTRIO_CONTINUE;
        break;
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED:
        frame = (struct frame){.kind = FRAME_DOWN,
            .code = message->kind == HISTRIO_ENDED ? FRAME_DOWN_ENDED : FRAME_DOWN_RESTARTED,
            .ref_id = number_pairs_translate(&proxy_numbers(proxy)->monitors, message->reference)};
        result = frame.ref_id ? deliver_signal(proxy, message, &frame) : HISTRIO_CONTINUE;
        break;
    case HISTRIO_EXIT:
        frame = (struct frame){
            .kind = FRAME_EXIT, .ref_node = message->sender.node, .ref_id = message->sender.id};
        result = deliver_signal(proxy, message, &frame);
        break;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: break; /* outcomes come to requests.c at once */
    }
    if (proxy->open - proxy->taken >= proxy->window || process->is_full) {
        proxy->waits_for_buffer = process->is_full;
        pause_proxy(ctx, proxy);
    }
    return result;
}

void proxy_went_on(struct histrio_context *ctx, struct proxy *proxy)
{
    if (!proxy->is_paused || proxy->state != PROXY_RUNNING || proxy->process->state != PROCESS_RUNNING ||
        proxy->open - proxy->taken > proxy->window / 2 || proxy->process->is_full)
        return;
    proxy->waits_for_buffer = false;
    proxy->is_paused = false;
    hosted_pause(ctx, false);
}

/* ---- the end ---- */

void proxy_free_state(struct proxy *proxy)
{
    if (proxy->numbers) {
        vec_done(&proxy->numbers->monitors.items);
        vec_done(&proxy->numbers->timers.items);
    }
    free(proxy->numbers);
    free(proxy->spawner);
    free(proxy->stop_reason);
    proxy->numbers = NULL;
    proxy->spawner = NULL;
    proxy->stop_reason = NULL;
    HOST_COUNT(proxy->host->counters.actors, (uint32_t)-1);
}

void proxy_detach(struct proxy *proxy)
{
    struct process *process = proxy->process;
    if (!process)
        return;
    if (proxy->slot != 0)
        process->slots.items[proxy->slot - 1] = NULL;
    list_remove(&proxy->node);
    process->proxy_count--;
    proxy->process = NULL;
    proxy->slot = 0;
}

/* The process has told its last of it: the slot may be given to another. */
static void leave(struct histrio_context *ctx, struct proxy *proxy, const char *reason)
{
    struct process *process = proxy->process;
    requests_cancel_all(ctx, proxy);
    (void)deliveries_settle(
        ctx, proxy, reason, ""); /* none is marked: those that had begun were ended before */
    vec_push(&process->free_slots, proxy->slot);
    proxy->state = PROXY_OVER;
    proxy_detach(proxy);
    processes_left(process);
}

void proxy_done(struct histrio_context *ctx, struct proxy *proxy, struct delivery *delivery)
{
    bool is_start = delivery->kind == FRAME_START;
    delivery_free(proxy->process, delivery);
    if (!is_start) {
        char *reason = xstrdup(proxy->stop_reason ? proxy->stop_reason : "normal");
        leave(ctx, proxy, reason);
        proxy_end(ctx, proxy, reason, false);
        free(reason);
    } else if (proxy->state == PROXY_STARTING) {
        run(ctx, proxy);
        spawn_finished(ctx, proxy, NULL);
    }
}

void proxy_end(struct histrio_context *ctx, struct proxy *proxy, const char *reason, bool is_free)
{
    struct worker *worker = ctx->worker;
    uint64_t supervisor = proxy->spawner ? proxy->spawner->supervisor : 0;
    static const char start[] = "start failed: "; /* what a SPAWN's ERROR says by itself */
    spawn_finished(ctx, proxy, text_starts_with(reason, start) ? reason + strlen(start) : reason);
    hosted_end(ctx, reason, is_free);
    struct histrio_context above;
    /* Who wanted it was told that it does not run: it is not tried again. */
    if (supervisor != 0 && hosted_enter(worker, supervisor, &above))
        hosted_end(&above, "shutdown", false);
}

void proxy_failed(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    struct delivery *delivery = delivery_find(proxy->process, frame->number);
    bool is_start = delivery && delivery->proxy == proxy && delivery->kind == FRAME_START;
    char reason[REASON_BYTES];
    size_t size = frame_payload_bytes(frame);
    /* In Python a traceback is behind it. */
    const uint8_t *line = proxy->process->is_c ? NULL : memchr(payload, '\n', size);
    size_t reason_size = line ? (size_t)(line - payload) : size;
    (void)snprintf(reason, sizeof(reason), "%s%.*s", is_start ? "start failed: " : "", (int)reason_size,
        (const char *)payload); /* cut */
    if (line)
        death_remember_stack(proxy->host, proxy->id, (const char *)line + 1, size - reason_size - 1);
    if (!is_start && frame->code == FRAME_FAILED_NORMAL)
        (void)snprintf(reason, sizeof(reason), "normal");
    else if (reason[0] == 0)
        (void)snprintf(reason, sizeof(reason), "error");
    if (delivery && delivery->proxy == proxy) {
        struct message *message = delivery->message;
        delivery_free(proxy->process, delivery);
        if (message)
            hosted_reply_error(ctx, message, HISTRIO_CRASHED, reason);
    }
    leave(ctx, proxy, reason);
    proxy_end(ctx, proxy, reason, false);
}

void proxy_exit(void *host, struct histrio_context *ctx, void *state, const char *reason)
{
    struct proxy *proxy = state;
    (void)host;
    if (proxy->state == PROXY_STOPPING || proxy->state == PROXY_OVER)
        return;
    if (proxy->state == PROXY_WAITING || proxy->process->state != PROCESS_RUNNING ||
        proxy->process->is_script) {
        hosted_end_later(ctx, reason);
        return;
    }
    proxy->state = PROXY_STOPPING;
    proxy->stop_reason = xstrdup(reason);
    pause_proxy(ctx, proxy);
    const struct delivery *delivery = delivery_new(proxy, FRAME_STOP, NULL, 0);
    struct frame frame = {
        .kind = FRAME_STOP, .actor = proxy->slot, .number = delivery ? delivery->number : 0};
    process_append_text(proxy->process, &frame, reason);
}

/* Its code runs now, and will not see that it should not: on the stack of the thread that dispatches, or, as
 * far as can be told, on that of an event loop that has not come round for a while. */
static bool is_on_stack(const struct proxy *proxy, const struct page_view *page)
{
    if (page->executing == (PAGE_ACTOR | proxy->slot))
        return true;
    const struct delivery *delivery = delivery_find(proxy->process, page->executing);
    if (delivery && delivery->proxy == proxy)
        return true;
    int64_t now_ns = clock_now_ns(clock_system());
    if (page->loop_busy_since_ns == 0 ||
        now_ns - (int64_t)page->loop_busy_since_ns < LOOP_STUCK_MS * NS_PER_MS)
        return false;
    for (size_t i = 1; i < PAGE_ENTRIES; i++) {
        delivery = delivery_find(proxy->process, page->entries[i]);
        if (delivery && delivery->proxy == proxy)
            return true;
    }
    return false;
}

/* It ends without its process having said so: what it runs there must not go on, and what it was given may
 * have been begun. */
static void abandon(struct histrio_context *ctx, struct proxy *proxy, const char *reason)
{
    struct process *process = proxy->process;
    struct page_view page = {0};
    if (process->page.words)
        page_look(&process->page, &page);
    bool is_executing = is_on_stack(proxy, &page);
    deliveries_lose(ctx, proxy, reason);
    if (is_executing) {
        char why[REASON_PLACE_BYTES];
        (void)snprintf(why, sizeof(why), "killed with %s", histrio_path(ctx)); /* cut */
        process->others_are_free = true;
        process_kill(process, why);
    } else if (proxy->slot != 0) {
        struct frame frame = {.kind = FRAME_DROP, .actor = proxy->slot};
        process_append(process, &frame, NULL, 0);
    }
}

static void proxy_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    struct proxy *proxy = state;
    struct process *process = proxy->process;
    spawn_finished(ctx, proxy, reason);
    if (process) {
        requests_cancel_all(ctx, proxy);
        abandon(ctx, proxy, reason);
        proxy_detach(proxy); /* its slot is never given to another: frames of it may be on their way */
        processes_left(process);
    }
    proxy_free_state(proxy);
}

const struct histrio_behavior host_proxy = {.name = "hosted",
    .state_size = sizeof(struct proxy),
    .start = proxy_start,
    .receive = proxy_receive,
    .stop = proxy_stop};
