/* The status of systems of a cluster as a local run would tell it (docs/status.md), out of their ActorSystem
 * and ActorPlacement objects. Threads: any. */
#pragma once

struct err;
struct json;
struct kube_client;

/* One system, with its units and actors. The caller frees it. */
int cluster_status_read(struct kube_client *client, const char *namespace, const char *system,
    struct json **ret_status, struct err *err);
/* All systems of a namespace (NULL: of all) as an array, without units and actors. */
int cluster_status_list(
    struct kube_client *client, const char *namespace, struct json **ret_statuses, struct err *err);
