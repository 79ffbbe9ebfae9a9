/* System frames: signals, cancels and heartbeats. */
#include "base/err.h"
#include "base/limits.h"
#include "transport/convert.h"
#include "transport/convert_hello.h"
#include "transport/outgoing.h"
#include "wire/arena.h"
#include "wire/wire.h"

uint8_t *system_encode_hello(const struct link_hello *hello, size_t *ret_size)
{
    Histrio__V1__SystemFrame frame = HISTRIO__V1__SYSTEM_FRAME__INIT;
    Histrio__V1__Hello body;
    convert_hello_out(hello, &body);
    frame.body_case = HISTRIO__V1__SYSTEM_FRAME__BODY_HELLO;
    frame.hello = &body;
    return convert_pack(&frame, ret_size);
}

static void set_reference(Histrio__V1__Reference *out, const char *name, struct histrio_ref ref)
{
    histrio__v1__reference__init(out);
    if (name)
        out->name = (char *)name;    /* packing only reads it */
    out->id = ref.node ? ref.id : 0; /* numbers of names mean nothing elsewhere */
    out->node_uid = ref.node;
}

static void set_unit(
    Histrio__V1__UnitEpoch *out, Histrio__V1__UnitEpoch **ret_place, const char *unit, uint64_t epoch)
{
    if (!unit)
        return;
    histrio__v1__unit_epoch__init(out);
    out->unit = (char *)unit; /* packing only reads it */
    out->epoch = epoch;
    *ret_place = out;
}

uint8_t *system_encode_signal(const struct pending_signal *pending, uint64_t acknowledge, size_t *ret_size)
{
    const struct actor_signal *signal = &pending->signal;
    Histrio__V1__SystemFrame frame = HISTRIO__V1__SYSTEM_FRAME__INIT;
    Histrio__V1__Signal body = HISTRIO__V1__SIGNAL__INIT;
    Histrio__V1__Reference from, to;
    Histrio__V1__UnitEpoch from_unit, to_unit;
    set_reference(&from, signal->from_name, signal->from);
    set_reference(&to, signal->to_name, signal->to);
    to.incarnation = signal->to_incarnation;
    from.incarnation = signal->from_incarnation;
    set_unit(&from_unit, &body.from_unit, pending->from_unit, pending->from_epoch);
    set_unit(&to_unit, &body.to_unit, pending->to_unit, pending->to_epoch);
    if (body.from_unit)
        from_unit.own = true;
    body.kind = (Histrio__V1__SignalKind)signal->kind;
    body.from = &from;
    body.to = &to;
    body.monitor = signal->monitor;
    body.reason = (char *)signal->reason; /* packing only reads it */
    body.by_link = signal->by_link;
    body.after = pending->after;
    frame.sequence = pending->sequence;
    frame.acknowledge = acknowledge;
    frame.body_case = HISTRIO__V1__SYSTEM_FRAME__BODY_SIGNAL;
    frame.signal = &body;
    return convert_pack(&frame, ret_size);
}

uint8_t *system_encode_cancel(const struct pending_signal *pending, uint64_t acknowledge, size_t *ret_size)
{
    const struct actor_signal *signal = &pending->signal;
    Histrio__V1__SystemFrame frame = HISTRIO__V1__SYSTEM_FRAME__INIT;
    Histrio__V1__Cancel body = HISTRIO__V1__CANCEL__INIT;
    Histrio__V1__Reference to;
    set_reference(&to, signal->to_name, signal->to);
    body.ask = signal->ask;
    body.asker = signal->from.id;
    body.to = &to;
    body.after = pending->after;
    frame.acknowledge = acknowledge;
    frame.body_case = HISTRIO__V1__SYSTEM_FRAME__BODY_CANCEL;
    frame.cancel = &body;
    return convert_pack(&frame, ret_size);
}

uint8_t *system_encode_heartbeat(uint64_t nonce, uint64_t echo, uint64_t acknowledge, size_t *ret_size)
{
    Histrio__V1__SystemFrame frame = HISTRIO__V1__SYSTEM_FRAME__INIT;
    Histrio__V1__Heartbeat body = HISTRIO__V1__HEARTBEAT__INIT;
    body.nonce = nonce;
    body.echo = echo;
    frame.acknowledge = acknowledge;
    frame.body_case = HISTRIO__V1__SYSTEM_FRAME__BODY_HEARTBEAT;
    frame.heartbeat = &body;
    return convert_pack(&frame, ret_size);
}

static int check_reference(const Histrio__V1__Reference *reference, struct err *err)
{
    if (!reference)
        return err_set(err, ERR_INVALID, "a signal without its two ends");
    if (strlen(reference->name) > LIMIT_ADDRESS_BYTES)
        return err_set(err, ERR_LIMIT, "too long a name");
    return 0;
}

static const char *name_of(const Histrio__V1__Reference *reference)
{
    return *reference->name ? reference->name : NULL;
}

static int take_signal(const Histrio__V1__SystemFrame *in, struct system_frame *frame, struct err *err)
{
    const Histrio__V1__Signal *signal = in->signal;
    if (in->sequence == 0)
        return err_set(err, ERR_INVALID, "a signal without a sequence");
    if ((unsigned)signal->kind > SIGNAL_RESTARTED)
        return err_set(err, ERR_INVALID, "a signal of kind %u", (unsigned)signal->kind);
    if (check_reference(signal->from, err) < 0 || check_reference(signal->to, err) < 0)
        return -1;
    /* Its sender may be nobody: an actor that was not found. */
    if (signal->to->id == 0 && !*signal->to->name)
        return err_set(err, ERR_INVALID, "a signal to nobody");
    if (strlen(signal->reason) > LIMIT_CAUSE_BYTES)
        return err_set(err, ERR_LIMIT, "too long a reason");
    frame->kind = SYSTEM_SIGNAL;
    frame->signal = (struct actor_signal){
        .kind = (enum actor_signal_kind)signal->kind,
        .from_name = name_of(signal->from),
        .to_name = name_of(signal->to),
        .from = {signal->from->node_uid, signal->from->id},
        .to = {signal->to->node_uid, signal->to->id},
        .to_incarnation = signal->to->incarnation,
        .from_incarnation = signal->from->incarnation,
        .monitor = signal->monitor,
        .reason = signal->reason,
        .by_link = signal->by_link,
    };
    frame->from_unit = signal->from_unit ? signal->from_unit->unit : "";
    frame->from_epoch = signal->from_unit ? signal->from_unit->epoch : 0;
    frame->after = signal->after;
    return 0;
}

static int take_cancel(const Histrio__V1__Cancel *cancel, struct system_frame *frame, struct err *err)
{
    if (cancel->ask == 0 || cancel->asker == 0)
        return err_set(err, ERR_INVALID, "a cancel of no ask");
    if (check_reference(cancel->to, err) < 0)
        return -1;
    if (cancel->to->id == 0 && !*cancel->to->name)
        return err_set(err, ERR_INVALID, "a cancel to nobody");
    frame->kind = SYSTEM_CANCEL;
    frame->signal = (struct actor_signal){
        .kind = SIGNAL_CANCEL,
        .from = {0, cancel->asker},
        .to_name = name_of(cancel->to),
        .to = {cancel->to->node_uid, cancel->to->id},
        .ask = cancel->ask,
        .reason = "",
    };
    frame->from_unit = "";
    frame->after = cancel->after;
    return 0;
}

int system_decode(const uint8_t *data, size_t size, struct wire_arena *arena, struct system_frame *ret_frame,
    struct err *err)
{
    ProtobufCMessage *message;
    if (wire_unpack(
            &histrio__v1__system_frame__descriptor, data, size, LIMIT_FRAME_BYTES, arena, &message, err) < 0)
        return -1;
    const Histrio__V1__SystemFrame *frame = (const Histrio__V1__SystemFrame *)message;
    *ret_frame = (struct system_frame){.sequence = frame->sequence, .acknowledge = frame->acknowledge};
    if (frame->body_case == HISTRIO__V1__SYSTEM_FRAME__BODY_SIGNAL)
        return take_signal(frame, ret_frame, err);
    if (frame->body_case == HISTRIO__V1__SYSTEM_FRAME__BODY_CANCEL)
        return take_cancel(frame->cancel, ret_frame, err);
    if (frame->body_case == HISTRIO__V1__SYSTEM_FRAME__BODY_HEARTBEAT) {
        ret_frame->kind = SYSTEM_HEARTBEAT;
        ret_frame->nonce = frame->heartbeat->nonce;
        ret_frame->echo = frame->heartbeat->echo;
    } else if (frame->body_case == HISTRIO__V1__SYSTEM_FRAME__BODY_HELLO) {
        ret_frame->kind = SYSTEM_HELLO;
        convert_hello_in(frame->hello, &ret_frame->hello);
    }
    return 0; /* an acknowledgement alone, or something of a newer peer */
}
