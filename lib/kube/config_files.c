/* Invariants: the first file that has a cluster, user or context of a name gives all of it, as kubectl does
 * it; relative paths are relative to the folder of the file that has them. */
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "kube/config.h"
#include "kube/config_private.h"

enum { FILES_MAX = 32, TEXT_BYTES_MAX = 64 * 1024, LIST_MAX = 256 };

struct file {
    char *path;
    char *folder;
    struct json *documents;
};

struct files {
    VEC(struct file) list;
};

static void files_done(struct files *files)
{
    vec_for_each (file, &files->list) {
        free(file->path);
        free(file->folder);
        json_free(file->documents);
    }
    vec_done(&files->list);
}

/* An entry and the file that it comes from. */
struct entry {
    const struct file *file;
    const struct json
        *node; /* of {"name": ..., "cluster": {...}}: the inner object; NULL when it is missing */
};

static int read_file(const char *path, bool is_optional, struct files *files, struct err *err)
{
    struct json *documents = NULL;
    struct err failure = {0};
    if (yaml_parse_file(path, &documents, &failure) < 0) {
        if (failure.kind == ERR_NOT_FOUND && is_optional)
            return 0;
        return err_set(err, failure.kind, "kubeconfig: %s", failure.text);
    }
    struct file file = {.path = xstrdup(path), .folder = file_folder_of(path), .documents = documents};
    vec_push(&files->list, file);
    if (json_count(documents) > 1)
        return err_set(err, ERR_INVALID, "kubeconfig \"%s\" has more than one document", path);
    const struct json *root = json_at(documents, 0);
    if (root && json_type(root) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "kubeconfig \"%s\" is %s, not a mapping", path,
            json_type_name(json_type(root)));
    return 0;
}

static int read_files(const char *paths, struct files *files, struct err *err)
{
    bool is_list = strchr(paths, ':') != NULL;
    for (const char *at = paths; *at;) {
        size_t size = strcspn(at, ":");
        _cleanup_(cleanup_free) char *path = xstrndup(at, size);
        if (files->list.count >= FILES_MAX)
            return err_set(err, ERR_LIMIT, "more than %d kubeconfig files", FILES_MAX);
        if (size > 0 && read_file(path, is_list, files, err) < 0)
            return -1;
        at += size + (at[size] == ':');
    }
    if (files->list.count == 0)
        return err_set(err, ERR_NOT_FOUND, "none of the kubeconfig files \"%.180s\" exists", paths);
    return 0;
}

static const struct json *root_of(const struct file *file)
{
    return json_at(file->documents, 0);
}

/* list is "clusters", key "cluster", and so on. */
static int find(const struct files *files, const char *list, const char *key, const char *name,
    struct entry *ret_entry, struct err *err)
{
    vec_for_each (file, &files->list) {
        json_for_each(item, json_get(root_of(file), list))
        {
            if (text_equal(json_string(json_get(item, "name")), name)) {
                *ret_entry = (struct entry){file, json_get(item, key)};
                return 0;
            }
        }
    }
    return err_set(err, ERR_NOT_FOUND, "kubeconfig \"%.100s\" has no %s \"%.100s\"",
        files->list.items[0].path, key, name);
}

/* Puts the file's name before a typed read's error. */
static int fail(const struct entry *entry, struct err *err)
{
    return err_wrap(err, "kubeconfig \"%s\"", entry->file->path);
}

/* A text that may be missing; an empty one counts as missing. */
static int read_text(const struct entry *entry, const char *key, char **ret_text, struct err *err)
{
    const char *text = "";
    const struct json *node = json_get(entry->node, key);
    if (!json_is_null(node) && json_read_string(node, TEXT_BYTES_MAX, &text, err) < 0)
        return fail(entry, err);
    if (*text)
        *ret_text = xstrdup(text);
    return 0;
}

static int read_path(const struct entry *entry, const char *key, char **ret_path, struct err *err)
{
    _cleanup_(cleanup_free) char *path = NULL;
    if (read_text(entry, key, &path, err) < 0)
        return -1;
    if (path)
        *ret_path = file_join(entry->file->folder, path);
    return 0;
}

static int read_base64(const struct entry *entry, const char *key, char **ret_text, struct err *err)
{
    _cleanup_(cleanup_free) char *encoded = NULL;
    _cleanup_(str_done) struct str packed = STR_INIT(TEXT_BYTES_MAX), decoded = STR_INIT(TEXT_BYTES_MAX);
    if (read_text(entry, key, &encoded, err) < 0)
        return -1;
    if (!encoded)
        return 0;
    for (const char *at = encoded; *at; at++) {
        if (!strchr(" \t\r\n", *at))
            str_append_char(&packed, *at);
    }
    if (base64_decode(str_text(&packed), packed.size, &decoded) < 0 ||
        memchr(str_text(&decoded), '\0', decoded.size)) {
        (void)json_error(json_get(entry->node, key), err, "must be base64 of a text");
        return fail(entry, err);
    }
    *ret_text = str_steal(&decoded);
    return 0;
}

static int read_bool(const struct entry *entry, const char *key, bool *ret_value, struct err *err)
{
    const struct json *node = json_get(entry->node, key);
    if (!json_is_null(node) && json_read_bool(node, ret_value, err) < 0)
        return fail(entry, err);
    return 0;
}

/* A list of texts, or of {name, value} as "name=value"; NULL when there is none. Half of it may have been
 * stored in *ret_texts when it fails: the config owns it. */
static int read_texts(
    const struct entry *entry, const char *key, bool are_pairs, char ***ret_texts, struct err *err)
{
    const struct json *list = json_get(entry->node, key);
    if (json_is_null(list))
        return 0;
    if (json_expect(list, JSON_ARRAY, err) < 0)
        return fail(entry, err);
    size_t count = json_count(list);
    if (count > LIST_MAX) {
        (void)json_error(list, err, "has more than %d items", LIST_MAX);
        return fail(entry, err);
    }
    char **texts = *ret_texts = xcalloc(count + 1, sizeof(*texts));
    json_for_each(item, list)
    {
        const char *text, *name = "";
        if (are_pairs && json_read_string(json_get(item, "name"), TEXT_BYTES_MAX, &name, err) < 0)
            return fail(entry, err);
        const struct json *value = are_pairs ? json_get(item, "value") : item;
        if (json_read_string(value, TEXT_BYTES_MAX, &text, err) < 0)
            return fail(entry, err);
        *texts++ = are_pairs ? xasprintf("%s=%s", name, text) : xstrdup(text);
    }
    return 0;
}

static int read_cluster(const struct entry *cluster, struct kube_config *config, struct err *err)
{
    if (read_text(cluster, "server", &config->server, err) < 0 ||
        read_path(cluster, "certificate-authority", &config->authority_file, err) < 0 ||
        read_base64(cluster, "certificate-authority-data", &config->authority_data, err) < 0 ||
        read_text(cluster, "tls-server-name", &config->server_name, err) < 0 ||
        read_text(cluster, "proxy-url", &config->proxy, err) < 0 ||
        read_bool(cluster, "insecure-skip-tls-verify", &config->is_insecure, err) < 0)
        return -1;
    if (config->is_insecure && (config->authority_file || config->authority_data)) {
        (void)err_set(
            err, ERR_INVALID, "insecure-skip-tls-verify and a certificate authority: take one of them away");
        return fail(cluster, err);
    }
    return 0;
}

/* A command with a slash is relative to the file; one without is looked for in PATH. */
static char *exec_command(const struct entry *user, const char *command)
{
    return strchr(command, '/') ? file_join(user->file->folder, command) : xstrdup(command);
}

static int read_exec(
    const struct entry *user, const struct entry *cluster, struct kube_exec *exec, struct err *err)
{
    struct entry entry = {user->file, json_get(user->node, "exec")};
    _cleanup_(cleanup_free) char *command = NULL;
    if (read_text(&entry, "command", &command, err) < 0 ||
        read_text(&entry, "apiVersion", &exec->api_version, err) < 0 ||
        read_text(&entry, "installHint", &exec->install_hint, err) < 0 ||
        read_bool(&entry, "provideClusterInfo", &exec->provides_cluster_info, err) < 0 ||
        read_texts(&entry, "args", false, &exec->args, err) < 0 ||
        read_texts(&entry, "env", true, &exec->env, err) < 0)
        return -1;
    if (!command) {
        (void)json_error(entry.node, err, "has no command");
        return fail(user, err);
    }
    if (!text_equal(exec->api_version, "client.authentication.k8s.io/v1") &&
        !text_equal(exec->api_version, "client.authentication.k8s.io/v1beta1")) {
        (void)json_error(entry.node, err,
            "apiVersion must be \"client.authentication.k8s.io/v1\" or "
            "\"client.authentication.k8s.io/v1beta1\"");
        return fail(user, err);
    }
    exec->command = exec_command(user, command);
    json_for_each(extension, json_get(cluster->node, "extensions"))
    {
        const struct json *value = json_get(extension, "extension");
        if (!exec->cluster_extension && !json_is_null(value) &&
            text_equal(json_string(json_get(extension, "name")), "client.authentication.k8s.io/exec"))
            exec->cluster_extension = json_dup(value);
    }
    return 0;
}

static int read_user(
    const struct entry *user, const struct entry *cluster, struct kube_config *config, struct err *err)
{
    static const char *const UNSUPPORTED[] = {"auth-provider", "username", "password", "as-user-extra", NULL};
    for (const char *const *key = UNSUPPORTED; *key; key++) {
        const struct json *node = json_get(user->node, *key);
        if (!json_is_null(node)) {
            (void)json_error(node, err, "is not supported: use exec, a token or a client certificate");
            return fail(user, err);
        }
    }
    if (read_path(user, "client-certificate", &config->certificate_file, err) < 0 ||
        read_base64(user, "client-certificate-data", &config->certificate_data, err) < 0 ||
        read_path(user, "client-key", &config->key_file, err) < 0 ||
        read_base64(user, "client-key-data", &config->key_data, err) < 0 ||
        read_text(user, "token", &config->token, err) < 0 ||
        read_path(user, "tokenFile", &config->token_file, err) < 0 ||
        read_text(user, "as", &config->impersonate_user, err) < 0 ||
        read_text(user, "as-uid", &config->impersonate_uid, err) < 0 ||
        read_texts(user, "as-groups", false, &config->impersonate_groups, err) < 0)
        return -1;
    bool has_certificate = config->certificate_file || config->certificate_data;
    bool has_key = config->key_file || config->key_data;
    if (has_certificate != has_key) {
        (void)json_error(user->node, err, "client-certificate and client-key come together");
        return fail(user, err);
    }
    if (json_is_null(json_get(user->node, "exec")))
        return 0;
    config->exec = xcalloc(1, sizeof(*config->exec));
    return read_exec(user, cluster, config->exec, err);
}

static const char *current_context(const struct files *files)
{
    vec_for_each (file, &files->list) {
        const char *name = json_string(json_get(root_of(file), "current-context"));
        if (*name)
            return name;
    }
    return NULL;
}

int kube_config_from_files(
    const char *paths, const char *context, struct kube_config **ret_config, struct err *err)
{
    _cleanup_(files_done) struct files files = {0};
    _cleanup_(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    struct entry place, cluster, user = {0};
    if (read_files(paths, &files, err) < 0)
        return -1;
    if (!context)
        context = current_context(&files);
    if (!context)
        return err_set(err, ERR_INVALID,
            "kubeconfig \"%.150s\" has no current-context: set one or pass --context",
            files.list.items[0].path);
    if (find(&files, "contexts", "context", context, &place, err) < 0 ||
        read_text(&place, "namespace", &config->namespace, err) < 0)
        return -1;
    const char *cluster_name = json_string(json_get(place.node, "cluster"));
    const char *user_name = json_string(json_get(place.node, "user"));
    if (find(&files, "clusters", "cluster", cluster_name, &cluster, err) < 0)
        return err_wrap(err, "context \"%.50s\"", context);
    if (read_cluster(&cluster, config, err) < 0)
        return -1;
    if (*user_name) {
        if (find(&files, "users", "user", user_name, &user, err) < 0)
            return err_wrap(err, "context \"%.50s\"", context);
        if (read_user(&user, &cluster, config, err) < 0)
            return -1;
    }
    if (kube_config_finish(config, err) < 0)
        return err_wrap(err, "cluster \"%.50s\"", cluster_name);
    *ret_config = steal_ptr(&config);
    return 0;
}
