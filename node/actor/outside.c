/* system.h: messages, signals and asks that come from outside of the workers. */
#include "actor/ask.h"
#include "actor/cancel.h"
#include "actor/clerk.h"
#include "actor/handle.h"
#include "actor/link.h"
#include "actor/outbox.h"
#include "actor/pressure.h"
#include "actor/send.h"
#include "actor/system_private.h"
#include "base/clock.h"
#include "base/limits.h"

#include <stdlib.h>

static uint32_t outside_type(const char *type)
{
    size_t size = strlen(type);
    return size <= LIMIT_MESSAGE_TYPE_BYTES ? intern_outside(type, size) : 0;
}

/* ---- from other nodes ---- */

/* The target as this node knows it, and its worker; false when nobody here has it. */
static bool resolve_target(struct actor_system *system, const struct actor_envelope *envelope,
    uint64_t *ret_target, unsigned *ret_worker, bool *ret_overloaded)
{
    uint64_t name = 0;
    *ret_overloaded = false;
    if (envelope->target_name)
        name = intern_find(envelope->target_name, strlen(envelope->target_name));
    else if (envelope->target.node == 0)
        name = envelope->target.id;
    if (envelope->target_name || envelope->target.node == 0) {
        const struct name_entry *entry = name ? names_find(&system->names, (uint32_t)name) : NULL;
        uint64_t id = entry ? atomic_load_explicit(&entry->present, memory_order_acquire) : 0;
        if (id == 0)
            return false;
        *ret_target = TARGET_NAME | (uint32_t)name;
        *ret_worker = id_worker(id);
        *ret_overloaded = atomic_load_explicit(&entry->overloaded, memory_order_relaxed);
        return true;
    }
    *ret_target = envelope->target.id;
    /* A reply without its asker: the ask's number knows the worker, whose clerk asked. */
    if (*ret_target == 0 && envelope->kind >= ENVELOPE_REPLY)
        *ret_target = UINT64_C(1) << 32 | id_worker(envelope->ask) << ID_SLOT_BITS;
    *ret_worker = id_worker(*ret_target);
    return *ret_target != 0 && envelope->target.node == system->config.node_uid &&
           *ret_worker < system->worker_count;
}

static void answer_from_outside(
    struct actor_system *system, const struct actor_envelope *envelope, enum histrio_error error)
{
    static const char text[] = "no such actor";
    const struct actor_outbound *outbound = &system->config.outbound;
    if (envelope->kind != ENVELOPE_ASK || !outbound->send)
        return;
    struct actor_envelope answer = {
        .kind = ENVELOPE_ERROR_REPLY,
        .error = error,
        .target = envelope->sender,
        .sender = {system->config.node_uid, 0},
        .type = "",
        .ask = envelope->ask,
        .value = (const uint8_t *)text,
        .size = sizeof(text) - 1,
    };
    bool pressure;
    (void)outbound->send(outbound->ctx, &answer, &pressure); /* the asker's deadline ends it otherwise */
}

static struct message *envelope_message(
    const struct actor_system *system, const struct actor_envelope *envelope, uint64_t target)
{
    static const uint8_t kinds[] = {[ENVELOPE_TELL] = HISTRIO_TELL,
        [ENVELOPE_ASK] = HISTRIO_ASK,
        [ENVELOPE_REPLY] = HISTRIO_REPLY,
        [ENVELOPE_ERROR_REPLY] = HISTRIO_ERROR};
    size_t prefix = sizeof(uint64_t);
    struct message *message =
        message_new_outside(prefix + envelope->size + MESSAGE_DEADLINE_BYTES + TRACE_CONTEXT_BYTES);
    message->size = (uint32_t)(prefix + envelope->size);
    message->target = target;
    message->sender = envelope->sender.id;
    message->kind = kinds[envelope->kind];
    if (message->kind == HISTRIO_ERROR)
        message->error = envelope->error;
    else
        message->type = envelope->type ? outside_type(envelope->type) : envelope->type_id;
    message->reference = envelope->ask;
    message->flags = MESSAGE_REMOTE | (envelope->kind <= ENVELOPE_ASK ? MESSAGE_COUNTS : 0);
    memcpy(message->data, &envelope->sender.node, prefix);
    if (envelope->size > 0)
        memcpy(message->data + prefix, envelope->value, envelope->size);
    message->data[prefix + envelope->size] = 0;
    if (envelope->kind == ENVELOPE_ASK && envelope->remaining_ms)
        message_set_deadline(
            message, clock_now_ns(system->clock) + (int64_t)envelope->remaining_ms * NS_PER_MS);
    if (envelope->kind <= ENVELOPE_ASK && envelope->trace)
        message_set_trace(message, envelope->trace);
    return message;
}

enum histrio_error actor_system_deliver(
    struct actor_system *system, const struct actor_envelope *envelope, bool *ret_pressure)
{
    uint64_t target;
    unsigned worker;
    bool overloaded = false;
    if (ret_pressure)
        *ret_pressure = false;
    if (envelope->size > LIMIT_VALUE_BYTES || (unsigned)envelope->kind > ENVELOPE_ERROR_REPLY)
        return HISTRIO_BAD_ARGUMENT;
    if (!resolve_target(system, envelope, &target, &worker, &overloaded)) {
        answer_from_outside(system, envelope, HISTRIO_NOT_FOUND);
        return HISTRIO_NOT_FOUND;
    }
    inbox_post(&system->workers[worker], envelope_message(system, envelope, target));
    if (ret_pressure)
        *ret_pressure = overloaded;
    return HISTRIO_OK;
}

bool actor_system_is_overloaded(struct actor_system *system, uint64_t name)
{
    const struct name_entry *entry = name ? names_find(&system->names, (uint32_t)name) : NULL;
    return entry && atomic_load_explicit(&entry->present, memory_order_acquire) != 0 &&
           atomic_load_explicit(&entry->overloaded, memory_order_relaxed);
}

void actor_system_signal(struct actor_system *system, const struct actor_signal *signal)
{
    uint64_t target = signal->to.node == system->config.node_uid ? signal->to.id : 0;
    if (target == 0 && signal->to_name) {
        /* Whoever links to a name that nobody has is answered by that name. */
        uint32_t name =
            (signal->kind == SIGNAL_LINK ? intern : intern_find)(signal->to_name, strlen(signal->to_name));
        target = name ? TARGET_NAME | name : 0;
    }
    uint64_t id = (target & TARGET_NAME) != 0 ? names_present(&system->names, (uint32_t)target) : target;
    unsigned worker = id_worker(id) < system->worker_count ? id_worker(id) : 0;
    if (signal->kind == SIGNAL_CANCEL) {
        struct message *message = cancel_message_outside(&(struct cancel){signal->from, signal->ask});
        message->target = id;
        inbox_post(&system->workers[worker], message);
        return;
    }
    struct message *message = link_remote_message(signal, target);
    message->kind = MESSAGE_JOB;
    message->job = link_remote_arrived;
    inbox_post(&system->workers[worker], message);
}

void actor_system_node_dead(struct actor_system *system, uint64_t node_uid)
{
    for (unsigned i = 0; i < system->worker_count; i++)
        system_post_job(system, i, node_uid, link_node_dead);
}

void actor_system_pressure_lifted(struct actor_system *system)
{
    for (unsigned i = 0; i < system->worker_count; i++)
        system_post_job(system, i, 0, pressure_lift_routes);
}

/* ---- from clients ---- */

struct outside_ask {
    ask_done done; /* NULL: a tell */
    void *ctx;
    struct histrio_ref to;
    uint32_t type;
    uint32_t timeout_ms;
    uint32_t size;
    struct message *word; /* of an ask that its caller may give up, whose it is; else NULL */
    bool is_traced;
    struct trace_context trace;
    uint8_t value[];
};

/* What a word carries, from when its ask was made on, which is before it can come: both go to one worker. */
static void word_set(struct message *word, uint64_t ask)
{
    memcpy(word->data, &ask, sizeof(ask));
}

static void word_job(struct worker *worker, struct message *word)
{
    static const char text[] = "nobody waits for it any more";
    uint64_t number;
    memcpy(&number, word->data, sizeof(number));
    const struct ask *ask = handle_find(worker, &worker->asks, number);
    if (!ask)
        return; /* its outcome has come */
    ask->done(ask->data, HISTRIO_UNAVAILABLE, (const uint8_t *)text, sizeof(text) - 1);
    (void)ask_cancel(worker, clerk_of(worker), number); /* it is there */
}

static struct message *word_new(unsigned worker)
{
    struct message *word = message_new_outside(sizeof(uint64_t));
    word->kind = MESSAGE_JOB;
    word->job = word_job;
    word->target = worker;
    return word;
}

void actor_system_cancel_take(struct actor_system *system, struct message *word)
{
    inbox_post(&system->workers[word->target], word);
}

void actor_system_word_free(struct message *word)
{
    if (word)
        message_free_heap(word);
}

static void outside_job(struct worker *worker, struct message *message)
{
    struct outside_ask *outside;
    memcpy(&outside, message->data, sizeof(outside));
    struct actor *clerk = clerk_of(worker);
    struct sending sending = {.to = outside->to,
        .kind = outside->done ? HISTRIO_ASK : HISTRIO_TELL,
        .type = outside->type,
        .remaining_ms = outside->timeout_ms,
        .value = outside->value,
        .size = outside->size,
        .trace = outside->is_traced ? &outside->trace : NULL};
    if (outside->done) {
        struct ask *ask = ask_new(worker, clerk, outside->to, outside->timeout_ms);
        ask->done = outside->done;
        ask->data = outside->ctx;
        sending.reference = ask->number;
        if (outside->word)
            word_set(outside->word, ask->number);
    }
    (void)send_to(worker, clerk, &sending); /* an ask learns of a failure by its outcome */
    free(outside);
}

/* The worker of the target, so that a client's messages keep their order; for others any, always the same. */
static unsigned outside_worker(const struct actor_system *system, uint64_t name)
{
    uint64_t id = names_present(&system->names, (uint32_t)name);
    return id ? id_worker(id) : (unsigned)(name % system->worker_count);
}

/* What a client says: fields of struct outside_ask with texts in place of numbers, all borrowed. */
struct outside_request {
    const struct trace_context *trace; /* NULL: none */
    const char *target, *type;
    const uint8_t *value;
    size_t size;
    uint32_t timeout_ms;
    ask_done done;
    void *ctx;
    struct message **ret_word; /* NULL: it will not be given up */
};

static struct outside_ask *outside_of(const struct outside_request *request, uint64_t name, uint32_t type)
{
    struct outside_ask *outside = xmalloc(sizeof(*outside) + request->size);
    *outside = (struct outside_ask){.done = request->done,
        .ctx = request->ctx,
        .to = {0, name},
        .type = type,
        .timeout_ms = request->timeout_ms,
        .size = (uint32_t)request->size,
        .is_traced = request->trace != NULL};
    if (request->trace)
        outside->trace = *request->trace;
    if (request->size > 0)
        memcpy(outside->value, request->value, request->size);
    return outside;
}

static enum histrio_error post_outside(struct actor_system *system, const struct outside_request *request)
{
    if (request->size > LIMIT_VALUE_BYTES)
        return HISTRIO_BAD_ARGUMENT;
    uint64_t name = actor_system_name(system, request->target);
    uint32_t type = outside_type(request->type);
    if (name == 0 || type == 0)
        return HISTRIO_BAD_ARGUMENT;
    if (atomic_load_explicit(&system->suspended, memory_order_relaxed) ||
        atomic_load_explicit(&system->stopping, memory_order_relaxed))
        return HISTRIO_UNAVAILABLE;
    const struct name_entry *entry = names_find(&system->names, (uint32_t)name);
    if (!request->done && entry && atomic_load_explicit(&entry->overloaded, memory_order_relaxed))
        return HISTRIO_MAILBOX_FULL;
    struct outside_ask *outside = outside_of(request, name, type);
    unsigned worker = outside_worker(system, name);
    if (request->ret_word)
        *request->ret_word = outside->word = word_new(worker);
    struct message *message = message_new_outside(sizeof(outside));
    memcpy(message->data, &outside, sizeof(outside));
    message->kind = MESSAGE_JOB;
    message->job = outside_job;
    inbox_post(&system->workers[worker], message);
    return HISTRIO_OK;
}

static void ask_outside(struct actor_system *system, const struct outside_request *request)
{
    enum histrio_error error = post_outside(system, request);
    if (error == HISTRIO_OK)
        return;
    const char *text =
        error == HISTRIO_UNAVAILABLE ? "the node is suspended or stops" : "bad target, type or value";
    request->done(request->ctx, error, (const uint8_t *)text, strlen(text));
}

void actor_system_ask_traced(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size, uint32_t timeout_ms,
    ask_done done, void *ctx)
{
    struct outside_request request = {trace, target, type, value, size, timeout_ms, done, ctx, NULL};
    ask_outside(system, &request);
}

struct message *actor_system_ask_cancelable(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size, uint32_t timeout_ms,
    ask_done done, void *ctx)
{
    struct message *word = NULL;
    struct outside_request request = {trace, target, type, value, size, timeout_ms, done, ctx, &word};
    ask_outside(system, &request);
    return word;
}

enum histrio_error actor_system_tell_traced(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size)
{
    struct outside_request request = {
        .trace = trace, .target = target, .type = type, .value = value, .size = size};
    return post_outside(system, &request);
}

void actor_system_ask(struct actor_system *system, const char *target, const char *type, const uint8_t *value,
    size_t size, uint32_t timeout_ms, ask_done done, void *ctx)
{
    actor_system_ask_traced(system, NULL, target, type, value, size, timeout_ms, done, ctx);
}

enum histrio_error actor_system_tell(
    struct actor_system *system, const char *target, const char *type, const uint8_t *value, size_t size)
{
    return actor_system_tell_traced(system, NULL, target, type, value, size);
}
