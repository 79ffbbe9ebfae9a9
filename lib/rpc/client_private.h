/* rpc/client_private.h: what the unary call needs of a client. Private to module rpc. */
#pragma once

struct rpc_client;
struct rpc_loop;

struct rpc_loop *rpc_client_loop(const struct rpc_client *client); /* any thread */
