#include "kube/config.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/config_private.h"
#include "kube/secret.h"

enum { NAMESPACE_BYTES_MAX = 1024 };

static void texts_free(char **texts)
{
    for (char **text = texts; text && *text; text++)
        free(*text);
    free(texts);
}

static void exec_free(struct kube_exec *exec)
{
    if (!exec)
        return;
    free(exec->command);
    texts_free(exec->args);
    texts_free(exec->env);
    free(exec->api_version);
    free(exec->install_hint);
    json_free(exec->cluster_extension);
    free(exec);
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    free(config->server);
    free(config->namespace);
    free(config->authority_file);
    free(config->authority_data);
    free(config->server_name);
    free(config->proxy);
    free(config->certificate_file);
    free(config->certificate_data);
    free(config->key_file);
    kube_secret_free(config->key_data);
    kube_secret_free(config->token);
    free(config->token_file);
    exec_free(config->exec);
    free(config->impersonate_user);
    free(config->impersonate_uid);
    texts_free(config->impersonate_groups);
    free(config);
}

int kube_config_finish(struct kube_config *config, struct err *err)
{
    if (!config->server || !*config->server)
        return err_set(err, ERR_INVALID, "the cluster has no server");
    if (!text_starts_with(config->server, "https://") && !text_starts_with(config->server, "http://"))
        return err_set(err, ERR_INVALID, "server \"%.150s\" must begin with \"https://\" or \"http://\"",
            config->server);
    size_t size = strlen(config->server);
    while (size > 0 && config->server[size - 1] == '/')
        config->server[--size] = '\0';
    if (!config->namespace)
        config->namespace = xstrdup("default");
    return 0;
}

static char *read_namespace(const char *folder)
{
    _cleanup_(cleanup_free) char *path = file_join(folder, "namespace");
    _cleanup_(str_done) struct str text = STR_INIT(NAMESPACE_BYTES_MAX);
    if (file_read(path, NAMESPACE_BYTES_MAX, &text, NULL) < 0)
        return NULL;
    size_t size = strcspn(str_text(&text), " \t\r\n");
    return size > 0 ? xstrndup(str_text(&text), size) : NULL;
}

int kube_config_in_cluster(const char *folder, struct kube_config **ret_config, struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !*host || !port || !*port)
        return err_set(err, ERR_NOT_FOUND,
            "not inside a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    if (!folder)
        folder = KUBE_SERVICE_ACCOUNT_FOLDER;
    _cleanup_(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    config->token_file = file_join(folder, "token");
    if (access(config->token_file, F_OK) < 0)
        return err_set(err, ERR_NOT_FOUND,
            "no service account token at \"%s\": does the pod set automountServiceAccountToken to false?",
            config->token_file);
    bool is_v6 = strchr(host, ':') && *host != '[';
    config->server = xasprintf(is_v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    config->authority_file = file_join(folder, "ca.crt");
    config->namespace = read_namespace(folder);
    if (kube_config_finish(config, err) < 0)
        return -1;
    *ret_config = steal_ptr(&config);
    return 0;
}

int kube_config_load(const char *path, const char *context, struct kube_config **ret_config, struct err *err)
{
    const char *paths = path && *path ? path : getenv("KUBECONFIG");
    if (paths && *paths)
        return kube_config_from_files(paths, context, ret_config, err);
    struct err in_cluster = {0};
    if (!context) {
        if (kube_config_in_cluster(NULL, ret_config, &in_cluster) == 0)
            return 0;
    }
    const char *home = getenv("HOME");
    _cleanup_(cleanup_free) char *usual = xasprintf("%s/.kube/config", home ? home : "");
    if (access(usual, F_OK) < 0)
        return err_set(err, ERR_NOT_FOUND,
            "no way to an API server: no --kubeconfig, $KUBECONFIG is not set, there is no \"%s\"%s%s", usual,
            context ? "" : ", and ", context ? "" : in_cluster.text);
    return kube_config_from_files(usual, context, ret_config, err);
}
