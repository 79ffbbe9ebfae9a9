#include "wire/wire.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/arena.h"

/* protobuf-c keeps a pointer to each string or sub-message, or a pointer to an array of such pointers. */
static const void *const *field_pointers(
    const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t *ret_count)
{
    const char *base = (const char *)message;
    const void *const *single = (const void *const *)(const void *)(base + field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *ret_count = *(const size_t *)(const void *)(base + field->quantifier_offset);
        return *(const void *const *const *)(const void *)single;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t present = *(const uint32_t *)(const void *)(base + field->quantifier_offset);
        *ret_count = present == field->id;
        return single;
    }
    *ret_count = *single != NULL;
    return single;
}

/* protobuf-c does not look into strings; they end up in names, JSON and terminals. Bounded by the schema's
 * depth. */
static const char *find_bad_string(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        size_t count;
        const void *const *pointers = field_pointers(message, field, &count);
        for (size_t item = 0; item < count; item++) {
            const char *bad = NULL;
            if (field->type == PROTOBUF_C_TYPE_MESSAGE)
                bad = find_bad_string(pointers[item]);
            else if (!text_is_utf8(pointers[item], strlen(pointers[item])))
                bad = field->name;
            if (bad)
                return bad;
        }
    }
    return NULL;
}

int wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size, size_t size_max,
    struct wire_arena *arena, ProtobufCMessage **ret_message, struct err *err)
{
    if (size > size_max)
        return err_set(
            err, ERR_LIMIT, "a %s of %zu bytes is larger than %zu", type->short_name, size, size_max);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &arena->allocator, size, data);
    if (!message && arena->exhausted)
        return err_set(err, ERR_LIMIT, "a %s of %zu bytes needs more than %zu bytes of memory",
            type->short_name, size, arena->bytes_max);
    if (!message)
        return err_set(err, ERR_INVALID, "%zu bytes are not a valid %s", size, type->short_name);
    const char *bad = find_bad_string(message);
    if (bad)
        return err_set(err, ERR_INVALID, "field %s in a %s is not UTF-8", bad, type->short_name);
    *ret_message = message;
    return 0;
}

size_t wire_packed_size(const void *message)
{
    return protobuf_c_message_get_packed_size(message);
}

void wire_pack_into(const void *message, uint8_t *data)
{
    (void)protobuf_c_message_pack(message, data); /* the size is what wire_packed_size said */
}

int wire_pack(const void *message, size_t size_max, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
    size_t size = wire_packed_size(message);
    if (size > size_max)
        return err_set(err, ERR_LIMIT, "a %s of %zu bytes is larger than %zu",
            ((const ProtobufCMessage *)message)->descriptor->short_name, size, size_max);
    uint8_t *data = xmalloc(size > 0 ? size : 1);
    wire_pack_into(message, data);
    *ret_data = data;
    *ret_size = size;
    return 0;
}
