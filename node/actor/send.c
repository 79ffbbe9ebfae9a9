#include "actor/send.h"

#include "actor/ask.h"
#include "actor/deadletter.h"
#include "actor/outbox.h"
#include "actor/pressure.h"
#include "actor/system_private.h"
#include "base/limits.h"
#include "base/str.h"

#include <assert.h>

static const char *error_text(enum histrio_error error)
{
    switch (error) {
    case HISTRIO_NOT_FOUND: return "no such actor";
    case HISTRIO_MAILBOX_FULL: return "the mailbox is full";
    case HISTRIO_CRASHED: return "the actor ended before it answered";
    case HISTRIO_UNAVAILABLE: return "the actor cannot be reached now";
    case HISTRIO_TIMEOUT: return "no answer in time";
    case HISTRIO_UNCERTAIN: return "the connection broke before the answer came";
    case HISTRIO_FENCED: return "the sender's unit was placed elsewhere";
    case HISTRIO_BAD_ARGUMENT: return "bad argument";
    case HISTRIO_DENIED: return "denied";
    case HISTRIO_OK:
    case HISTRIO_APPLICATION: break;
    }
    return "error";
}

/* As message_sender, and clerks are actors. */
static struct histrio_caller message_caller(const struct worker *worker, const struct message *message)
{
    struct histrio_ref asker = message_sender(worker, message);
    if (histrio_ref_is_nobody(asker))
        asker = (struct histrio_ref){worker->node_uid, message->sender};
    return (struct histrio_caller){asker, message->reference};
}

void send_undeliverable(struct worker *worker, struct message *message, enum histrio_error why)
{
    switch (message->kind) {
    case HISTRIO_ASK:
        if (!SIM_MUTANT(MUTANT_LOST_REPLY))
            send_reply_error(worker, NULL, message_caller(worker, message), why, error_text(why));
        break;
    case HISTRIO_TELL: deadletter(worker, message, why); break;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: ask_drop(worker, message->reference); break;
    default: break; /* notices die with their actor */
    }
    message_free(worker, message);
}

enum histrio_error send_deliver_full(
    struct worker *worker, struct actor *sender, struct actor *actor, struct message *message)
{
    enum histrio_error error = pressure_admit(worker, sender, actor, message);
    if (error == HISTRIO_OK)
        return send_push(worker, actor, message);
    send_undeliverable(worker, message, error);
    return error;
}

void send_notice(struct worker *worker, struct actor *actor, uint8_t kind, uint64_t reference,
    struct histrio_ref sender, const char *text)
{
    send_notice_value(worker, actor, kind, reference, sender, text, text ? strlen(text) : 0);
}

void send_notice_value(struct worker *worker, struct actor *actor, uint8_t kind, uint64_t reference,
    struct histrio_ref sender, const void *value, size_t size)
{
    bool is_remote = sender.id != 0 && sender.node != worker->node_uid; /* or a name, of node 0 */
    size_t prefix = is_remote ? sizeof(uint64_t) : 0;
    struct message *message = message_new(worker, prefix + size + 1);
    message->size = (uint32_t)(prefix + size);
    message->kind = kind;
    message->target = actor_id(actor);
    message->reference = reference;
    message->sender = sender.id;
    if (is_remote) {
        message->flags = MESSAGE_REMOTE;
        memcpy(message->data, &sender.node, sizeof(sender.node));
    }
    if (size > 0)
        memcpy(message->data + prefix, value, size);
    message->data[prefix + size] = 0;
    mailbox_push(actor, message);
    if (kind == HISTRIO_EXIT)
        pressure_exit_came(actor);
    worker_schedule(worker, actor);
}

/* The worker where the target lives; false when nobody has the name. */
static bool target_home(const struct worker *worker, uint64_t target, uint64_t *ret_id)
{
    if ((target & TARGET_NAME) == 0) {
        *ret_id = target;
        return true;
    }
    *ret_id = names_present(&worker->system->names, (uint32_t)target);
    return *ret_id != 0;
}

enum histrio_error send_message(struct worker *worker, struct actor *sender, struct message *message)
{
    uint64_t id;
    if (!target_home(worker, message->target, &id)) {
        send_undeliverable(worker, message, HISTRIO_NOT_FOUND);
        return HISTRIO_NOT_FOUND;
    }
    unsigned home = id_worker(id);
    if (__builtin_expect(home == worker->number, 1)) {
        struct actor *actor = registry_find(worker, id);
        /* A held slot takes messages by name only: the incarnation of the id is over or yet to come. */
        if (__builtin_expect(!actor, 0)) {
            send_undeliverable(worker, message, HISTRIO_NOT_FOUND);
            return HISTRIO_NOT_FOUND;
        }
        if (message->kind == HISTRIO_TELL && sender && message->class == 0)
            message->flags |= MESSAGE_PLAIN;
        return send_deliver(worker, sender, actor, message);
    }
    if (home >= worker->worker_count) {
        send_undeliverable(worker, message, HISTRIO_NOT_FOUND);
        return HISTRIO_NOT_FOUND;
    }
    outbox_append(worker, home, message);
    return HISTRIO_OK;
}

void send_arrived(struct worker *worker, struct message *message)
{
    if (message->kind == MESSAGE_JOB) {
        message->job(worker, message);
        message_free(worker, message);
        return;
    }
    uint64_t id;
    struct actor *actor = NULL;
    if (target_home(worker, message->target, &id))
        actor = registry_find(worker, id);
    /* A name may meanwhile be bound on another worker: that is a later placement of its unit, and not whom
     * the sender meant. Handing on from here could also overtake. */
    if (!actor)
        send_undeliverable(worker, message, HISTRIO_NOT_FOUND);
    else
        (void)send_deliver(worker, NULL, actor, message); /* the message is dealt with either way */
}

void send_job(struct worker *worker, unsigned to, struct message *message, message_job job)
{
    message->kind = MESSAGE_JOB;
    message->job = job;
    if (to == worker->number)
        inbox_post(worker, message);
    else
        outbox_append(worker, to, message);
}

/* The deadline of an ask is in its asker's worker's table: to another worker it goes along. */
static bool takes_deadline(const struct worker *worker, const struct sending *sending, uint64_t target)
{
    uint64_t id;
    return sending->kind == HISTRIO_ASK && !sending->attachment && target_home(worker, target, &id) &&
           id_worker(id) != worker->number;
}

static struct message *sending_message(
    struct worker *worker, const struct actor *sender, const struct sending *sending, uint64_t target)
{
    bool is_text = sending->kind == HISTRIO_ERROR;
    bool has_deadline = takes_deadline(worker, sending, target);
    size_t behind = has_deadline ? MESSAGE_DEADLINE_BYTES : is_text;
    if (__builtin_expect(sending->trace != NULL, 0))
        behind += TRACE_CONTEXT_BYTES;
    struct message *message = sending->attachment ? message_new_attached(sending->size, sending->attachment)
                                                  : message_new(worker, sending->size + behind);
    message->size = (uint32_t)sending->size;
    message->target = target;
    message->sender = sender ? actor_id(sender) : 0;
    message->kind = sending->kind;
    message->type = sending->kind == HISTRIO_ERROR ? sending->error : sending->type;
    message->reference = sending->reference;
    message->flags |= sending->kind <= HISTRIO_ASK ? MESSAGE_COUNTS : 0;
    if (sending->size > 0)
        memcpy(message->data, sending->value, sending->size);
    if (is_text)
        message->data[sending->size] = 0;
    if (has_deadline)
        message_set_deadline(message, worker->now_ns + (int64_t)sending->remaining_ms * NS_PER_MS);
    if (__builtin_expect(sending->trace != NULL, 0))
        message_set_trace(message, sending->trace);
    return message;
}

/* Nobody here has it: another node may. */
static enum histrio_error send_outside(
    struct worker *worker, struct actor *sender, const struct sending *sending)
{
    static const enum actor_envelope_kind kinds[] = {
        [HISTRIO_TELL] = ENVELOPE_TELL,
        [HISTRIO_ASK] = ENVELOPE_ASK,
        [HISTRIO_REPLY] = ENVELOPE_REPLY,
        [HISTRIO_ERROR] = ENVELOPE_ERROR_REPLY,
    };
    const struct actor_outbound *outbound = &worker->system->config.outbound;
    enum histrio_error error = HISTRIO_NOT_FOUND;
    bool pressure = false;
    if (outbound->send) {
        struct actor_envelope envelope = {
            .kind = kinds[sending->kind],
            .error = sending->error,
            .target_name = sending->to.node == 0 ? intern_text((uint32_t)sending->to.id) : NULL,
            .target = sending->to,
            .type = intern_text(sending->type),
            .type_id = sending->type,
            .ask = sending->reference,
            .remaining_ms = sending->remaining_ms,
            .value = sending->value,
            .size = sending->size,
            .trace = sending->trace,
        };
        if (sender) {
            envelope.sender = (struct histrio_ref){worker->node_uid, actor_id(sender)};
            envelope.sender_name = sender->name ? intern_text(sender->name) : NULL;
            envelope.sender_unit = sender->unit ? unit_name(sender->unit) : NULL;
        }
        error = outbound->send(outbound->ctx, &envelope, &pressure);
    }
    if (pressure && sender)
        pressure_mute_for_route(worker, sender);
    if (error != HISTRIO_OK)
        send_undeliverable(worker, sending_message(worker, sender, sending, 0), error);
    else
        COUNT(worker->counters.sent_away, 1);
    return error;
}

/* To whom an attachment says nothing: the same with all bytes in the value. */
static enum histrio_error send_inline(
    struct worker *worker, struct actor *sender, const struct sending *sending)
{
    static const char text[] =
        "more than the 4 MiB that a message holds, and only Python actors of one node share memory";
    struct str value = STR_INIT(LIMIT_VALUE_BYTES);
    struct sending plain = *sending;
    enum histrio_error error = HISTRIO_BAD_ARGUMENT;
    plain.attachment = NULL;
    if (sending->attachment->put_inline(sending->attachment, sending->value, sending->size, &value)) {
        plain.value = value.data;
        plain.size = value.size;
        error = send_to(worker, sender, &plain);
    } else if (sending->kind == HISTRIO_TELL) {
        send_undeliverable(worker, sending_message(worker, sender, &plain, 0), error);
    } else {
        bool is_ask = sending->kind == HISTRIO_ASK;
        struct histrio_ref asker = {worker->node_uid, sender ? actor_id(sender) : 0};
        send_reply_error(worker, is_ask ? NULL : sender,
            (struct histrio_caller){is_ask ? asker : sending->to, sending->reference},
            is_ask ? error : HISTRIO_APPLICATION, text);
    }
    str_done(&value);
    return error;
}

enum histrio_error send_to(struct worker *worker, struct actor *sender, const struct sending *sending)
{
    if (__builtin_expect(sending->attachment != NULL, 0) && !hosted_takes_attachments(worker, sending->to))
        return send_inline(worker, sender, sending);
    if (sending->size > LIMIT_VALUE_BYTES) {
        if (sending->kind == HISTRIO_ASK)
            send_reply_error(worker, NULL,
                (struct histrio_caller){
                    {worker->node_uid, sender ? actor_id(sender) : 0}, sending->reference},
                HISTRIO_BAD_ARGUMENT, "the value is larger than 4 MiB");
        return HISTRIO_BAD_ARGUMENT;
    }
    uint64_t target = sending->to.id;
    if (__builtin_expect(sending->to.node != worker->node_uid, 0)) {
        if (sending->to.node != 0)
            return send_outside(worker, sender, sending);
        if (names_present(&worker->system->names, (uint32_t)target) == 0) {
            if (target != 0)
                return send_outside(worker, sender, sending);
            send_undeliverable(worker, sending_message(worker, sender, sending, 0), HISTRIO_NOT_FOUND);
            return HISTRIO_NOT_FOUND;
        }
        target = TARGET_NAME | (uint32_t)target;
    }
    return send_message(worker, sender, sending_message(worker, sender, sending, target));
}

void send_reply(struct worker *worker, struct actor *sender, struct histrio_caller caller, const void *value,
    size_t size, struct attachment *attachment)
{
    if (caller.ask == 0)
        return;
    struct sending sending = {.to = caller.asker,
        .kind = HISTRIO_REPLY,
        .reference = caller.ask,
        .value = value,
        .size = size,
        .attachment = attachment};
    if (size > LIMIT_VALUE_BYTES) {
        send_reply_error(worker, sender, caller, HISTRIO_APPLICATION, "the answer is larger than 4 MiB");
        return;
    }
    (void)send_to(worker, sender, &sending); /* an asker that is gone wants no answer */
}

void send_reply_error(struct worker *worker, struct actor *sender, struct histrio_caller caller,
    enum histrio_error error, const char *text)
{
    if (caller.ask == 0)
        return;
    struct sending sending = {.to = caller.asker,
        .kind = HISTRIO_ERROR,
        .error = (uint8_t)error,
        .reference = caller.ask,
        .value = text,
        .size = strlen(text)};
    (void)send_to(worker, sender, &sending); /* as above */
}
