/* What an API server, a plugin for credentials or a kubeconfig file says. The first byte chooses. */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/list.h"
#include "kube/status.h"

/* A refusal has a reason and a text, whatever the body is. */
static void read_status(const char *text, size_t size)
{
    struct kube_status status = {0};
    struct err err = {0};
    kube_status_from_answer(409, text, size, 1000, &status);
    if (status.reason == KUBE_REASON_NONE || !status.message || status.retry_after_ms < 1000 ||
        status.cause_count > KUBE_CAUSES_MAX)
        abort();
    if (kube_status_error(&status, &err) == 0 || err.kind == ERR_NONE)
        abort();
    kube_status_done(&status);
}

static int count(const struct json *object, void *ctx, struct err *err)
{
    size_t *items = ctx;
    (void)err;
    if (json_type(object) != JSON_OBJECT)
        abort();
    (*items)++;
    return 0;
}

/* A page that is JSON as a whole has the items that the whole has. */
static void read_page(const char *text, size_t size)
{
    _cleanup_(json_freep) struct json *whole = NULL;
    char *version = NULL, *token = NULL;
    size_t items = 0;
    struct err err = {0};
    if (kube_list_page(text, size, count, &items, &version, &token, &err) < 0) {
        if (err.kind == ERR_NONE)
            abort();
        return;
    }
    free(version);
    free(token);
    if (json_parse(text, size, &whole, NULL) == 0 && items != json_count(json_get(whole, "items")))
        abort();
}

static void read_plugin(const char *text, size_t size)
{
    struct kube_exec_credential credential;
    struct err err = {0};
    if (kube_exec_decode(text, size, "client.authentication.k8s.io/v1", &credential, &err) < 0) {
        if (err.kind != ERR_INVALID && err.kind != ERR_LIMIT)
            abort();
        return;
    }
    if (!credential.token && !credential.certificate)
        abort();
    kube_exec_credential_done(&credential);
}

static void read_config(const char *text, size_t size)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    _cleanup_(cleanup_close) int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        return;
    _cleanup_(cleanup_free) char *path = xasprintf("/proc/self/fd/%d", fd);
    if (kube_config_from_files(path, NULL, &config, &err) < 0) {
        if (config || err.kind == ERR_NONE)
            abort();
        return;
    }
    if (!config->namespace || strncmp(config->server, "http", 4) != 0)
        abort();
    kube_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const READERS[])(const char *text, size_t size) = {
        read_status, read_page, read_plugin, read_config};
    if (size == 0)
        return 0;
    /* Of its very size, so that a byte too far is seen. */
    _cleanup_(cleanup_free) char *text = xmemdup(data + 1, size - 1);
    READERS[data[0] % 4](text, size - 1);
    return 0;
}
