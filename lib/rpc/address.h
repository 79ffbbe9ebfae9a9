/* rpc/address.h: the addresses that users write, "unix:/path" and "host:port". Private to module rpc; any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

/* The socket file of a Unix address, NULL for others. Points into `address`. */
const char *rpc_address_unix_path(const char *address);

/* What gRPC resolves: literal IP addresses without DNS. ERR_INVALID says what is wrong with it. The caller
 * frees it. */
int rpc_address_target(const char *address, char **ret_target, struct err *err);

/* Before gRPC binds: ERR_INVALID for what makes no sense, ERR_CONFLICT when a server answers at the socket
 * file; a stale socket file is removed. */
int rpc_address_prepare(const char *address, struct err *err);

/* After gRPC could not bind: fills `err` with the system's reason, which gRPC does not give. Returns -1. */
int rpc_address_explain(const char *address, struct err *err);

/* `address` with `port` in place of its own; the caller frees it. */
char *rpc_address_with_port(const char *address, int port);
