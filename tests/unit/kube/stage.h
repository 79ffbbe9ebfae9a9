/* unit/kube/stage.h: a client before a server whose answers a test decides. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/mutex.h"
#include "kube/client.h"
#include "kube/config.h"
#include "unit/kube/http_server.h"

struct stage;
typedef void stage_handler(struct stage *stage, struct http_exchange *exchange);

struct stage {
    struct http_server *server;
    struct kube_config config;
    struct kube_client *client;
    _Atomic(stage_handler *) handler; /* changed between requests */
    struct mutex lock;                /* for what handlers and callbacks write */
    struct condition changed;
    unsigned attempts, retries, warnings;
    int codes[32]; /* of the attempts */
    char *last_warning;
    void *ctx; /* the test's own */
};

int stage_setup(void **state);
int stage_teardown(void **state);

/* Another client, of these settings (config, thread, agent and callbacks are filled in). */
void stage_client(struct stage *stage, struct kube_client_config settings);

/* A call of path; the answer's body as a text that the caller frees, or NULL with err. */
struct err;
struct kube_status;
char *stage_call(
    struct stage *stage, const char *method, const char *path, struct kube_status *status, struct err *err);
