#include "kube/resource.h"

const struct kube_resource KUBE_NODES = {"", "v1", "nodes", "Node", false};
const struct kube_resource KUBE_NAMESPACES = {"", "v1", "namespaces", "Namespace", false};
const struct kube_resource KUBE_PODS = {"", "v1", "pods", "Pod", true};
const struct kube_resource KUBE_SERVICES = {"", "v1", "services", "Service", true};
const struct kube_resource KUBE_SECRETS = {"", "v1", "secrets", "Secret", true};
const struct kube_resource KUBE_CONFIG_MAPS = {"", "v1", "configmaps", "ConfigMap", true};
const struct kube_resource KUBE_LEASES = {"coordination.k8s.io", "v1", "leases", "Lease", true};
const struct kube_resource KUBE_EVENTS = {"events.k8s.io", "v1", "events", "Event", true};
const struct kube_resource KUBE_POD_DISRUPTION_BUDGETS = {
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true};
const struct kube_resource KUBE_CUSTOM_RESOURCE_DEFINITIONS = {
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false};
