/* A Node of Kubernetes (a machine), projected to what placement and the rules about lost machines need. Pure.
 *
 * Owner: the struct owns its texts and labels. Never changed after the decode. */
#ifndef API_KUBE_NODE_H
#define API_KUBE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "types/system.h"

struct err;
struct json;

struct kube_node {
    char *name;
    char *uid;
    char *zone;               /* topology.kubernetes.io/zone; "": none */
    struct label_list labels; /* all, for kubeNodeSelector */
    uint64_t resource_version;
    bool is_ready;          /* condition Ready is True: the kubelet was heard of lately */
    bool is_unschedulable;  /* cordoned */
    bool is_out_of_service; /* taint node.kubernetes.io/out-of-service: asserted to be off */
    bool is_deleting;
};

/* ERR_INVALID for what is no object with a name and a uid. */
int kube_node_decode(const struct json *object, struct kube_node *ret_node, struct err *err);
void kube_node_done(struct kube_node *node);

#endif
