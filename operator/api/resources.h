/* Our own kinds, as kube/resource.h names those of Kubernetes. */
#ifndef API_RESOURCES_H
#define API_RESOURCES_H

#include "kube/resource.h"

extern const struct kube_resource API_ACTOR_SYSTEMS;
extern const struct kube_resource API_ACTOR_PLACEMENTS;
extern const struct kube_resource API_ACTOR_FENCES;

#endif
