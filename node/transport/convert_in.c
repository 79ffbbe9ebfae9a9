/* Messages frames that came in. */
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/convert.h"
#include "transport/convert_hello.h"
#include "wire/arena.h"
#include "wire/wire.h"

enum {
    FRAME_ROWS_MAX = 16 * 1024,
    NAMES_MAX = 1000 * 1000,
    NAME_BYTES_MAX = 64 * 1024 * 1024,
};

static void free_names(struct link_decoder *decoder)
{
    vec_for_each (name, &decoder->names)
        free(*name);
    vec_clear(&decoder->names);
    decoder->name_bytes = 0;
}

void link_decoder_done(struct link_decoder *decoder)
{
    free_names(decoder);
    vec_done(&decoder->names);
    map_done(&decoder->units, free);
    *decoder = (struct link_decoder){0};
}

/* ---- checks that come before any use ---- */

/* The number of rows: all columns that are there have the same length. */
static int count_rows(const Histrio__V1__Batch *batch, size_t *ret_count, struct err *err)
{
    const size_t lengths[] = {batch->n_target, batch->n_target_id, batch->n_sender_unit, batch->n_sender_id,
        batch->n_type, batch->n_kind, batch->n_ask, batch->n_remaining_ms, batch->n_size,
        batch->n_target_incarnation};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (lengths[i] == 0)
            continue;
        if (count != 0 && lengths[i] != count)
            return err_set(err, ERR_INVALID, "columns of %zu and %zu rows", count, lengths[i]);
        count = lengths[i];
    }
    if (count > FRAME_ROWS_MAX)
        return err_set(err, ERR_LIMIT, "%zu rows in one frame", count);
    *ret_count = count;
    return 0;
}

static int check_sizes(const Histrio__V1__Batch *batch, struct err *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < batch->n_size; i++) {
        if (batch->size[i] > LIMIT_VALUE_BYTES + 1)
            return err_set(err, ERR_LIMIT, "a payload of %u bytes", batch->size[i]);
        total += batch->size[i];
    }
    if (total != batch->data.len)
        return err_set(
            err, ERR_INVALID, "payloads of %llu bytes in %zu", (unsigned long long)total, batch->data.len);
    return 0;
}

static int check_traces(const Histrio__V1__Batch *batch, size_t count, struct err *err)
{
    if (batch->traces.len != 0 && batch->traces.len != count * TRACE_CONTEXT_BYTES)
        return err_set(err, ERR_INVALID, "traces of %zu bytes for %zu rows", batch->traces.len, count);
    return 0;
}

/* What a row belongs to; NULL: no trace. */
static const struct trace_context *trace_of(const Histrio__V1__Batch *batch, size_t row)
{
    if (batch->traces.len == 0)
        return NULL;
    const struct trace_context *trace = (const struct trace_context *)batch->traces.data + row;
    return trace_context_is_valid(trace) ? trace : NULL;
}

static int check_sequence(const struct link_decoder *decoder, uint64_t first, size_t count, struct err *err)
{
    if (first == 0 || first <= decoder->last_sequence || first > UINT64_MAX - count)
        return err_set(err, ERR_INVALID, "sequence %llu after %llu", (unsigned long long)first,
            (unsigned long long)decoder->last_sequence);
    return 0;
}

/* ---- tables ---- */

static struct link_unit *unit_named(struct link_decoder *decoder, const char *name, size_t size)
{
    struct link_unit *unit = map_get_bytes(&decoder->units, name, size);
    if (unit || map_count(&decoder->units) >= NAMES_MAX)
        return unit;
    unit = xcalloc(1, sizeof(*unit) + size + 1);
    memcpy(unit->name, name, size);
    (void)map_put(&decoder->units, unit->name, unit); /* it was not there */
    return unit;
}

static int take_name(struct link_decoder *decoder, const Histrio__V1__Name *name, struct err *err)
{
    size_t size = strlen(name->text);
    if (name->id == 1)
        free_names(decoder);
    if (name->id != decoder->names.count + 1)
        return err_set(err, ERR_INVALID, "name %u after %zu", name->id, decoder->names.count);
    if (size == 0 || size > LIMIT_ADDRESS_BYTES)
        return err_set(err, ERR_INVALID, "a name of %zu bytes", size);
    if (decoder->names.count >= NAMES_MAX || decoder->name_bytes + size > NAME_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "too many names");
    struct link_unit *unit = unit_named(decoder, name->text, strcspn(name->text, "/"));
    if (!unit)
        return err_set(err, ERR_LIMIT, "too many units");
    struct link_name *entry = xcalloc(1, sizeof(*entry) + size + 1);
    entry->unit = unit;
    memcpy(entry->text, name->text, size);
    vec_push(&decoder->names, entry);
    decoder->name_bytes += size;
    return 0;
}

static int take_tables(struct link_decoder *decoder, const Histrio__V1__Batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->n_names; i++)
        if (take_name(decoder, batch->names[i], err) < 0)
            return -1;
    for (size_t i = 0; i < batch->n_units; i++) {
        const Histrio__V1__UnitEpoch *said = batch->units[i];
        size_t size = strlen(said->unit);
        if (size == 0 || size > LIMIT_ADDRESS_BYTES)
            return err_set(err, ERR_INVALID, "a unit's name of %zu bytes", size);
        struct link_unit *unit = unit_named(decoder, said->unit, size);
        if (!unit)
            return err_set(err, ERR_LIMIT, "too many units");
        if (said->own)
            unit->own_epoch = said->epoch;
        else
            unit->target_epoch = said->epoch;
    }
    return 0;
}

static int find_name(
    const struct link_decoder *decoder, uint32_t id, struct link_name **ret_name, struct err *err)
{
    *ret_name = NULL;
    if (id > decoder->names.count)
        return err_set(err, ERR_INVALID, "name %u of %zu", id, decoder->names.count);
    if (id > 0)
        *ret_name = decoder->names.items[id - 1];
    return 0;
}

/* ---- rows ---- */

#define CELL(column) (batch->n_##column > 0 ? batch->column[i] : 0)

static int take_row(const struct link_decoder *decoder, const Histrio__V1__Batch *batch, size_t i,
    struct link_row *row, struct err *err)
{
    struct link_name *sender_unit;
    uint32_t kind = CELL(kind);
    if (kind > ROW_ERROR_REPLY)
        return err_set(err, ERR_INVALID, "a message of kind %u", kind);
    if (find_name(decoder, CELL(target), &row->target, err) < 0 ||
        find_name(decoder, CELL(type), &row->type, err) < 0 ||
        find_name(decoder, CELL(sender_unit), &sender_unit, err) < 0)
        return -1;
    row->kind = (enum row_kind)kind;
    row->sender_unit = sender_unit ? sender_unit->unit : NULL;
    row->target_id = CELL(target_id);
    row->sender_id = CELL(sender_id);
    row->ask = CELL(ask);
    row->remaining_ms = CELL(remaining_ms);
    row->incarnation = CELL(target_incarnation);
    row->size = CELL(size);
    if (!row->target == (row->target_id == 0))
        return err_set(err, ERR_INVALID, "a message with no target, or with two");
    if ((row->ask == 0) != (kind == ROW_TELL))
        return err_set(err, ERR_INVALID, "an ask or a reply without a number, or a tell with one");
    if (kind <= ROW_ASK && (!row->type || strlen(row->type->text) > LIMIT_MESSAGE_TYPE_BYTES))
        return err_set(err, ERR_INVALID, "a message without a type, or with too long a one");
    if (kind >= ROW_REPLY && row->target)
        return err_set(err, ERR_INVALID, "a reply to a name");
    if (kind == ROW_ASK && row->sender_id == 0)
        return err_set(err, ERR_INVALID, "an ask of nobody");
    if (kind == ROW_ERROR_REPLY && row->size == 0)
        return err_set(err, ERR_INVALID, "an error without a number");
    return 0;
}

static int take_batch(struct link_decoder *decoder, const Histrio__V1__Batch *batch, struct wire_arena *arena,
    struct link_frame *frame, struct err *err)
{
    size_t count = 0;
    if (count_rows(batch, &count, err) < 0 || check_sizes(batch, err) < 0 ||
        check_traces(batch, count, err) < 0 || check_sequence(decoder, batch->sequence, count, err) < 0 ||
        take_tables(decoder, batch, err) < 0)
        return -1;
    struct link_row *rows = wire_arena_alloc(arena, count * sizeof(*rows) + 1);
    if (!rows)
        return err_set(err, ERR_LIMIT, "%zu rows do not fit", count);
    const uint8_t *value = batch->data.data ? batch->data.data : (const uint8_t *)"";
    for (size_t i = 0; i < count; i++) {
        if (take_row(decoder, batch, i, &rows[i], err) < 0)
            return err_wrap(err, "row %zu", i);
        rows[i].trace = trace_of(batch, i);
        rows[i].value = value;
        value += rows[i].size;
    }
    frame->kind = LINK_BATCH;
    frame->sequence = batch->sequence;
    frame->rows = rows;
    frame->row_count = count;
    decoder->last_sequence = batch->sequence + count - 1;
    return 0;
}

static int take_bounce(const Histrio__V1__Bounce *bounce, struct link_frame *frame, struct err *err)
{
    if (bounce->n_sequences == 0 || bounce->n_sequences > FRAME_ROWS_MAX)
        return err_set(err, ERR_INVALID, "%zu messages moved", bounce->n_sequences);
    frame->kind = LINK_BOUNCE;
    frame->bounce = (struct link_bounce){
        .sequences = bounce->sequences,
        .count = bounce->n_sequences,
        .is_fenced = bounce->fenced,
        .unit = bounce->known ? bounce->known->unit : "",
        .epoch = bounce->known ? bounce->known->epoch : 0,
        .node_uid = bounce->known ? bounce->known->node_uid : 0,
    };
    return 0;
}

int link_decode(struct link_decoder *decoder, const uint8_t *data, size_t size, struct wire_arena *arena,
    struct link_frame *ret_frame, struct err *err)
{
    ProtobufCMessage *message;
    if (wire_unpack(&histrio__v1__messages_frame__descriptor, data, size, LIMIT_FRAME_BYTES, arena, &message,
            err) < 0)
        return -1;
    const Histrio__V1__MessagesFrame *frame = (const Histrio__V1__MessagesFrame *)message;
    *ret_frame = (struct link_frame){.extra = {.acknowledge = frame->acknowledge}};
    if (frame->credit) {
        if (frame->credit->bytes > INT64_MAX / 4 || frame->credit->messages > INT64_MAX / 4)
            return err_set(err, ERR_INVALID, "more credit than makes sense");
        ret_frame->extra.credit_bytes = frame->credit->bytes;
        ret_frame->extra.credit_messages = frame->credit->messages;
    }
    if (frame->body_case == HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH)
        return take_batch(decoder, frame->batch, arena, ret_frame, err);
    if (frame->body_case == HISTRIO__V1__MESSAGES_FRAME__BODY_BOUNCE)
        return take_bounce(frame->bounce, ret_frame, err);
    if (frame->body_case == HISTRIO__V1__MESSAGES_FRAME__BODY_HELLO) {
        ret_frame->kind = LINK_HELLO;
        convert_hello_in(frame->hello, &ret_frame->hello);
    }
    return 0; /* credit alone, or something of a newer peer */
}
