/* Messages frames on their way out. */
#include "base/clock.h"
#include "base/mem.h"
#include "transport/convert.h"
#include "transport/convert_hello.h"
#include "transport/router.h"
#include "transport/texts.h"
#include "wire/wire.h"

#include <assert.h>

enum { NAMES_MAX = 900 * 1000 }; /* below what the decoder takes, with room for one batch */

/* One frame in the making; rows of a batch at most. */
struct link_columns {
    Histrio__V1__MessagesFrame frame;
    Histrio__V1__Batch batch;
    Histrio__V1__Credit credit;
    uint32_t target[BATCH_ROWS_MAX], sender_unit[BATCH_ROWS_MAX], type[BATCH_ROWS_MAX], kind[BATCH_ROWS_MAX],
        remaining_ms[BATCH_ROWS_MAX], size[BATCH_ROWS_MAX], incarnation[BATCH_ROWS_MAX];
    uint64_t target_id[BATCH_ROWS_MAX], sender_id[BATCH_ROWS_MAX], ask[BATCH_ROWS_MAX];
    struct trace_context traces[BATCH_ROWS_MAX];
    VEC(Histrio__V1__Name) names;
    VEC(Histrio__V1__Name *) name_pointers;
    VEC(Histrio__V1__UnitEpoch) units;
    VEC(Histrio__V1__UnitEpoch *) unit_pointers;
};

void link_encoder_init(struct link_encoder *encoder)
{
    *encoder = (struct link_encoder){.columns = xcalloc(1, sizeof(struct link_columns))};
}

void link_encoder_done(struct link_encoder *encoder)
{
    if (encoder->columns) {
        vec_done(&encoder->columns->names);
        vec_done(&encoder->columns->name_pointers);
        vec_done(&encoder->columns->units);
        vec_done(&encoder->columns->unit_pointers);
    }
    free(encoder->columns);
    free(encoder->ids);
    free(encoder->said);
    *encoder = (struct link_encoder){0};
}

/* Room for a new index in an array that is indexed by it, zeroed. */
static void *grow_to(void *items, size_t *capacity, size_t index, size_t item_size)
{
    size_t wanted = *capacity ? *capacity : 64;
    while (wanted <= index)
        wanted *= 2;
    char *grown = xreallocarray(items, wanted, item_size);
    memset(grown + *capacity * item_size, 0, (wanted - *capacity) * item_size);
    *capacity = wanted;
    return grown;
}

static uint32_t id_of(struct link_encoder *encoder, const struct text *text)
{
    if (!text)
        return 0;
    if (text->index >= encoder->id_capacity)
        encoder->ids = grow_to(encoder->ids, &encoder->id_capacity, text->index, sizeof(*encoder->ids));
    uint32_t *id = &encoder->ids[text->index];
    if (*id == 0) {
        *id = ++encoder->last_id;
        Histrio__V1__Name *name = vec_push_new(&encoder->columns->names);
        histrio__v1__name__init(name);
        name->id = *id;
        name->text = (char *)text->text; /* packing only reads it */
    }
    return *id;
}

static void say(struct link_encoder *encoder, const struct batch_unit *unit, bool own)
{
    uint32_t index = unit->unit->index;
    if (index >= encoder->said_capacity)
        encoder->said = grow_to(encoder->said, &encoder->said_capacity, index, sizeof(*encoder->said));
    uint64_t *said = own ? &encoder->said[index].own_epoch : &encoder->said[index].target_epoch;
    if (*said == unit->epoch)
        return;
    *said = unit->epoch;
    Histrio__V1__UnitEpoch *entry = vec_push_new(&encoder->columns->units);
    histrio__v1__unit_epoch__init(entry);
    entry->unit = unit->unit->name;
    entry->epoch = unit->epoch;
    entry->own = own;
}

static uint32_t remaining_ms(const struct row *row, int64_t now_ns)
{
    if (row->kind != ROW_ASK)
        return 0;
    int64_t left = (row->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return left < 1 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

/* Which columns have anything but zeros. */
struct used {
    uint64_t target, target_id, sender_unit, sender_id, type, kind, ask, remaining_ms, size, incarnation;
    bool traces;
};

static void fill_columns(
    struct link_encoder *encoder, const struct batch *batch, int64_t now_ns, struct used *used)
{
    struct link_columns *columns = encoder->columns;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct row *row = &batch->rows[i];
        used->target |= columns->target[i] = id_of(encoder, row->target);
        used->target_id |= columns->target_id[i] = row->target_id;
        used->sender_unit |= columns->sender_unit[i] =
            row->sender_unit ? id_of(encoder, row->sender_unit->text) : 0;
        used->sender_id |= columns->sender_id[i] = row->sender_id;
        used->type |= columns->type[i] = id_of(encoder, row->type);
        used->kind |= columns->kind[i] = row->kind;
        used->ask |= columns->ask[i] = row->ask;
        used->remaining_ms |= columns->remaining_ms[i] = remaining_ms(row, now_ns);
        used->size |= columns->size[i] = row->size;
        used->incarnation |= columns->incarnation[i] = row->incarnation;
        columns->traces[i] = row->trace;
        used->traces |= trace_context_is_valid(&row->trace);
    }
}

#define SET_COLUMN(name, array)                                                                              \
    do {                                                                                                     \
        message->n_##name = used.array ? batch->count : 0;                                                   \
        message->name = columns->array;                                                                      \
    } while (0)

static void set_columns(struct link_columns *columns, const struct batch *batch, struct used used)
{
    Histrio__V1__Batch *message = &columns->batch;
    SET_COLUMN(target, target);
    SET_COLUMN(target_id, target_id);
    SET_COLUMN(sender_unit, sender_unit);
    SET_COLUMN(sender_id, sender_id);
    SET_COLUMN(type, type);
    SET_COLUMN(kind, kind);
    SET_COLUMN(ask, ask);
    SET_COLUMN(remaining_ms, remaining_ms);
    SET_COLUMN(size, size);
    SET_COLUMN(target_incarnation, incarnation);
    message->traces.len = used.traces ? batch->count * sizeof(*columns->traces) : 0;
    message->traces.data = (uint8_t *)columns->traces;
    message->data.data = batch->data;
    message->data.len = batch->data_size;
}

static void set_tables(struct link_columns *columns)
{
    vec_clear(&columns->name_pointers);
    vec_for_each (name, &columns->names)
        vec_push(&columns->name_pointers, name);
    vec_clear(&columns->unit_pointers);
    vec_for_each (unit, &columns->units)
        vec_push(&columns->unit_pointers, unit);
    columns->batch.n_names = columns->name_pointers.count;
    columns->batch.names = columns->name_pointers.items;
    columns->batch.n_units = columns->unit_pointers.count;
    columns->batch.units = columns->unit_pointers.items;
}

static void set_extra(
    Histrio__V1__MessagesFrame *frame, Histrio__V1__Credit *credit, const struct link_extra *extra)
{
    frame->acknowledge = extra->acknowledge;
    if (extra->credit_bytes == 0 && extra->credit_messages == 0)
        return;
    histrio__v1__credit__init(credit);
    credit->bytes = extra->credit_bytes;
    credit->messages = extra->credit_messages;
    frame->credit = credit;
}

size_t link_encode_batch(
    struct link_encoder *encoder, const struct batch *batch, int64_t now_ns, const struct link_extra *extra)
{
    assert(batch->count <= BATCH_ROWS_MAX);
    struct link_columns *columns = encoder->columns;
    if (encoder->last_id > NAMES_MAX) { /* begin a new table */
        memset(encoder->ids, 0, encoder->id_capacity * sizeof(*encoder->ids));
        encoder->last_id = 0;
    }
    vec_clear(&columns->names);
    vec_clear(&columns->units);
    histrio__v1__messages_frame__init(&columns->frame);
    histrio__v1__batch__init(&columns->batch);
    columns->frame.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH;
    columns->frame.batch = &columns->batch;
    columns->batch.sequence = batch->first;
    struct used used = {0};
    fill_columns(encoder, batch, now_ns, &used);
    for (size_t i = 0; i < batch->targets.count; i++)
        say(encoder, &batch->targets.items[i], false);
    for (size_t i = 0; i < batch->senders.count; i++)
        say(encoder, &batch->senders.items[i], true);
    set_columns(columns, batch, used);
    set_tables(columns);
    set_extra(&columns->frame, &columns->credit, extra);
    return wire_packed_size(&columns->frame);
}

void link_encode_finish(struct link_encoder *encoder, uint8_t *data)
{
    wire_pack_into(&encoder->columns->frame, data);
}

uint8_t *link_encode_bounce(
    const struct link_bounce *bounce, const struct link_extra *extra, size_t *ret_size)
{
    Histrio__V1__MessagesFrame frame = HISTRIO__V1__MESSAGES_FRAME__INIT;
    Histrio__V1__Bounce body = HISTRIO__V1__BOUNCE__INIT;
    Histrio__V1__Placement known = HISTRIO__V1__PLACEMENT__INIT;
    Histrio__V1__Credit credit;
    body.n_sequences = bounce->count;
    body.sequences = (uint64_t *)bounce->sequences; /* packing only reads them */
    body.fenced = bounce->is_fenced;
    known.unit = (char *)bounce->unit;
    known.epoch = bounce->epoch;
    known.node_uid = bounce->node_uid;
    body.known = &known;
    frame.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_BOUNCE;
    frame.bounce = &body;
    set_extra(&frame, &credit, extra);
    return convert_pack(&frame, ret_size);
}

uint8_t *link_encode_extra(const struct link_extra *extra, size_t *ret_size)
{
    Histrio__V1__MessagesFrame frame = HISTRIO__V1__MESSAGES_FRAME__INIT;
    Histrio__V1__Credit credit;
    set_extra(&frame, &credit, extra);
    return convert_pack(&frame, ret_size);
}

uint8_t *link_encode_messages_hello(const struct link_hello *hello, size_t *ret_size)
{
    Histrio__V1__MessagesFrame frame = HISTRIO__V1__MESSAGES_FRAME__INIT;
    Histrio__V1__Hello body;
    convert_hello_out(hello, &body);
    frame.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_HELLO;
    frame.hello = &body;
    return convert_pack(&frame, ret_size);
}
