/* rpc/status.h: gRPC's status numbers and ours. Private to module rpc; any thread. */
#pragma once

#include <grpc/status.h>

#include "rpc/stream.h"

/* Numbers that we do not use become RPC_UNKNOWN. */
enum rpc_code rpc_code_from_grpc(grpc_status_code code);
