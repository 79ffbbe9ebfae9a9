/* transport/convert.h: between frames of link.proto and rows, signals and hellos. The only user of the
 * generated code of the link.
 *
 * What comes in is hostile until it was looked at: all counts, sizes, ids and columns are checked before
 * anything uses them; a frame is taken whole or refused whole. Everything decoded lives in the arena that was
 * given, or in the input. One encoder and one decoder belong to one direction of one stream, and to its
 * thread. */
#pragma once

#include "actor/system.h"
#include "base/map.h"
#include "base/vec.h"
#include "transport/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct link_columns;
struct pending_signal;
struct route_unit;
struct wire_arena;

enum { LINK_PROTOCOL = 1 };

/* Texts are never NULL. */
struct link_hello {
    uint32_t protocol_min, protocol_max;
    const char *system, *system_uid, *node_name, *pod_uid, *kube_node, *zone, *software;
    uint64_t node_uid;
    const uint8_t *credential;
    size_t credential_size;
};

/* ---- Messages, out ---- */

struct link_said {
    uint64_t target_epoch, own_epoch; /* last said on this stream; 0: nothing */
};

struct link_encoder {
    uint32_t *ids; /* by text index: its id on this stream, 0: not said yet */
    size_t id_capacity;
    uint32_t last_id;
    struct link_said *said; /* by unit index */
    size_t said_capacity;
    struct link_columns *columns;
};

/* Goes beside any frame. */
struct link_extra {
    uint64_t acknowledge;                   /* 0: nothing new */
    uint64_t credit_bytes, credit_messages; /* both 0: none */
};

void link_encoder_init(struct link_encoder *encoder);
void link_encoder_done(struct link_encoder *encoder);

/* Begins a frame: returns its size; then link_encode_finish() writes exactly that many bytes, before anything
 * else happens. A batch without rows tells the position of its `first`. */
size_t link_encode_batch(
    struct link_encoder *encoder, const struct batch *batch, int64_t now_ns, const struct link_extra *extra);
void link_encode_finish(struct link_encoder *encoder, uint8_t *data);

struct link_bounce {
    const uint64_t *sequences;
    size_t count;
    bool is_fenced;
    const char *unit; /* what we know of it; "" when fenced */
    uint64_t epoch, node_uid;
};

/* These frames are small: into new memory, which the caller frees. */
uint8_t *link_encode_bounce(
    const struct link_bounce *bounce, const struct link_extra *extra, size_t *ret_size);
uint8_t *link_encode_extra(const struct link_extra *extra, size_t *ret_size);
uint8_t *link_encode_messages_hello(const struct link_hello *hello, size_t *ret_size);

/* ---- Messages, in ---- */

/* A unit as a peer speaks of it on one stream. */
struct link_unit {
    uint64_t target_epoch;    /* at which it believes that we hold it */
    uint64_t own_epoch;       /* at which it holds it itself */
    struct route_unit *route; /* the owner's */
    uint64_t checked_batch;   /* the owner's: batch for which the verdicts below hold */
    uint8_t verdict_to, verdict_from;
    char name[];
};

struct link_name {
    struct link_unit *unit; /* of its first component */
    uint64_t number;        /* the owner's: actor_system_name(), 0: not asked yet */
    uint32_t type;          /* the owner's: histrio_type(), 0: not asked yet */
    char text[];
};

struct link_row {
    struct link_name *target;      /* NULL: target_id */
    struct link_name *type;        /* NULL: none */
    struct link_unit *sender_unit; /* NULL: none */
    uint64_t target_id, sender_id, ask;
    uint32_t remaining_ms, incarnation;
    enum row_kind kind;
    const uint8_t *value;
    uint32_t size;
    const struct trace_context *trace; /* in the input; NULL: none */
};

struct link_decoder {
    VEC(struct link_name *) names; /* id - 1 */
    size_t name_bytes;
    struct map units; /* struct link_unit */
    uint64_t last_sequence;
};

enum link_frame_kind { LINK_NOTHING, LINK_HELLO, LINK_BATCH, LINK_BOUNCE };

struct link_frame {
    enum link_frame_kind kind;
    struct link_extra extra;
    struct link_hello hello;
    uint64_t sequence; /* of rows[0] */
    const struct link_row *rows;
    size_t row_count;
    struct link_bounce bounce;
};

/* Zeroed is ready. */
void link_decoder_done(struct link_decoder *decoder);
/* ERR_INVALID, ERR_LIMIT: the stream is to be closed. */
int link_decode(struct link_decoder *decoder, const uint8_t *data, size_t size, struct wire_arena *arena,
    struct link_frame *ret_frame, struct err *err);

/* ---- System ---- */

enum system_frame_kind { SYSTEM_NOTHING, SYSTEM_HELLO, SYSTEM_SIGNAL, SYSTEM_HEARTBEAT, SYSTEM_CANCEL };

struct system_frame {
    enum system_frame_kind kind;
    uint64_t sequence, acknowledge;
    struct link_hello hello;
    struct actor_signal signal; /* or cancel; refs of the sending node carry its uid; `to` is ours */
    const char *from_unit;      /* "": none */
    uint64_t from_epoch, after;
    uint64_t nonce, echo;
};

uint8_t *system_encode_hello(const struct link_hello *hello, size_t *ret_size);
uint8_t *system_encode_signal(const struct pending_signal *pending, uint64_t acknowledge, size_t *ret_size);
uint8_t *system_encode_cancel(const struct pending_signal *pending, uint64_t acknowledge, size_t *ret_size);
uint8_t *system_encode_heartbeat(uint64_t nonce, uint64_t echo, uint64_t acknowledge, size_t *ret_size);
int system_decode(const uint8_t *data, size_t size, struct wire_arena *arena, struct system_frame *ret_frame,
    struct err *err);
