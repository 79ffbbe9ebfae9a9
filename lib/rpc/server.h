/* rpc/server.h: a gRPC server on one loop. Addresses: "unix:/path", "127.0.0.1:0", "[::]:7070". */
#pragma once

#include "rpc/stream.h"

struct err;
struct rpc_creds;
struct rpc_loop;
struct rpc_server;

/* One method: `path` is "/histrio.v1.Control/Session". `open` is called on the loop's thread for each new
 * call and must call rpc_stream_listen(), or rpc_stream_finish() and rpc_stream_free() to refuse. */
struct rpc_method {
    const char *path;
    void (*open)(struct rpc_stream *stream, void *ctx);
    void *ctx;
};

struct rpc_server_config {
    const char *const *addresses; /* NULL-terminated */
    const struct rpc_method *methods;
    size_t method_count;
    size_t message_bytes_max;     /* of a received message; 0: the default of base/limits.h */
    size_t write_queue_bytes_max; /* of each stream; 0: the default */
    size_t streams_max;           /* at one time; further calls get RESOURCE_EXHAUSTED; 0: the default */
    struct rpc_creds *creds;      /* of all addresses; NULL: plaintext. Clients without a certificate of the
                                     same authority do not get as far as a call */
};

/* Any thread. Listens at once; what cannot be bound is an error that names the address. Unix sockets are made
 * with mode 0600; a stale socket file is replaced, a live one is an error. Serves grpc.health.v1 beside the
 * given methods. Unknown methods are answered UNIMPLEMENTED. Strings and methods are copied. */
int rpc_server_new(struct rpc_loop *loop, const struct rpc_server_config *config,
    struct rpc_server **ret_server, struct err *err);

/* The bound form of address `index`, with the real port in place of 0. Owned by the server. */
const char *rpc_server_address(const struct rpc_server *server, size_t index);

void rpc_server_set_serving(struct rpc_server *server, bool serving); /* health; any thread */

/* Any thread but the loop's. New calls are refused with UNAVAILABLE; streams get `grace_ms` to end, then are
 * cancelled (their owners get `closed`). With a grace, clients have a moment to read how the last streams
 * ended before their connection is closed. Returns when the server is gone; removes Unix socket files. NULL
 * is fine. */
void rpc_server_free(struct rpc_server *server, uint32_t grace_ms);
