/* controllers/caches.h: what the operator keeps in memory of the cluster: ActorSystems, our Pods, and
 * KubeNodes, as small projections that informers keep current. Leader and standby have them alike.
 *
 * Thread: reads are for any thread; the callbacks come on the client's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/actor_system_object.h"
#include "kube/object.h"
#include "kube/store.h"

struct caches;
struct clock;
struct err;
struct json;
struct kube_client;
struct kube_node;
struct pod;

/* An ActorSystem with what a new leader has to know of its status. */
struct cached_system {
    struct kube_object head;
    struct actor_system_object *object; /* its own head is empty */
    struct json *conditions;            /* status.conditions as served, or NULL */
};

enum { CACHES_KEY_BYTES = KUBE_KEY_BYTES };

/* Each gets the key of a system, "namespace/name", and only notes it. */
struct caches_listener {
    void (*system_changed)(void *ctx, const char *key, bool is_initial);
    /* pod is gone when is_lost: its last state, borrowed. Otherwise NULL. */
    void (*pod_changed)(void *ctx, const char *key, struct pod *lost_pod);
    /* NULL: over. Texts name the resource. */
    void (*problem)(void *ctx, const char *resource, const struct err *problem);
    void *ctx;
};

struct caches_config {
    struct kube_client *client;
    struct clock *clock;
    const char *namespace; /* the only one that is looked at, without KubeNodes; NULL: all */
    struct caches_listener listener;
};

/* Starts the informers. Texts are copied. */
int caches_new(const struct caches_config *config, struct caches **ret_caches, struct err *err);
/* No callback comes afterwards. */
void caches_free(struct caches *caches);

/* Everything was read once. */
bool caches_has_synced(const struct caches *caches);

/* The newest state that all of systems and Pods have reached. */
uint64_t caches_version(const struct caches *caches);
uint64_t caches_systems_version(const struct caches *caches);
uint64_t caches_pods_version(const struct caches *caches);
/* No system that is older than that may be believed: they are asked for once more, when they are. */
void caches_require_systems(struct caches *caches, uint64_t version);

/* With one reference that the caller gives back by kube_object_unref, or NULL. */
struct cached_system *caches_system(struct caches *caches, const char *key);
/* Appends the keys' objects, struct pod, whoever owns them. */
void caches_pods(struct caches *caches, const char *key, struct kube_objects *ret_pods);
/* The same from the API server, in a state that is not older than version; ret_version says which. Blocks. */
int caches_list_pods(struct caches *caches, const char *key, uint64_t version, struct kube_objects *ret_pods,
    uint64_t *ret_version, struct err *err);
/* Has KubeNodes at all: not when it looks at one namespace only. */
bool caches_has_kube_nodes(const struct caches *caches);
struct kube_node *caches_kube_node(struct caches *caches, const char *name);

/* Calls each system's key. */
void caches_each_system(struct caches *caches, void (*each)(void *ctx, const char *key), void *ctx);
void caches_count(struct caches *caches, size_t *ret_systems, size_t *ret_pods, size_t *ret_kube_nodes);
