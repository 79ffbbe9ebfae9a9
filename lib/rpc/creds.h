/* rpc/creds.h: what connections are secured with: mutual TLS, where each side shows a certificate of the same
 * authority. Where a struct rpc_creds is asked for, NULL means plaintext.
 *
 * Counted: clients and servers keep references of their own. Thread: any. What it loads is used by new
 * connections; those that stand go on as they are. */
#pragma once

#include <stdint.h>

struct err;
struct rpc_creds;

/* The files of a folder, as a Kubernetes Secret is mounted: ca.crt (one or more authorities), tls.crt (our
 * chain) and tls.key. They are read again about every `reload_s` seconds (0: 10), in a thread of gRPC's own.
 * ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID: a file is missing, cannot be read, or is no PEM text. */
int rpc_creds_from_folder(
    const char *folder, unsigned reload_s, struct rpc_creds **ret_creds, struct err *err);

/* The same from PEM texts, which are copied. They never change: new ones make new creds. */
int rpc_creds_from_memory(const char *authorities, const char *chain, const char *key,
    struct rpc_creds **ret_creds, struct err *err);

struct rpc_creds *rpc_creds_ref(struct rpc_creds *creds); /* NULL is fine, here and below */
void rpc_creds_unref(struct rpc_creds *creds);
