/* rpc/complaints.h: what gRPC writes about itself. Private to module rpc; any thread. */
#pragma once

/* Before gRPC begins; again is nothing. gRPC is silent from then on, but for its last words before it aborts,
 * and for handshakes that failed: these concern nobody who could be told by an error, and are logged, at most
 * one each second. With GRPC_VERBOSITY set it is left alone. */
void rpc_complaints_take(void);
