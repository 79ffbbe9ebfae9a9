/* Frames of one link in a row, as a hostile node may send them: the decoder keeps tables from one to the
 * next. An input is a row of records: one byte that chooses the stream, two bytes of length, then the frame.
 * Whatever is accepted must be safe to use: each payload is read, each name followed. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "transport/convert.h"
#include "wire/arena.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static unsigned checksum; /* keeps the reads alive */

static void read_bytes(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        checksum += bytes[i];
}

static void read_text(const char *text)
{
    demand(text != NULL);
    read_bytes(text, strlen(text));
}

static void use_hello(const struct link_hello *hello)
{
    read_text(hello->system);
    read_text(hello->system_uid);
    read_text(hello->node_name);
    read_text(hello->pod_uid);
    read_text(hello->kube_node);
    read_text(hello->zone);
    read_text(hello->software);
    read_bytes(hello->credential, hello->credential_size);
}

static void use_rows(const struct link_frame *frame)
{
    for (size_t i = 0; i < frame->row_count; i++) {
        const struct link_row *row = &frame->rows[i];
        demand(row->kind <= ROW_ERROR_REPLY);
        demand((row->target != NULL) != (row->target_id != 0));
        demand(row->size <= LIMIT_VALUE_BYTES + 1);
        if (row->target) {
            read_text(row->target->text);
            read_text(row->target->unit->name);
        }
        if (row->type)
            read_text(row->type->text);
        if (row->sender_unit)
            read_text(row->sender_unit->name);
        read_bytes(row->value, row->size);
    }
}

static bool take_messages(
    struct link_decoder *decoder, const uint8_t *data, size_t size, struct wire_arena *arena)
{
    struct link_frame frame;
    uint64_t before = decoder->last_sequence;
    if (link_decode(decoder, data, size, arena, &frame, NULL) < 0)
        return false;
    demand(decoder->last_sequence >= before);
    if (frame.kind == LINK_HELLO)
        use_hello(&frame.hello);
    else if (frame.kind == LINK_BATCH)
        use_rows(&frame);
    else if (frame.kind == LINK_BOUNCE) {
        read_bytes(frame.bounce.sequences, frame.bounce.count * sizeof(*frame.bounce.sequences));
        read_text(frame.bounce.unit);
    }
    return true;
}

static bool take_system(const uint8_t *data, size_t size, struct wire_arena *arena)
{
    struct system_frame frame;
    if (system_decode(data, size, arena, &frame, NULL) < 0)
        return false;
    if (frame.kind == SYSTEM_HELLO)
        use_hello(&frame.hello);
    if (frame.kind == SYSTEM_CANCEL)
        demand(frame.signal.ask && frame.signal.from.id);
    if (frame.kind == SYSTEM_SIGNAL || frame.kind == SYSTEM_CANCEL) {
        demand(frame.kind == SYSTEM_CANCEL || frame.sequence > 0);
        /* It may come from nobody: from an actor that was not found. */
        demand(frame.signal.to_name || frame.signal.to.id);
        if (frame.signal.from_name)
            read_text(frame.signal.from_name);
        if (frame.signal.to_name)
            read_text(frame.signal.to_name);
        read_text(frame.signal.reason);
        read_text(frame.from_unit);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_decoder decoder = {0};
    struct wire_arena arena;
    bool is_open = true; /* a refused frame closes the stream */
    wire_arena_init(&arena, NULL, 0, 4 * (size_t)LIMIT_FRAME_BYTES);
    while (is_open && size >= 3) {
        size_t length = (size_t)data[1] << 8 | data[2];
        bool is_system = data[0] & 1;
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        /* A copy, so that the sanitizer sees reads past the end of the frame. */
        uint8_t *frame = xmemdup(data, length);
        is_open =
            is_system ? take_system(frame, length, &arena) : take_messages(&decoder, frame, length, &arena);
        free(frame);
        wire_arena_reset(&arena);
        data += length;
        size -= length;
    }
    link_decoder_done(&decoder);
    wire_arena_done(&arena);
    return 0;
}
