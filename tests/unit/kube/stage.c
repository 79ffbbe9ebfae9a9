#include "unit/kube/stage.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/status.h"

enum { LOCK_RANK = 1002 };

static void handle(struct http_exchange *exchange, void *ctx)
{
    struct stage *stage = ctx;
    stage_handler *handler = atomic_load(&stage->handler);
    handler(stage, exchange);
}

static void on_warning(const char *text, void *ctx)
{
    struct stage *stage = ctx;
    mutex_lock(&stage->lock);
    stage->warnings++;
    free(stage->last_warning);
    stage->last_warning = xstrdup(text);
    mutex_unlock(&stage->lock);
}

static void on_attempt(const struct kube_attempt *attempt, void *ctx)
{
    struct stage *stage = ctx;
    mutex_lock(&stage->lock);
    if (stage->attempts < sizeof(stage->codes) / sizeof(stage->codes[0]))
        stage->codes[stage->attempts] = attempt->code;
    stage->attempts++;
    stage->retries += attempt->will_retry;
    mutex_unlock(&stage->lock);
}

void stage_client(struct stage *stage, struct kube_client_config settings)
{
    settings.config = &stage->config;
    settings.thread_name = "test kube";
    settings.user_agent = "histrio-test/1";
    settings.on_warning = on_warning;
    settings.on_attempt = on_attempt;
    settings.ctx = stage;
    kube_client_free(stage->client);
    int failed = kube_client_new(&settings, &stage->client, NULL);
    assert(!failed);
    (void)failed;
}

int stage_setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    mutex_init(&stage->lock, LOCK_RANK, "test stage");
    condition_init(&stage->changed);
    stage->server = http_server_new(handle, stage);
    stage->config.server = xstrdup(http_server_url(stage->server));
    stage->config.namespace = xstrdup("default");
    stage_client(stage, (struct kube_client_config){0});
    *state = stage;
    return 0;
}

int stage_teardown(void **state)
{
    struct stage *stage = *state;
    kube_client_free(stage->client);
    http_server_free(stage->server);
    free(stage->config.server);
    free(stage->config.namespace);
    free(stage->last_warning);
    condition_done(&stage->changed);
    mutex_done(&stage->lock);
    free(stage);
    return 0;
}

char *stage_call(
    struct stage *stage, const char *method, const char *path, struct kube_status *status, struct err *err)
{
    struct kube_answer answer = {0};
    bool has_body = strcmp(method, "GET") != 0;
    struct kube_request request = {
        .method = method, .path = path, .body = has_body ? "{}" : NULL, .body_size = has_body ? 2 : 0};
    if (kube_client_call(stage->client, &request, &answer, status, err) < 0)
        return NULL;
    char *text = str_steal(&answer.body);
    kube_answer_done(&answer);
    return text;
}
