/* controllers/system_nodes.h: what is seen of one system's Pods and their KubeNodes, as events for its core.
 *
 * Invariants
 * 1. Only a container that is seen terminated, or a Pod that never was on a KubeNode, is proof of an end;
 * that a Pod is gone, or its KubeNode, is an assertion (failure-model.md R6).
 * 2. Nothing is concluded from the absence of a Pod that the cache cannot have seen yet: one that was made at
 *    version V is missed only when the cache has reached V.
 * 3. Nothing is concluded from the presence of a Pod that the list of the beginning had no more, which a
 * cache that is behind that list still has.
 *
 * Owner: a system. Thread: one at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct caches;
struct core;
struct kube_objects;
struct kubernetes_driver;
struct kubernetes_news;
struct lost_pods;
struct pod;

/* What is done with what is seen, beside the core. */
struct system_nodes_hands {
    /* The node's Control service is at that address now; NULL: hang up. */
    void (*dial)(void *ctx, const char *node, const char *address);
    /* Whose KubeNode is that; NULL: there is none (or none is known: has_kube_nodes). */
    struct kube_node *(*kube_node)(void *ctx, const char *name);
    bool has_kube_nodes;
    void *ctx;
};

struct system_nodes {
    const char *owner_uid; /* of our Pods; borrowed */
    struct core *core;
    struct kubernetes_driver *driver;
    struct system_nodes_hands hands;
    struct map nodes; /* name -> struct seen_node * */
    int64_t due_ms;   /* look again then, even without news; INT64_MAX: never. Set by system_nodes_observe */
    uint64_t listed_version; /* of the list of the beginning; 0: there was none yet */
    bool is_blocked;         /* by Pods of a former system of this name */
};

void system_nodes_done(struct system_nodes *nodes);

/* Pods are all that the cache has under the system's key, at version; lost are those that went since the last
 * call, oldest first. now_ms is monotonic. */
void system_nodes_observe(struct system_nodes *nodes, const struct kube_objects *pods,
    const struct lost_pods *lost, uint64_t version, int64_t now_ms);
/* From the driver. */
void system_nodes_news(struct system_nodes *nodes, const struct kubernetes_news *news);
