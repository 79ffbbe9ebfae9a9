/* Every frame type that a peer can send us, through the guarded decoder: what is taken can be walked and
 * packed again. The first byte chooses the type. */
#include "target.h"

#include <grpc/health/v1/health.pb-c.h>
#include <histrio/v1/control.pb-c.h>
#include <histrio/v1/gateway.pb-c.h>
#include <histrio/v1/link.pb-c.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/arena.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &histrio__v1__messages_frame__descriptor,
        &histrio__v1__system_frame__descriptor,
        &histrio__v1__node_message__descriptor,
        &histrio__v1__operator_message__descriptor,
        &histrio__v1__ask_request__descriptor,
        &grpc__health__v1__health_check_request__descriptor,
    };
    uint8_t first[1024];
    struct wire_arena arena;
    ProtobufCMessage *message;
    if (size == 0)
        return 0;
    wire_arena_init(&arena, first, sizeof(first), 4 * (size_t)LIMIT_FRAME_BYTES);
    if (wire_unpack(types[data[0] % (sizeof(types) / sizeof(types[0]))], data + 1, size - 1,
            LIMIT_FRAME_BYTES, &arena, &message, NULL) == 0) {
        uint8_t *again;
        size_t again_size;
        if (wire_pack(message, 4 * (size_t)LIMIT_FRAME_BYTES, &again, &again_size, NULL) == 0)
            free(again);
    }
    wire_arena_done(&arena);
    return 0;
}
