/* Two connections are the same to curl only when their certificate authorities are, byte for byte. So a
 * comment at their end, with the number of the generation, makes later requests use new connections
 * (kube_http_renew); and new files of authorities or certificates do so by themselves. */
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "kube/http_private.h"
#include "kube/secret.h"

static int check_pem(const char *what, const char *text, struct err *err)
{
    if (text && !strstr(text, "-----BEGIN "))
        return err_set(err, ERR_INVALID, "the %s holds no PEM block", what);
    return 0;
}

static int read_system_authorities(char **ret_text, struct err *err)
{
    const char *path = curl_version_info(CURLVERSION_NOW)->cainfo;
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_FILE_BYTES);
    if (!path)
        return err_set(
            err, ERR_NOT_FOUND, "libcurl knows no certificate authorities of the system: name one");
    if (file_read(path, LIMIT_FILE_BYTES, &text, err) < 0)
        return err_wrap(err, "certificate authorities of the system");
    *ret_text = str_steal(&text);
    return 0;
}

static char *dup_or_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

int kube_http_tls_new(const struct kube_http_tls *model, struct kube_http_tls **ret_tls, struct err *err)
{
    if (check_pem("certificate authority", model->authorities, err) < 0 ||
        check_pem("client certificate", model->certificate, err) < 0 ||
        check_pem("client key", model->key, err) < 0)
        return -1;
    _cleanup_(kube_http_tls_unrefp) struct kube_http_tls *tls = xcalloc(1, sizeof(*tls));
    tls->references = 1;
    tls->authorities = dup_or_null(model->authorities);
    tls->certificate = dup_or_null(model->certificate);
    tls->key = dup_or_null(model->key);
    tls->server_name = dup_or_null(model->server_name);
    tls->is_insecure = model->is_insecure;
    if (!tls->authorities && !tls->is_insecure && read_system_authorities(&tls->authorities, err) < 0)
        return -1;
    *ret_tls = steal_ptr(&tls);
    return 0;
}

struct kube_http_tls *kube_http_tls_ref(struct kube_http_tls *tls)
{
    /* relaxed: whoever adds a reference has one */
    (void)__atomic_fetch_add(&tls->references, 1, __ATOMIC_RELAXED);
    return tls;
}

void kube_http_tls_unref(struct kube_http_tls *tls)
{
    /* acquire and release: what others did with it comes before it is freed */
    if (!tls || __atomic_fetch_sub(&tls->references, 1, __ATOMIC_ACQ_REL) > 1)
        return;
    free(tls->authorities);
    free(tls->certificate);
    kube_secret_free(tls->key);
    free(tls->server_name);
    free(tls);
}

static struct curl_blob blob_of(char *text)
{
    return (struct curl_blob){.data = text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};
}

void kube_http_tls_apply(struct kube_http_call *call)
{
    CURL *easy = call->easy;
    struct kube_http_tls *tls = call->tls;
    call->authorities = xasprintf("%s\n# connections %llu\n", tls->authorities ? tls->authorities : "",
        (unsigned long long)call->http->generation);
    struct curl_blob authorities = blob_of(call->authorities);
    (void)curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &authorities);
    /* Or the system's authorities would be trusted beside those. */
    (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    (void)curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L); /* rather share a connection than open one */
    if (tls->is_insecure) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->certificate) {
        struct curl_blob certificate = blob_of(tls->certificate);
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    }
    if (tls->key) {
        struct curl_blob key = blob_of(tls->key);
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
    }
}
