#include "rpc/creds.h"

grpc_channel_credentials *rpc_creds_client(void)
{
    return grpc_insecure_credentials_create();
}

grpc_server_credentials *rpc_creds_server(void)
{
    return grpc_insecure_server_credentials_create();
}
