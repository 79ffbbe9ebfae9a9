#include "rpc/creds.h"

#include <assert.h>
#include <grpc/grpc.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "rpc/complaints.h"
#include "rpc/creds_private.h"

enum { RELOAD_DEFAULT_S = 10, FILE_BYTES_MAX = 256 * 1024 };

/* Never changed once made, but for the count. The provider is gRPC's, which counts it itself. */
struct rpc_creds {
    atomic_uint references;
    grpc_tls_certificate_provider *provider;
};

/* Each holds gRPC up: a provider may have a thread. */
static struct rpc_creds *creds_new(grpc_tls_certificate_provider *provider)
{
    struct rpc_creds *creds = xcalloc(1, sizeof(*creds));
    atomic_init(&creds->references, 1);
    creds->provider = provider;
    return creds;
}

struct rpc_creds *rpc_creds_ref(struct rpc_creds *creds)
{
    if (creds)
        atomic_fetch_add_explicit(&creds->references, 1, memory_order_relaxed);
    return creds;
}

void rpc_creds_unref(struct rpc_creds *creds)
{
    /* Release and acquire: what others did with it is over before it is freed. */
    if (!creds || atomic_fetch_sub_explicit(&creds->references, 1, memory_order_acq_rel) > 1)
        return;
    grpc_tls_certificate_provider_release(creds->provider);
    free(creds);
    grpc_shutdown();
}

/* gRPC would take anything, and refuse every connection later without a reason. */
static int check_pem(const char *text, const char *label, const char *what, struct err *err)
{
    const char *begin = text ? strstr(text, "-----BEGIN ") : NULL;
    const char *line_end = begin ? strchr(begin, '\n') : NULL;
    const char *found = begin ? strstr(begin, label) : NULL;
    if (!found || !line_end || found > line_end || !strstr(line_end, "-----END "))
        return err_set(err, ERR_INVALID, "%s is no %s in PEM", what, label);
    return 0;
}

static int check_file(const char *folder, const char *name, const char *label, struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(FILE_BYTES_MAX + 1);
    _cleanup_(cleanup_free) char *path = file_join(folder, name);
    if (file_read(path, FILE_BYTES_MAX, &text, err) < 0)
        return -1;
    return check_pem(str_text(&text), label, path, err);
}

int rpc_creds_from_folder(
    const char *folder, unsigned reload_s, struct rpc_creds **ret_creds, struct err *err)
{
    if (check_file(folder, "ca.crt", "CERTIFICATE", err) < 0 ||
        check_file(folder, "tls.crt", "CERTIFICATE", err) < 0 ||
        check_file(folder, "tls.key", "PRIVATE KEY", err) < 0)
        return err_wrap(err, "TLS folder '%s'", folder);
    _cleanup_(cleanup_free) char *authorities = file_join(folder, "ca.crt");
    _cleanup_(cleanup_free) char *chain = file_join(folder, "tls.crt");
    _cleanup_(cleanup_free) char *key = file_join(folder, "tls.key");
    rpc_complaints_take();
    grpc_init();
    *ret_creds = creds_new(grpc_tls_certificate_provider_file_watcher_create(
        key, chain, authorities, reload_s > 0 ? reload_s : RELOAD_DEFAULT_S));
    return 0;
}

int rpc_creds_from_memory(const char *authorities, const char *chain, const char *key,
    struct rpc_creds **ret_creds, struct err *err)
{
    if (check_pem(authorities, "CERTIFICATE", "the authority", err) < 0 ||
        check_pem(chain, "CERTIFICATE", "the certificate", err) < 0 ||
        check_pem(key, "PRIVATE KEY", "the key", err) < 0)
        return -1;
    rpc_complaints_take();
    grpc_init();
    grpc_tls_identity_pairs *pairs = grpc_tls_identity_pairs_create();
    grpc_tls_identity_pairs_add_pair(pairs, key, chain);
    *ret_creds = creds_new(grpc_tls_certificate_provider_static_data_create(authorities, pairs)); /* takes */
    return 0;
}

static grpc_tls_credentials_options *make_options(const struct rpc_creds *creds)
{
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_credentials_options_set_certificate_provider(options, creds->provider);
    grpc_tls_credentials_options_watch_root_certs(options);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    return options;
}

grpc_channel_credentials *rpc_creds_channel(const struct rpc_creds *creds)
{
    if (!creds)
        return grpc_insecure_credentials_create();
    grpc_tls_credentials_options *options = make_options(creds);
    grpc_tls_certificate_verifier *verifier = grpc_tls_certificate_verifier_host_name_create();
    grpc_tls_credentials_options_set_verify_server_cert(options, 1);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    return grpc_tls_credentials_create(options); /* takes them */
}

/* Which names are right is for each service to say: rpc_stream_peer_has_name(). */
grpc_server_credentials *rpc_creds_server(const struct rpc_creds *creds)
{
    if (!creds)
        return grpc_insecure_server_credentials_create();
    grpc_tls_credentials_options *options = make_options(creds);
    grpc_tls_credentials_options_set_cert_request_type(
        options, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    return grpc_tls_server_credentials_create(options); /* takes them */
}
