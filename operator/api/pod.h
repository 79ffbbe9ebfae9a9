/* A Pod of ours, projected to what the operator acts on: about 300 bytes. Pure.
 *
 * Owner: one block holds all texts, so the members are borrowed from it and pod_done frees all. Texts are
 * never NULL: "" for none. Never changed after the decode, so any number of threads may read. */
#ifndef API_POD_H
#define API_POD_H

#include <stdbool.h>
#include <stdint.h>

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
    char *block; /* owns the texts below */
    const char *namespace;
    const char *name;
    const char *uid;
    const char *owner_uid; /* of the controller */
    const char *system;    /* label histrio.dev/system */
    const char *ip;
    const char *kube_node;
    const char *container_reason;  /* ImagePullBackOff, OOMKilled, ... */
    const char *container_message; /* of a terminated one what it wrote to its termination log */
    const char *scheduled_reason;  /* of PodScheduled when that is not True: Unschedulable, ... */
    const char *scheduled_message;
    const char *reason;  /* of the whole pod: Evicted, NodeLost, Preempting, ... */
    const char *message; /* of the whole pod */
    uint64_t resource_version;
    uint64_t template_hash; /* 0: none */
    int64_t created_wall_ms;
    int32_t exit_code; /* of a terminated container */
    int32_t signal;    /* that ended it; 0: none */
    enum pod_phase phase;
    enum pod_container container;
    bool is_ready;
    bool is_deleting;
    bool is_disrupted; /* condition DisruptionTarget: eviction, preemption, taint */
    bool is_cordoned;
    bool is_draining; /* asked for by the annotation; implies is_cordoned */
};

/* ERR_INVALID for what is no object with namespace, name and uid. Unknown or wrong members elsewhere count as
 * absent: the API server has validated them, and later versions may add values. Long texts are cut. */
int pod_decode(const struct json *object, struct pod *ret_pod, struct err *err);
void pod_done(struct pod *pod);

/* Why it does not run, for people: "ImagePullBackOff: ..." into reason and message, which are borrowed from
 * the pod. False when nothing is wrong with it (or not yet said). */
bool pod_trouble(const struct pod *pod, const char **ret_reason, const char **ret_message);

#endif
