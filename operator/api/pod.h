/* A Pod of ours, projected to what the operator acts on: about 300 bytes. Pure.
 *
 * Owner: counted (kube/object.h), never changed. One allocation holds the struct and its texts, which are
 * never NULL: "" for none. */
#ifndef API_POD_H
#define API_POD_H

#include <stdbool.h>
#include <stdint.h>

#include "kube/object.h"

struct err;
struct json;

enum pod_phase { POD_UNKNOWN, POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED };

/* Of the container "node". */
enum pod_container {
    POD_CONTAINER_NONE, /* no kubelet has said anything */
    POD_CONTAINER_WAITING,
    POD_CONTAINER_RUNNING,
    POD_CONTAINER_TERMINATED, /* proof that the process is gone (failure-model.md R6) */
};

struct pod {
    struct kube_object head;
    const char *owner_uid; /* of the controller */
    const char *system;    /* label histrio.dev/system */
    const char *ip;
    const char *kube_node;
    const char *container_reason;  /* ImagePullBackOff, OOMKilled, ... */
    const char *container_message; /* of a terminated one what it wrote to its termination log */
    const char *scheduled_reason;  /* of PodScheduled when that is not True: Unschedulable, ... */
    const char *scheduled_message;
    const char *reason;        /* of the whole pod: Evicted, NodeLost, Preempting, ... */
    const char *message;       /* of the whole pod */
    const char *template_hash; /* what it was made from */
    int64_t created_wall_ms;
    int32_t exit_code; /* of a terminated container */
    int32_t signal;    /* that ended it; 0: none */
    int32_t index;     /* annotation histrio.dev/index; -1: none */
    enum pod_phase phase;
    enum pod_container container;
    bool is_ready;
    bool is_deleting;
    bool is_disrupted; /* condition DisruptionTarget: eviction, preemption, taint */
    bool is_cordoned;
    bool is_draining; /* asked for by the annotation; implies is_cordoned */
};

/* kube_decode and kube_release (kube/object.h). ERR_INVALID only for what is no object. Unknown or wrong
 * members count as absent: the API server has validated them, and later versions may add values. Long texts
 * are cut. */
struct kube_object *pod_decode(const struct json *json, void *ctx, struct err *err);
void pod_release(struct kube_object *object);

/* Why it does not run, for people: "ImagePullBackOff: ..." into reason and message, which are borrowed from
 * the pod. False when nothing is wrong with it (or not yet said). */
bool pod_trouble(const struct pod *pod, const char **ret_reason, const char **ret_message);

#endif
