/* What a kind of object is called in paths and in manifests. */
#ifndef KUBE_RESOURCE_H
#define KUBE_RESOURCE_H

#include <stdbool.h>

struct kube_resource {
    const char *group; /* "" for the core group */
    const char *version;
    const char *plural; /* "pods" */
    const char *kind;   /* "Pod" */
    bool is_namespaced;
};

extern const struct kube_resource KUBE_NODES;
extern const struct kube_resource KUBE_NAMESPACES;
extern const struct kube_resource KUBE_PODS;
extern const struct kube_resource KUBE_SERVICES;
extern const struct kube_resource KUBE_SECRETS;
extern const struct kube_resource KUBE_CONFIG_MAPS;
extern const struct kube_resource KUBE_LEASES;                      /* coordination.k8s.io/v1 */
extern const struct kube_resource KUBE_EVENTS;                      /* events.k8s.io/v1 */
extern const struct kube_resource KUBE_POD_DISRUPTION_BUDGETS;      /* policy/v1 */
extern const struct kube_resource KUBE_CUSTOM_RESOURCE_DEFINITIONS; /* apiextensions.k8s.io/v1 */

#endif
