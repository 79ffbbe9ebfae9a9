/* wire/wire.h: between protobuf-c messages and bytes. Our .proto files have no recursive type, so the depth
 * of what is decoded is bounded by the schema. Thread: any. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct wire_arena;

/* Decodes one message of `type` from outside. Everything lives in `arena` until its next reset or done;
 * nothing else is to be freed. ERR_LIMIT: larger than `size_max`, or more memory than the arena allows.
 * ERR_INVALID: not a message of this type, or a string that is not UTF-8. A missing string is "", never NULL;
 * an unknown enum value stays a number, so check it.
 *
 *     ProtobufCMessage *message;
 *     if (wire_unpack(&histrio__v1__batch__descriptor, data, size, LIMIT_FRAME_BYTES, &arena, &message, err)
 * < 0) ... Histrio__V1__Batch *batch = (Histrio__V1__Batch *)message; */
int wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size, size_t size_max,
    struct wire_arena *arena, ProtobufCMessage **ret_message, struct err *err);

/* To encode into memory of one's own: ask for the size, then fill exactly that many bytes, with no change
 * between. */
size_t wire_packed_size(const void *message);
void wire_pack_into(const void *message, uint8_t *data);

/* To encode into new memory, which the caller frees. ERR_LIMIT: larger than `size_max`. */
int wire_pack(const void *message, size_t size_max, uint8_t **ret_data, size_t *ret_size, struct err *err);
