/* rpc/args.h: the settings that a channel or a server is made with. Private to module rpc; any thread. */
#pragma once

#include <grpc/grpc.h>
#include <stddef.h>
#include <stdint.h>

enum { RPC_ARGS_MAX = 24 };

struct rpc_args {
    grpc_arg items[RPC_ARGS_MAX];
    size_t count;
};

void rpc_args_add(struct rpc_args *args, const char *name, int64_t value); /* cut to the range of int */
void rpc_args_add_text(struct rpc_args *args, const char *name, const char *text); /* borrowed */
/* What both ends have in common: limits, keepalive, nothing that comes from the environment. */
void rpc_args_add_common(struct rpc_args *args, size_t message_bytes_max, uint32_t keepalive_ms);
grpc_channel_args rpc_args_get(struct rpc_args *args); /* valid as long as `args` */
