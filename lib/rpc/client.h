/* rpc/client.h: a connection to one server, kept up by gRPC with short reconnect backoff. On the loop's
 * thread unless said. */
#pragma once

#include "rpc/stream.h"

struct err;
struct rpc_creds;
struct rpc_loop;
struct rpc_client;

struct rpc_client_config {
    const char *address;          /* "unix:/path" or "host:port" */
    uint32_t reconnect_min_ms;    /* 0: 20 */
    uint32_t reconnect_max_ms;    /* 0: 1,000; of a Unix socket 50 */
    uint32_t keepalive_ms;        /* 0: 5,000; a silent peer is given up after as long again */
    size_t message_bytes_max;     /* 0: the default of base/limits.h */
    size_t write_queue_bytes_max; /* of each stream; 0: the default */
    struct rpc_creds *creds;      /* NULL: plaintext; the client takes a reference of its own */
    const char *server_name;      /* with creds: the DNS name that the server's certificate must carry,
                                     whatever the address is; else streams that do not wait
                                     end with UNAUTHENTICATED */
};

/* Any thread. Does not connect yet. Never shares a connection with another client of the same address. */
int rpc_client_new(struct rpc_loop *loop, const struct rpc_client_config *config,
    struct rpc_client **ret_client, struct err *err);

/* Starts a stream; fails only for lack of memory or a freed client, so it returns no error: trouble comes by
 * `closed`. `timeout_ms` 0: no deadline. `wait_for_ready`: wait for the connection instead of failing with
 * UNAVAILABLE. The caller calls rpc_stream_listen() on the returned stream before it returns to the loop. */
struct rpc_stream *rpc_client_open(
    struct rpc_client *client, const char *path, uint64_t timeout_ms, bool wait_for_ready);

/* A unary call: `done` comes exactly once on the loop's thread; on RPC_OK `data` is the response. Any thread.
 */
void rpc_client_call(struct rpc_client *client, const char *path, const void *request, size_t request_size,
    uint64_t timeout_ms, bool wait_for_ready,
    void (*done)(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx), void *ctx);

/* The same, waiting. Any thread but the loop's. 0: *ret_data is malloc'd. -1: err says; ERR_UNAVAILABLE,
 * ERR_TIMEOUT, ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID, ERR_LIMIT by gRPC's status. */
int rpc_client_call_wait(struct rpc_client *client, const char *path, const void *request,
    size_t request_size, uint64_t timeout_ms, bool wait_for_ready, uint8_t **ret_data, size_t *ret_size,
    struct err *err);

/* Any thread. Streams stay valid until their owners free them (they end with UNAVAILABLE or CANCELLED). */
void rpc_client_free(struct rpc_client *client);
