/* Invariants:
 * 1. One thread at a time refreshes (is_refreshing), without the lock; it alone uses `plugin` and `has_kept`.
 * 2. token and tls are replaced together with a new number, under the lock. */
#include "kube/auth.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/http.h"
#include "kube/secret.h"

enum {
    LOCK_RANK = 955,
    TOKEN_BYTES_MAX = 64 * 1024,
    KEPT_PERIOD_MS = 5 * 1000, /* what could not be read is looked at sooner */
    LEEWAY_MS = 10 * 1000,     /* a credential that ends so soon is not used any more */
    WAIT_MS = KUBE_EXEC_TIMEOUT_MS + 10 * 1000,
};

struct kube_auth {
    const struct kube_config *config;
    struct clock *clock;
    struct kube_exec_credential plugin; /* the refresher's */
    bool has_kept;                      /* the refresher's: something could not be read this time */
    struct mutex lock;
    struct condition changed;
    bool is_refreshing GUARDED_BY(&lock);
    bool has_any GUARDED_BY(&lock);           /* token and tls were set once */
    bool was_rejected GUARDED_BY(&lock);      /* the token is not to be used any more */
    int64_t fresh_until_ms GUARDED_BY(&lock); /* monotonic */
    char *token GUARDED_BY(&lock);
    struct kube_http_tls *tls GUARDED_BY(&lock);
    uint64_t number GUARDED_BY(&lock);
};

void kube_credential_done(struct kube_credential *credential)
{
    kube_secret_free(credential->token);
    kube_http_tls_unref(credential->tls);
    *credential = (struct kube_credential){0};
}

struct kube_auth *kube_auth_new(const struct kube_config *config, struct clock *clock)
{
    struct kube_auth *auth = xcalloc(1, sizeof(*auth));
    auth->config = config;
    auth->clock = clock;
    mutex_init(&auth->lock, LOCK_RANK, "kube credentials");
    condition_init(&auth->changed);
    return auth;
}

void kube_auth_free(struct kube_auth *auth)
{
    if (!auth)
        return;
    mutex_lock(&auth->lock); /* nobody else is here; the compiler cannot know */
    kube_secret_free(auth->token);
    kube_http_tls_unref(auth->tls);
    mutex_unlock(&auth->lock);
    kube_exec_credential_done(&auth->plugin);
    condition_done(&auth->changed);
    mutex_done(&auth->lock);
    free(auth);
}

static bool uses_token_file(const struct kube_config *config)
{
    return config->token_file != NULL;
}

/* A token of the configuration wins over the plugin's, as in kubectl --token. */
static bool uses_plugin(const struct kube_config *config)
{
    return config->exec && !config->token && !config->token_file;
}

/* ---- reading; by the refresher, without the lock ---- */

/* As many beginnings as ends, and one at least: a file that is being written is not taken. */
static bool is_whole_pem(const char *text, const char *kind)
{
    char begin[64], end[64];
    size_t begins = 0, ends = 0;
    (void)snprintf(begin, sizeof(begin), "-----BEGIN %s", kind); /* fits */
    (void)snprintf(end, sizeof(end), "-----END %s", kind);
    for (const char *at = text; (at = strstr(at, begin)); at++)
        begins++;
    for (const char *at = text; (at = strstr(at, end)); at++)
        ends++;
    return begins > 0 && begins == ends;
}

/* The text of path when that is set, else a copy of data (NULL for NULL). */
static int read_pem(const char *path, const char *data, const char *kind, char **ret_text, struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_MANIFEST_BYTES);
    if (data || !path) {
        *ret_text = data ? xstrdup(data) : NULL;
        return 0;
    }
    if (file_read(path, LIMIT_MANIFEST_BYTES, &text, err) < 0)
        return -1;
    if (!is_whole_pem(str_text(&text), kind))
        return err_set(err, ERR_INVALID, "\"%s\" holds no whole PEM block of a %s", path, kind);
    *ret_text = str_steal(&text);
    return 0;
}

static int read_token_file(const char *path, char **ret_token, struct err *err)
{
    struct str text = STR_INIT(TOKEN_BYTES_MAX);
    int result = file_read(path, TOKEN_BYTES_MAX, &text, err);
    size_t begin = strspn(str_text(&text), " \t\r\n");
    size_t size = strcspn(str_text(&text) + begin, " \t\r\n");
    if (result == 0 && size == 0)
        result = err_set(err, ERR_INVALID, "the token file \"%s\" is empty", path);
    if (result == 0)
        *ret_token = xstrndup(str_text(&text) + begin, size);
    if (text.data)
        explicit_bzero(text.data, text.size);
    str_done(&text);
    return result;
}

/* It becomes a header line: nothing in it may end that line. */
static int check_token(const char *token, struct err *err)
{
    for (const char *at = token; at && *at; at++) {
        if (*at <= ' ' || *at == 0x7f)
            return err_set(err, ERR_INVALID, "the token has a blank or a control character in it");
    }
    return 0;
}

static bool is_plugin_fresh(const struct kube_auth *auth)
{
    const struct kube_exec_credential *plugin = &auth->plugin;
    if (!plugin->token && !plugin->certificate)
        return false;
    return plugin->expires_at_ms == INT64_MAX ||
           clock_wall_ms(auth->clock) < plugin->expires_at_ms - LEEWAY_MS;
}

static int run_plugin(struct kube_auth *auth, bool was_rejected, struct err *err)
{
    struct kube_exec_credential fresh;
    if (is_plugin_fresh(auth) && !was_rejected)
        return 0;
    if (kube_exec_run(auth->config, KUBE_EXEC_TIMEOUT_MS, &fresh, err) < 0)
        return -1;
    kube_exec_credential_done(&auth->plugin);
    auth->plugin = fresh;
    return 0;
}

/* old is what was used until now, NULL when there is nothing that can be kept. */
static int read_token(struct kube_auth *auth, const char *old, char **ret_token, struct err *err)
{
    const struct kube_config *config = auth->config;
    _cleanup_(cleanup_free) char *token = NULL;
    if (uses_token_file(config)) {
        struct err failure = {0};
        if (read_token_file(config->token_file, &token, &failure) < 0) {
            if (!old && !config->token)
                return err_set(err, failure.kind, "%s", failure.text);
            token = xstrdup(old ? old : config->token);
            auth->has_kept = true;
        }
    } else if (config->token) {
        token = xstrdup(config->token);
    } else if (uses_plugin(config) && auth->plugin.token) {
        token = xstrdup(auth->plugin.token);
    }
    if (check_token(token, err) < 0)
        return -1;
    *ret_token = steal_ptr(&token);
    return 0;
}

static int read_tls_model(struct kube_auth *auth, struct kube_http_tls *model, struct err *err)
{
    const struct kube_config *config = auth->config;
    model->is_insecure = config->is_insecure;
    if (read_pem(config->authority_file, config->authority_data, "CERTIFICATE", &model->authorities, err) <
            0 ||
        read_pem(config->certificate_file, config->certificate_data, "CERTIFICATE", &model->certificate,
            err) < 0 ||
        read_pem(config->key_file, config->key_data, "", &model->key, err) < 0)
        return -1;
    if (!model->certificate && uses_plugin(config) && auth->plugin.certificate) {
        model->certificate = xstrdup(auth->plugin.certificate);
        model->key = xstrdup(auth->plugin.key);
    }
    model->server_name = config->server_name ? xstrdup(config->server_name) : NULL;
    return 0;
}

static void model_done(struct kube_http_tls *model)
{
    free(model->authorities);
    free(model->certificate);
    kube_secret_free(model->key);
    free(model->server_name);
}

static bool is_same(const struct kube_http_tls *old, const struct kube_http_tls *model)
{
    return text_equal(old->certificate, model->certificate) && text_equal(old->key, model->key) &&
           (!model->authorities || text_equal(old->authorities, model->authorities));
}

/* *ret_tls is a reference of the caller's: old again when nothing has changed, or what there is now makes no
 * sense. */
static int read_tls(
    struct kube_auth *auth, struct kube_http_tls *old, struct kube_http_tls **ret_tls, struct err *err)
{
    _cleanup_(model_done) struct kube_http_tls model = {0};
    struct err failure = {0};
    if (text_starts_with(auth->config->server, "http://"))
        return 0;
    int result = read_tls_model(auth, &model, &failure);
    if (result == 0 && !(old && is_same(old, &model))) {
        if (kube_http_tls_new(&model, ret_tls, &failure) == 0)
            return 0;
        result = -1;
    }
    if (result < 0 && !old)
        return err_set(err, failure.kind, "%s", failure.text);
    auth->has_kept |= result < 0;
    *ret_tls = kube_http_tls_ref(old);
    return 0;
}

static int read_all(struct kube_auth *auth, const struct kube_credential *old, bool was_rejected,
    struct kube_credential *fresh, struct err *err)
{
    if (uses_plugin(auth->config) && run_plugin(auth, was_rejected, err) < 0)
        return -1;
    if (read_token(auth, was_rejected ? NULL : old->token, &fresh->token, err) < 0)
        return err_wrap(err, "credentials");
    if (read_tls(auth, old->tls, &fresh->tls, err) < 0)
        return err_wrap(err, "credentials");
    return 0;
}

/* ---- */

static void copy(struct kube_auth *auth, struct kube_credential *ret_credential) REQUIRES(&auth->lock)
{
    ret_credential->token = auth->token ? xstrdup(auth->token) : NULL;
    ret_credential->tls = auth->tls ? kube_http_tls_ref(auth->tls) : NULL;
    ret_credential->number = auth->number;
}

static int64_t period_ms(struct kube_auth *auth)
{
    int64_t left_ms = auth->has_kept ? KEPT_PERIOD_MS : KUBE_AUTH_PERIOD_MS;
    if (uses_plugin(auth->config) && auth->plugin.expires_at_ms != INT64_MAX) {
        int64_t plugin_ms = auth->plugin.expires_at_ms - LEEWAY_MS - clock_wall_ms(auth->clock);
        left_ms = plugin_ms < left_ms ? plugin_ms : left_ms;
    }
    return left_ms < 0 ? 0 : left_ms; /* a plugin whose credentials are short-lived is asked each time */
}

/* Called by the one that set is_refreshing; gives the lock up while it reads. */
static int refresh(struct kube_auth *auth, struct err *err) REQUIRES(&auth->lock)
{
    _cleanup_(kube_credential_done) struct kube_credential old = {0}, fresh = {0};
    bool was_rejected = auth->was_rejected;
    copy(auth, &old);
    mutex_unlock(&auth->lock);
    auth->has_kept = false;
    int result = read_all(auth, &old, was_rejected, &fresh, err);
    int64_t until_ms = clock_now_ms(auth->clock) + period_ms(auth);
    mutex_lock(&auth->lock);
    auth->is_refreshing = false;
    condition_broadcast(&auth->changed);
    if (result < 0)
        return -1; /* fresh_until_ms stays in the past: the next one tries again */
    auth->fresh_until_ms = until_ms;
    auth->was_rejected = false;
    if (auth->has_any && fresh.tls == auth->tls && text_equal(fresh.token, auth->token))
        return 0;
    kube_secret_free(auth->token);
    kube_http_tls_unref(auth->tls);
    auth->token = steal_ptr(&fresh.token);
    auth->tls = steal_ptr(&fresh.tls);
    auth->has_any = true;
    auth->number++;
    return 0;
}

int kube_auth_get(struct kube_auth *auth, struct kube_credential *ret_credential, struct err *err)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    int result = 0;
    mutex_lock(&auth->lock);
    for (;;) { /* ends at the deadline at the latest */
        bool is_usable = auth->has_any && !auth->was_rejected;
        if (is_usable && (auth->is_refreshing || clock_now_ms(auth->clock) < auth->fresh_until_ms))
            break;
        if (!auth->is_refreshing) {
            auth->is_refreshing = true;
            result = refresh(auth, err);
            break;
        }
        if (!condition_wait_until(&auth->changed, &auth->lock, deadline_ns)) {
            result = err_set(err, ERR_TIMEOUT, "credentials: no answer of the plugin");
            break;
        }
    }
    if (result == 0)
        copy(auth, ret_credential);
    mutex_unlock(&auth->lock);
    return result;
}

bool kube_auth_reject(struct kube_auth *auth, uint64_t number)
{
    if (!uses_token_file(auth->config) && !uses_plugin(auth->config))
        return false;
    mutex_lock(&auth->lock);
    if (number == auth->number) { /* else somebody has replaced it meanwhile */
        auth->was_rejected = true;
        auth->fresh_until_ms = INT64_MIN;
    }
    mutex_unlock(&auth->lock);
    return true;
}

void kube_auth_doubt(struct kube_auth *auth, uint64_t number)
{
    mutex_lock(&auth->lock);
    if (number == auth->number)
        auth->fresh_until_ms = INT64_MIN;
    mutex_unlock(&auth->lock);
}
