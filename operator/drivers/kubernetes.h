/* drivers/kubernetes.h: nodes as bare Pods of one system. What the core wants is noted at once and tried
 * until it is certain: a Pod is made by POST under a name that is never used again (so a second POST is
 * harmless), and deleted with its uid as precondition.
 *
 * Pods that exist are seen by somebody else, from a watch; kubernetes_saw and kubernetes_lost tell it here.
 * Owner: the shell of one system. Thread: one at a time; kubernetes_work blocks for requests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/object_owner.h"

struct core_action;
struct kube_client;
struct kubernetes_driver;
struct system_spec;

enum kubernetes_news_kind {
    KUBERNETES_MADE,    /* the Pod exists: pod_uid, version */
    KUBERNETES_REFUSED, /* the API server will not have it now: reason (one word), text; tried again later */
    KUBERNETES_ABSENT,  /* there is no such Pod (any more); text: why it never was, or NULL: as asked */
};

/* Valid during the callback. */
struct kubernetes_news {
    enum kubernetes_news_kind kind;
    const char *node;
    const char *pod_uid;
    uint64_t version;
    const char *reason;
    const char *text;
};

struct kubernetes_driver_config {
    struct kube_client *client;
    struct object_owner owner; /* texts are copied */
    void (*listener)(const struct kubernetes_news *news, void *ctx);
    void *ctx;
};

struct kubernetes_driver *kubernetes_driver_new(const struct kubernetes_driver_config *config);
void kubernetes_driver_free(struct kubernetes_driver *driver);

/* CORE_CREATE_NODE and CORE_DELETE_NODE: only noted. */
void kubernetes_create(struct kubernetes_driver *driver, const struct core_action *action);
void kubernetes_delete(struct kubernetes_driver *driver, const struct core_action *action);

/* The Pod of a node is there; and: it is gone. */
void kubernetes_saw(struct kubernetes_driver *driver, const char *node, const char *pod_uid);
void kubernetes_lost(struct kubernetes_driver *driver, const char *node);

/* Sends what is due at now_ms (monotonic) and tells what came of it. may_act is asked before each request. */
void kubernetes_work(struct kubernetes_driver *driver, const struct system_spec *spec, int64_t now_ms,
    bool (*may_act)(void *ctx), void *may_act_ctx);
/* When something is due next; INT64_MAX: nothing. */
int64_t kubernetes_due_ms(const struct kubernetes_driver *driver);
/* The spec changed: what was refused is tried at once. */
void kubernetes_retry(struct kubernetes_driver *driver);
