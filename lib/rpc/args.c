#include "rpc/args.h"

#include <assert.h>
#include <limits.h>

void rpc_args_add(struct rpc_args *args, const char *name, int64_t value)
{
    assert(args->count < RPC_ARGS_MAX);
    int number = value > INT_MAX ? INT_MAX : (int)value;
    args->items[args->count++] =
        (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)name, .value.integer = number};
}

void rpc_args_add_text(struct rpc_args *args, const char *name, const char *text)
{
    assert(args->count < RPC_ARGS_MAX);
    args->items[args->count++] = (grpc_arg){
        .type = GRPC_ARG_STRING, .key = (char *)(uintptr_t)name, .value.string = (char *)(uintptr_t)text};
}

void rpc_args_add_common(struct rpc_args *args, size_t message_bytes_max, uint32_t keepalive_ms)
{
    int64_t size = message_bytes_max > INT_MAX ? INT_MAX : (int64_t)message_bytes_max;
    rpc_args_add(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, size);
    rpc_args_add(args, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, size);
    rpc_args_add(args, GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    rpc_args_add(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_ms);
    rpc_args_add(args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    rpc_args_add(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    /* A small message that unpacks to gigabytes is not ours. */
    rpc_args_add(args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
    rpc_args_add(args, GRPC_ARG_ENABLE_CHANNELZ, 0);
    rpc_args_add(args, GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
}

grpc_channel_args rpc_args_get(struct rpc_args *args)
{
    return (grpc_channel_args){.num_args = args->count, .args = args->items};
}
