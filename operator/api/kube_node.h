/* A Node of Kubernetes (a machine), projected to what placement and the rules about lost machines need. Pure.
 *
 * Owner: counted (kube/object.h), never changed. It owns its zone and labels. */
#ifndef API_KUBE_NODE_H
#define API_KUBE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "kube/object.h"
#include "types/system.h"

struct err;
struct json;

struct kube_node {
    struct kube_object head;
    char *zone;               /* topology.kubernetes.io/zone; "": none */
    struct label_list labels; /* all, for kubeNodeSelector */
    bool is_ready;            /* condition Ready is True: the kubelet was heard of lately */
    bool is_unschedulable;    /* cordoned */
    bool is_out_of_service;   /* taint node.kubernetes.io/out-of-service: asserted to be off */
    bool is_deleting;
};

/* kube_decode and kube_release (kube/object.h). ERR_INVALID only for what is no object. */
struct kube_object *kube_node_decode(const struct json *json, void *ctx, struct err *err);
void kube_node_release(struct kube_object *object);

#endif
