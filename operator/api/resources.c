#include "api/resources.h"

#include <stddef.h>

#include "api/names.h"

const struct kube_resource API_ACTOR_SYSTEMS = {
    API_GROUP, API_VERSION, "actorsystems", API_KIND_SYSTEM, true};
const struct kube_resource API_ACTOR_PLACEMENTS = {
    API_GROUP, API_VERSION, "actorplacements", API_KIND_PLACEMENT, true};
const struct kube_resource API_ACTOR_FENCES = {API_GROUP, API_VERSION, "actorfences", API_KIND_FENCE, true};
