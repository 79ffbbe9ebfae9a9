/* transport/batch.h: messages on their way out, as they will go on a stream: rows and one block of payloads.
 * A batch becomes one frame, and is kept until it is acknowledged. Plain data; whoever has it, owns it. */
#pragma once

#include "base/trace_context.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_unit;
struct text;

enum { BATCH_ROWS_MAX = 512, BATCH_BYTES_MAX = 32 * 1024 };

/* The numbers of proto MessageKind and enum actor_envelope_kind. */
enum row_kind { ROW_TELL, ROW_ASK, ROW_REPLY, ROW_ERROR_REPLY };

struct row {
    struct text *target;            /* NULL: target_id */
    struct text *type;              /* NULL: none (replies) */
    struct route_unit *unit;        /* of the target; NULL: a reference */
    struct route_unit *sender_unit; /* NULL: in none */
    uint64_t target_id, sender_id, ask;
    int64_t deadline_ns; /* of an ask */
    uint32_t incarnation;
    uint32_t size, offset; /* of the payload */
    uint8_t kind;
    bool is_settled;            /* came back; not in flight any more */
    struct trace_context trace; /* of a tell or ask; zeros: none */
};

/* What the rows of a batch say of a unit. */
struct batch_unit {
    struct route_unit *unit;
    uint64_t epoch;
    uint32_t in_flight; /* rows to it */
};

struct batch {
    struct batch *next;
    uint64_t first; /* sequence of rows[0] */
    uint32_t count, capacity;
    struct row *rows;
    uint8_t *data;
    size_t data_size, data_capacity;
    VEC(struct batch_unit) targets; /* one epoch each: see outgoing.h */
    VEC(struct batch_unit) senders;
};

struct batch_list {
    struct batch *first, *last;
    size_t bytes; /* payloads and rows */
};

/* What a row counts for in limits. */
static inline size_t row_cost(const struct row *row)
{
    return sizeof(*row) + row->size;
}

struct batch *batch_new(void);
void batch_free(struct batch *batch);
void batch_clear(struct batch *batch); /* for the next use */
bool batch_has_room(const struct batch *batch, size_t size);
/* Copies; `data` may be NULL when row->size is 0. Returns the row in its place. */
struct row *batch_append(struct batch *batch, const struct row *row, const void *data);
static inline uint64_t batch_last(const struct batch *batch) /* of one with rows */
{
    return batch->first + batch->count - 1;
}

void batch_list_push(struct batch_list *list, struct batch *batch); /* counts its bytes */
struct batch *batch_list_pop(struct batch_list *list);              /* NULL: empty */
/* Copies a row to the end, in a new batch when the last has no room. */
void batch_list_append(struct batch_list *list, const struct row *row, const void *data);
void batch_list_done(struct batch_list *list);
size_t batch_bytes(const struct batch *batch);
