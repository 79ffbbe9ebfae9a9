/* rpc/creds.h: what connections are secured with. Private to module rpc; any thread.
 *
 * The one place that knows: mutual TLS comes in here. The caller releases what it gets after the channel or
 * the listening address was made. */
#pragma once

#include <grpc/grpc_security.h>

grpc_channel_credentials *rpc_creds_client(void);
grpc_server_credentials *rpc_creds_server(void);
