#include "rpc/status.h"

#include "base/err.h"

enum rpc_code rpc_code_from_grpc(grpc_status_code code)
{
    switch ((enum rpc_code)code) {
    case RPC_OK:
    case RPC_CANCELLED:
    case RPC_INVALID_ARGUMENT:
    case RPC_DEADLINE_EXCEEDED:
    case RPC_NOT_FOUND:
    case RPC_PERMISSION_DENIED:
    case RPC_RESOURCE_EXHAUSTED:
    case RPC_FAILED_PRECONDITION:
    case RPC_UNIMPLEMENTED:
    case RPC_INTERNAL:
    case RPC_UNAVAILABLE:
    case RPC_UNAUTHENTICATED: return (enum rpc_code)code;
    case RPC_UNKNOWN: break;
    }
    return RPC_UNKNOWN;
}

static enum err_kind kind_of(enum rpc_code code)
{
    switch (code) {
    case RPC_CANCELLED: return ERR_CANCELED;
    case RPC_INVALID_ARGUMENT:
    case RPC_UNIMPLEMENTED: return ERR_INVALID;
    case RPC_DEADLINE_EXCEEDED: return ERR_TIMEOUT;
    case RPC_NOT_FOUND: return ERR_NOT_FOUND;
    case RPC_PERMISSION_DENIED:
    case RPC_UNAUTHENTICATED: return ERR_DENIED;
    case RPC_RESOURCE_EXHAUSTED: return ERR_LIMIT;
    case RPC_FAILED_PRECONDITION: return ERR_CONFLICT;
    case RPC_UNAVAILABLE: return ERR_UNAVAILABLE;
    case RPC_OK:
    case RPC_UNKNOWN:
    case RPC_INTERNAL: break;
    }
    return ERR_SYSTEM;
}

int rpc_status_error(const struct rpc_status *status, struct err *err)
{
    if (status->code == RPC_OK)
        return 0;
    return err_set(err, kind_of(status->code), "%s",
        status->text && status->text[0] ? status->text : "the other side gave no reason");
}
