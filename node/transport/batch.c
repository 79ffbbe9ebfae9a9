#include "transport/batch.h"

#include "base/mem.h"

enum { ROWS_FIRST = 8, DATA_FIRST = 512, DATA_KEPT = 2 * BATCH_BYTES_MAX };

struct batch *batch_new(void)
{
    return xcalloc(1, sizeof(struct batch));
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    vec_done(&batch->targets);
    vec_done(&batch->senders);
    free(batch->rows);
    free(batch->data);
    free(batch);
}

void batch_clear(struct batch *batch)
{
    batch->next = NULL;
    batch->first = 0;
    batch->count = 0;
    batch->data_size = 0;
    vec_clear(&batch->targets);
    vec_clear(&batch->senders);
    if (batch->data_capacity > DATA_KEPT) {
        free(batch->data);
        batch->data = NULL;
        batch->data_capacity = 0;
    }
}

bool batch_has_room(const struct batch *batch, size_t size)
{
    if (batch->count == 0)
        return true;
    return batch->count < BATCH_ROWS_MAX && batch->data_size + size <= BATCH_BYTES_MAX;
}

struct row *batch_append(struct batch *batch, const struct row *row, const void *data)
{
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : ROWS_FIRST;
        batch->rows = xreallocarray(batch->rows, batch->capacity, sizeof(*batch->rows));
    }
    if (batch->data_size + row->size > batch->data_capacity) {
        size_t capacity = batch->data_capacity ? batch->data_capacity : DATA_FIRST;
        while (capacity < batch->data_size + row->size)
            capacity *= 2;
        batch->data = xrealloc(batch->data, capacity);
        batch->data_capacity = capacity;
    }
    struct row *place = &batch->rows[batch->count++];
    *place = *row;
    place->offset = (uint32_t)batch->data_size;
    place->is_settled = false;
    if (row->size > 0 && data)
        memcpy(batch->data + batch->data_size, data, row->size);
    batch->data_size += row->size;
    return place;
}

size_t batch_bytes(const struct batch *batch)
{
    return batch->count * sizeof(struct row) + batch->data_size;
}

void batch_list_push(struct batch_list *list, struct batch *batch)
{
    batch->next = NULL;
    if (list->last)
        list->last->next = batch;
    else
        list->first = batch;
    list->last = batch;
    list->bytes += batch_bytes(batch);
}

struct batch *batch_list_pop(struct batch_list *list)
{
    struct batch *batch = list->first;
    if (!batch)
        return NULL;
    list->first = batch->next;
    if (!list->first)
        list->last = NULL;
    list->bytes -= batch_bytes(batch);
    batch->next = NULL;
    return batch;
}

void batch_list_append(struct batch_list *list, const struct row *row, const void *data)
{
    if (!list->last || !batch_has_room(list->last, row->size))
        batch_list_push(list, batch_new());
    (void)batch_append(list->last, row, data); /* nobody needs its place */
    list->bytes += row_cost(row);
}

void batch_list_done(struct batch_list *list)
{
    struct batch *batch;
    while ((batch = batch_list_pop(list)))
        batch_free(batch);
}
