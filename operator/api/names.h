/* Names in the Kubernetes API that belong to us: group, kinds, labels, annotations, and what the objects of a
 * system are called. */
#ifndef API_NAMES_H
#define API_NAMES_H

#define API_GROUP "histrio.dev"
#define API_VERSION "v1alpha1"
#define API_GROUP_VERSION "histrio.dev/v1alpha1"
#define API_KIND_SYSTEM "ActorSystem"
#define API_KIND_PLACEMENT "ActorPlacement"
#define API_KIND_FENCE "ActorFence"

/* On everything that the operator makes for a system. */
#define API_LABEL_SYSTEM "histrio.dev/system"
#define API_LABEL_NAME "app.kubernetes.io/name"
#define API_LABEL_INSTANCE "app.kubernetes.io/instance"
#define API_LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define API_NODE_APP "histrio-node"
#define API_MANAGER "histrio-operator"

/* On an ActorSystem: done by the operator, then removed by it. Each is a list separated by commas. */
#define API_ANNOTATION_RESUME "histrio.dev/resume" /* units */
#define API_ANNOTATION_MOVE "histrio.dev/move"     /* unit=node */
#define API_ANNOTATION_FORGET "histrio.dev/forget" /* nodes */

/* On a Pod. */
#define API_ANNOTATION_CORDON "histrio.dev/cordon"               /* "true" */
#define API_ANNOTATION_DRAIN "histrio.dev/drain"                 /* "true" */
#define API_ANNOTATION_TEMPLATE_HASH "histrio.dev/template-hash" /* 16 hexadecimal digits */
#define API_ANNOTATION_INDEX "histrio.dev/index"                 /* of the node, as placement pins it */
#define API_ANNOTATION_SAFE_TO_EVICT "cluster-autoscaler.kubernetes.io/safe-to-evict"

#define API_NODE_CONTAINER "node"

#endif
