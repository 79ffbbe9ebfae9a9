#include "kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "base/vec.h"
#include "kube/config.h"
#include "kube/secret.h"

void kube_exec_credential_done(struct kube_exec_credential *credential)
{
    kube_secret_free(credential->token);
    free(credential->certificate);
    kube_secret_free(credential->key);
    *credential = (struct kube_exec_credential){0};
}

/* ---- what it is told ---- */

static void set_authority(struct json *cluster, const struct kube_config *config)
{
    _cleanup_(str_done) struct str pem = STR_INIT(LIMIT_FILE_BYTES), encoded = STR_INIT(LIMIT_FILE_BYTES);
    if (config->authority_data)
        str_append(&pem, config->authority_data);
    else if (!config->authority_file ||
             file_read(config->authority_file, LIMIT_MANIFEST_BYTES, &pem, NULL) < 0)
        return; /* the request itself will say what is wrong with the file */
    base64_encode(str_text(&pem), pem.size, &encoded);
    json_set_string(cluster, "certificate-authority-data", str_text(&encoded));
}

/* The value of KUBERNETES_EXEC_INFO. */
static char *exec_info(const struct kube_config *config)
{
    _cleanup_(json_freep) struct json *info = json_object_new();
    json_set_string(info, "kind", "ExecCredential");
    json_set_string(info, "apiVersion", config->exec->api_version);
    struct json *spec = json_set_object(info, "spec");
    json_set_bool(spec, "interactive", false);
    if (config->exec->provides_cluster_info) {
        struct json *cluster = json_set_object(spec, "cluster");
        json_set_string(cluster, "server", config->server);
        if (config->server_name)
            json_set_string(cluster, "tls-server-name", config->server_name);
        if (config->is_insecure)
            json_set_bool(cluster, "insecure-skip-tls-verify", true);
        if (config->proxy)
            json_set_string(cluster, "proxy-url", config->proxy);
        set_authority(cluster, config);
        if (config->exec->cluster_extension)
            json_set_take(cluster, "config", json_dup(config->exec->cluster_extension));
    }
    return json_to_text(info, JSON_COMPACT);
}

struct environment {
    VEC(char *) list;
};

static void environment_done(struct environment *environment)
{
    vec_for_each (text, &environment->list) {
        free(*text);
    }
    vec_done(&environment->list);
}

/* Takes "NAME=value"; a later one replaces an earlier one. */
static void environment_put_take(struct environment *environment, char *text)
{
    size_t name_size = strcspn(text, "=") + 1;
    vec_for_each (entry, &environment->list) {
        if (strncmp(*entry, text, name_size) == 0) {
            free(*entry);
            *entry = text;
            return;
        }
    }
    vec_push(&environment->list, text);
}

static void environment_fill(struct environment *environment, const struct kube_config *config)
{
    for (char **variable = environ; *variable; variable++)
        vec_push(&environment->list, xstrdup(*variable));
    for (char **variable = config->exec->env; variable && *variable; variable++)
        environment_put_take(environment, xstrdup(*variable));
    _cleanup_(cleanup_free) char *info = exec_info(config);
    environment_put_take(environment, xasprintf("KUBERNETES_EXEC_INFO=%s", info));
    vec_push(&environment->list, NULL);
}

/* ---- running it ---- */

/* A process group of its own, so that what it starts can be ended with it. Returns an errno value. */
static int spawn(const struct kube_exec *exec, char *const *environment, int output_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    VEC(char *) arguments = {0};
    vec_push(&arguments, exec->command);
    for (char **argument = exec->args; argument && *argument; argument++)
        vec_push(&arguments, *argument);
    vec_push(&arguments, NULL);
    (void)posix_spawn_file_actions_init(&actions); /* glibc's never fails */
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    if (!failure)
        failure = posix_spawnp(ret_pid, exec->command, &actions, &attributes, arguments.items, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    vec_done(&arguments);
    return failure;
}

/* What is there now; false at the end of the output. */
static bool read_some(int fd, struct str *output)
{
    char buffer[4096];
    for (;;) { /* ends when nothing is there or the limit is reached */
        ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        str_append_bytes(output, buffer, (size_t)got);
        if (output->overflowed)
            return true;
    }
}

/* Until the program has ended; its output may be held open by what it left behind. */
static int read_output(int fd, int pid_fd, int64_t deadline_ms, struct str *output, struct err *err)
{
    struct pollfd fds[2] = {{.fd = pid_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    for (;;) { /* ends with the program, at the deadline or at the limit of the output */
        int64_t left_ms = deadline_ms - clock_now_ms(clock_system());
        if (left_ms <= 0)
            return err_set(err, ERR_TIMEOUT, "it did not end in time");
        if (poll(fds, 2, (int)left_ms) < 0 && errno != EINTR)
            return err_set_errno(err, errno, "poll");
        bool has_ended = fds[0].revents != 0;
        if ((fds[1].revents || has_ended) && fds[1].fd >= 0 && !read_some(fd, output))
            fds[1].fd = -1;
        if (output->overflowed)
            return str_check(output, "its output", err);
        if (has_ended)
            return 0;
    }
}

static int wait_status(pid_t pid, struct err *err)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return err_set_errno(err, errno, "wait for it");
    }
    if (WIFSIGNALED(status))
        return err_set(err, ERR_DENIED, "signal %d ended it", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(
            err, ERR_DENIED, "it exited with %d; its own words are on stderr", WEXITSTATUS(status));
    return 0;
}

static int run(const struct kube_config *config, int64_t deadline_ms, struct str *output, struct err *err)
{
    const struct kube_exec *exec = config->exec;
    _cleanup_(environment_done) struct environment environment = {0};
    int pipe_fds[2];
    pid_t pid = -1;
    environment_fill(&environment, config);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "make a pipe");
    _cleanup_(cleanup_close) int ours = pipe_fds[0];
    _cleanup_(cleanup_close) int theirs = pipe_fds[1];
    (void)fcntl(ours, F_SETFL, O_NONBLOCK); /* of a pipe of ours: cannot fail */
    int failure = spawn(exec, environment.list.items, theirs, &pid);
    if (failure == ENOENT && exec->install_hint)
        return err_set(err, ERR_NOT_FOUND, "there is no such program; %s", exec->install_hint);
    if (failure)
        return err_set_errno(err, failure, "start it");
    (void)close(steal_fd(&theirs)); /* the child has its own */
    _cleanup_(cleanup_close) int pid_fd = pidfd_open(pid, 0);
    int result = pid_fd < 0 ? err_set_errno(err, errno, "watch it")
                            : read_output(ours, pid_fd, deadline_ms, output, err);
    (void)kill(-pid, SIGKILL); /* it and what it started; may be gone already */
    if (result < 0) {
        (void)wait_status(pid, NULL); /* it was killed */
        return -1;
    }
    return wait_status(pid, err);
}

int kube_exec_run(const struct kube_config *config, int64_t timeout_ms,
    struct kube_exec_credential *ret_credential, struct err *err)
{
    struct str output = STR_INIT(KUBE_EXEC_OUTPUT_BYTES_MAX);
    int result = run(config, clock_now_ms(clock_system()) + timeout_ms, &output, err);
    if (result == 0)
        result =
            kube_exec_decode(str_text(&output), output.size, config->exec->api_version, ret_credential, err);
    if (output.data)
        explicit_bzero(output.data, output.size);
    str_done(&output);
    if (result < 0)
        return err_wrap(err, "credential plugin \"%.60s\"", config->exec->command);
    return 0;
}

/* ---- what it says ---- */

static int read_text(const struct json *status, const char *key, char **ret_text, struct err *err)
{
    const char *text = "";
    const struct json *node = json_get(status, key);
    if (!json_is_null(node) && json_read_string(node, KUBE_EXEC_OUTPUT_BYTES_MAX, &text, err) < 0)
        return -1;
    if (*text)
        *ret_text = xstrdup(text);
    return 0;
}

static int read_expiry(const struct json *status, int64_t *ret_ms, struct err *err)
{
    const struct json *node = json_get(status, "expirationTimestamp");
    const char *text;
    int64_t seconds;
    uint32_t nanoseconds;
    *ret_ms = INT64_MAX;
    if (json_is_null(node))
        return 0;
    if (json_read_string(node, RFC3339_TEXT_BYTES, &text, err) < 0)
        return -1;
    if (rfc3339_parse(text, &seconds, &nanoseconds) < 0)
        return json_error(node, err, "must be a time as RFC 3339 has it");
    *ret_ms = seconds * MS_PER_S;
    return 0;
}

static int read_status(const struct json *status, struct kube_exec_credential *credential, struct err *err)
{
    if (read_text(status, "token", &credential->token, err) < 0 ||
        read_text(status, "clientCertificateData", &credential->certificate, err) < 0 ||
        read_text(status, "clientKeyData", &credential->key, err) < 0 ||
        read_expiry(status, &credential->expires_at_ms, err) < 0)
        return -1;
    if (!credential->certificate != !credential->key)
        return err_set(err, ERR_INVALID, "clientCertificateData and clientKeyData come together");
    if (!credential->token && !credential->certificate)
        return err_set(err, ERR_INVALID, "its output has neither a token nor a client certificate");
    return 0;
}

int kube_exec_decode(const char *text, size_t size, const char *api_version,
    struct kube_exec_credential *ret_credential, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(kube_exec_credential_done) struct kube_exec_credential credential = {0};
    if (json_parse(text, size, &root, NULL) < 0) /* whose error text might show a piece of a secret */
        return err_set(err, ERR_INVALID, "its output is not JSON");
    if (!text_equal(json_string(json_get(root, "kind")), "ExecCredential"))
        return err_set(err, ERR_INVALID, "its output is no ExecCredential");
    if (!text_equal(json_string(json_get(root, "apiVersion")), api_version))
        return err_set(err, ERR_INVALID, "its output has apiVersion \"%.60s\", not \"%s\"",
            json_string(json_get(root, "apiVersion")), api_version);
    if (read_status(json_get(root, "status"), &credential, err) < 0)
        return err_wrap(err, "status");
    *ret_credential = credential;
    credential = (struct kube_exec_credential){0};
    return 0;
}
