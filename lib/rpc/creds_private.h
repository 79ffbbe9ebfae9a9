/* rpc/creds_private.h: creds as gRPC wants them. Private to module rpc; any thread. The caller releases what
 * it gets after the channel or the listening address was made. NULL: plaintext. */
#pragma once

#include <grpc/grpc_security.h>

#include "rpc/creds.h"

grpc_channel_credentials *rpc_creds_channel(const struct rpc_creds *creds);
grpc_server_credentials *rpc_creds_server(const struct rpc_creds *creds);
