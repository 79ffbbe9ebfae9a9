/* controllers/manager.h: the operator for Kubernetes as a whole: caches, work queue, workers, leader
 * election, Control streams, events, probes and metrics. Two or more of them run beside each other: one
 * leads, the others keep their caches current and wait. Losing the Lease demotes in place: work stops, caches
 * stay, the election goes on.
 *
 * Threads (ARCHITECTURE.md): "kube" and "lease" of lib/kube, "kube events", "control" of rpc, "reconcile-N",
 * "http". Owner and thread: main. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;
struct kube_config;
struct manager;

struct manager_config {
    const struct kube_config *kube; /* outlives the manager */
    const char *namespace;          /* the only one to look at; NULL: all */
    bool elects;                    /* false: leads without asking, for development */
    const char *lease_namespace;
    const char *lease_name;
    const char *identity;     /* pod UID: a container that is started again has its Lease back at once */
    const char *instance;     /* pod name, for Events */
    const char *http_address; /* NULL: no HTTP */
    unsigned workers;
    const char *version; /* "0.1.0" */
};

/* Starts everything. Texts are copied as far as they are kept. */
int manager_new(const struct manager_config *config, struct manager **ret_manager, struct err *err);
/* NULL: no HTTP. With the real port. */
const char *manager_http_address(const struct manager *manager);
/* Stops working, gives the Lease back, ends all threads. Nodes go on. NULL is fine. */
void manager_free(struct manager *manager);
