#include "controllers/system_nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/kube_node.h"
#include "api/pod.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/inbox.h"
#include "core/core.h"
#include "drivers/kubernetes.h"
#include "drivers/pod_build.h"
#include "kube/store.h"
#include "types/system.h"

enum {
    /* A KubeNode may be missing because its Pod was seen first. */
    KUBE_NODE_ABSENCE_MS = 5000,
    /* A process whose Pod is gone is killed by its kubelet, if that lives: until then it may go on. */
    HANG_UP_AFTER_MS = 10000,
};

struct seen_node {
    char *name;
    char *pod_uid;         /* NULL: not known */
    char *address;         /* that was dialed; NULL: none */
    uint64_t seen_version; /* at that it was there */
    uint64_t condition;    /* hash of what was told last; 0: nothing is wrong */
    bool was_on_machine;   /* a KubeNode was known for it */
    bool is_present;       /* in this round */
    bool is_ended;
    bool is_asserted;
    bool is_cordoned, is_draining; /* as was told */
    bool is_cordon_told;
    int64_t absent_since_ms; /* of its KubeNode; 0: it is there */
    int64_t hang_up_at_ms;   /* it went without proof: 0: it did not */
};

static void seen_free(void *value)
{
    struct seen_node *seen = value;
    if (!seen)
        return;
    free(seen->name);
    free(seen->pod_uid);
    free(seen->address);
    free(seen);
}

void system_nodes_done(struct system_nodes *nodes)
{
    map_done(&nodes->nodes, seen_free);
}

static struct seen_node *find_or_add(struct system_nodes *nodes, const char *name)
{
    struct seen_node *seen = map_get(&nodes->nodes, name);
    if (seen)
        return seen;
    seen = xcalloc(1, sizeof(*seen));
    seen->name = xstrdup(name);
    (void)map_put(&nodes->nodes, name, seen); /* it was not there */
    return seen;
}

static void replace_text(char **text, const char *value)
{
    char *copy = value ? xstrdup(value) : NULL;
    free(*text);
    *text = copy;
}

static void wake_at(struct system_nodes *nodes, int64_t at_ms)
{
    if (at_ms < nodes->due_ms)
        nodes->due_ms = at_ms;
}

static void hang_up(struct system_nodes *nodes, struct seen_node *seen)
{
    if (seen->address)
        nodes->hands.dial(nodes->hands.ctx, seen->name, NULL);
    replace_text(&seen->address, NULL);
}

static void set_condition(
    struct system_nodes *nodes, struct seen_node *seen, const char *reason, const char *message)
{
    uint64_t hash = 0;
    if (reason) {
        _cleanup_(cleanup_free) char *both = xasprintf("%s: %s", reason, message);
        hash = hash_string(both) | 1;
    }
    if (hash == seen->condition)
        return;
    seen->condition = hash;
    core_node_condition(nodes->core, seen->name, reason, message);
}

/* ---- ends ---- */

/* The node's parent writes what it knows of a crash into the termination log, as one JSON object. */
static void read_crash(const struct pod *pod, struct json **ret_record, struct core_node_exit *how)
{
    const char *text = pod->container_message;
    *ret_record = NULL;
    if (text[0] != '{' || json_parse(text, strlen(text), ret_record, NULL) < 0)
        return;
    how->unit = json_string(json_get(*ret_record, "unit"));
    how->actor = json_string(json_get(*ret_record, "actor"));
    how->backtrace = json_string(json_get(*ret_record, "backtrace"));
    if (!how->signal)
        how->signal = (int)json_int(json_get(*ret_record, "signal"));
}

static void tell_end(struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod)
{
    _cleanup_(json_freep) struct json *record = NULL;
    struct core_node_exit how = {.exit_code = pod->exit_code, .signal = pod->signal};
    bool is_asked = pod->is_deleting || pod->is_disrupted;
    if (seen->is_ended)
        return;
    seen->is_ended = true;
    hang_up(nodes, seen);
    read_crash(pod, &record, &how);
    _cleanup_(cleanup_free) char *text = NULL;
    if (pod->container_reason[0] && !text_equal(pod->container_reason, "Error") &&
        !text_equal(pod->container_reason, "Completed")) {
        how.cause = pod->container_reason;
        text = xasprintf(
            "node %s ended: %s (exit code %" PRId32 ")", seen->name, pod->container_reason, pod->exit_code);
    }
    core_node_ended(nodes->core, seen->name, is_asked ? NULL : &how, is_asked ? NULL : text);
}

static void forget(struct system_nodes *nodes, struct seen_node *seen)
{
    hang_up(nodes, seen);
    kubernetes_lost(nodes->driver, seen->name);
    seen_free(map_remove(&nodes->nodes, seen->name));
}

/* Its Pod is gone. pod NULL: nobody saw its last state. */
static void take_loss(
    struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod, int64_t now_ms)
{
    if (pod && pod->container == POD_CONTAINER_TERMINATED)
        tell_end(nodes, seen, pod);
    bool was_never_there = !seen->was_on_machine && (!pod || !pod->kube_node[0]) && !seen->address;
    if (!seen->is_ended && was_never_there)
        core_node_ended(nodes->core, seen->name, NULL, NULL); /* somebody's wish, and no failure of a node */
    if (seen->is_ended || was_never_there) {
        core_node_gone(nodes->core, seen->name, 0, NULL);
        forget(nodes, seen);
        return;
    }
    if (seen->hang_up_at_ms)
        return;
    kubernetes_lost(nodes->driver, seen->name);
    core_node_asserted(
        nodes->core, seen->name, "its Pod is gone, and nobody saw its container terminate", true);
    seen->is_asserted = true;
    seen->hang_up_at_ms = now_ms + (seen->address ? HANG_UP_AFTER_MS : 0);
}

/* ---- what a Pod shows ---- */

/* Those labels of a machine that the manifest asks for, borrowed: each node keeps a copy of what it is told.
 */
static void pick_labels(
    const struct system_spec *spec, const struct kube_node *machine, struct label_list *ret_labels)
{
    vec_for_each (entry, &spec->entries)
        vec_for_each (wanted, &entry->placement.kube_node_selector) {
            const char *value = machine ? label_list_get(&machine->labels, wanted->key) : NULL;
            if (!value || label_list_get(ret_labels, wanted->key))
                continue;
            struct label label = {wanted->key, (char *)(uintptr_t)value}; /* only read */
            vec_push(ret_labels, label);
        }
}

static void tell_facts(struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod,
    const struct kube_node *machine)
{
    struct label_list labels = {0};
    pick_labels(core_spec(nodes->core), machine, &labels);
    struct core_node_facts facts = {.node = seen->name,
        .pod_uid = pod->head.uid,
        .kube_node = pod->kube_node,
        .zone = machine ? machine->zone : "",
        .template_hash = pod->template_hash,
        .kube_labels = &labels,
        .index = pod->index,
        .is_ending = pod->is_deleting || pod->is_disrupted,
        .is_unready = !pod->is_ready};
    core_node_found(nodes->core, &facts);
    vec_done(&labels);
}

static void tell_wishes(struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod)
{
    if (!seen->is_cordon_told || seen->is_cordoned != pod->is_cordoned)
        (void)core_cordon(nodes->core, seen->name, pod->is_cordoned, NULL); /* it was found just now */
    if (seen->is_draining != pod->is_draining)
        (void)core_drain(nodes->core, seen->name, pod->is_draining, NULL); /* the same */
    seen->is_cordon_told = true;
    seen->is_cordoned = pod->is_cordoned;
    seen->is_draining = pod->is_draining;
}

/* Says who asserts that the machine is gone; NULL: nobody. */
static const char *assertion(struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod,
    const struct kube_node *machine, int64_t now_ms)
{
    if (machine) {
        seen->absent_since_ms = 0;
        return machine->is_out_of_service ? "its KubeNode has the taint out-of-service" : NULL;
    }
    if (!nodes->hands.has_kube_nodes || !pod->kube_node[0])
        return NULL;
    if (!seen->absent_since_ms)
        seen->absent_since_ms = now_ms;
    if (now_ms - seen->absent_since_ms >= KUBE_NODE_ABSENCE_MS)
        return "its KubeNode was deleted";
    wake_at(nodes, seen->absent_since_ms + KUBE_NODE_ABSENCE_MS);
    return NULL;
}

static void tell_assertion(struct system_nodes *nodes, struct seen_node *seen, const char *why)
{
    if (!why == !seen->is_asserted)
        return;
    seen->is_asserted = why != NULL;
    core_node_asserted(nodes->core, seen->name, why, false);
}

static void dial(struct system_nodes *nodes, struct seen_node *seen, const struct pod *pod)
{
    if (pod->container != POD_CONTAINER_RUNNING || !pod->ip[0])
        return;
    bool is_v6 = strchr(pod->ip, ':') != NULL;
    _cleanup_(cleanup_free) char *address =
        xasprintf("%s%s%s:%d", is_v6 ? "[" : "", pod->ip, is_v6 ? "]" : "", POD_CONTROL_PORT);
    if (text_equal(address, seen->address))
        return;
    replace_text(&seen->address, address);
    nodes->hands.dial(nodes->hands.ctx, seen->name, address);
}

static void take_pod(struct system_nodes *nodes, const struct pod *pod, uint64_t version, int64_t now_ms)
{
    struct seen_node *seen = find_or_add(nodes, pod->head.name);
    const char *reason = NULL, *message = NULL;
    if (seen->pod_uid && !text_equal(seen->pod_uid, pod->head.uid)) {
        take_loss(nodes, seen, NULL, now_ms); /* names are never used again, but by hand */
        return;
    }
    if (!seen->pod_uid)
        replace_text(&seen->pod_uid, pod->head.uid);
    struct kube_node *machine =
        pod->kube_node[0] ? nodes->hands.kube_node(nodes->hands.ctx, pod->kube_node) : NULL;
    seen->is_present = true;
    seen->seen_version = version > seen->seen_version ? version : seen->seen_version;
    seen->was_on_machine = seen->was_on_machine || pod->kube_node[0];
    kubernetes_saw(nodes->driver, seen->name, seen->pod_uid);
    tell_facts(nodes, seen, pod, machine);
    tell_wishes(nodes, seen, pod);
    bool has_trouble = pod_trouble(pod, &reason, &message);
    set_condition(nodes, seen, has_trouble ? reason : NULL, has_trouble ? message : NULL);
    if (pod->container == POD_CONTAINER_TERMINATED) {
        tell_end(nodes, seen, pod);
    } else {
        const char *why = assertion(nodes, seen, pod, machine, now_ms);
        if (pod->phase == POD_FAILED || pod->phase == POD_SUCCEEDED)
            why = "its Pod failed, and nobody saw its container terminate";
        tell_assertion(nodes, seen, why);
        dial(nodes, seen, pod);
    }
    kube_object_unref(machine ? &machine->head : NULL);
}

/* Gone before the list of the beginning: it was not in there, and was not written since. */
static bool is_outdated(const struct system_nodes *nodes, const struct pod *pod)
{
    return pod->head.resource_version <= nodes->listed_version && !map_get(&nodes->nodes, pod->head.name);
}

static void block(struct system_nodes *nodes, size_t former)
{
    bool is_blocked = former > 0;
    if (is_blocked == nodes->is_blocked)
        return;
    nodes->is_blocked = is_blocked;
    core_nodes_blocked(nodes->core, is_blocked ? "PreviousPodsTerminating" : NULL,
        is_blocked ? "Pods of a former system of this name are not gone yet" : NULL);
}

/* Those that the cache has seen, or must have seen, and has no more. */
static void miss(struct system_nodes *nodes, uint64_t version, int64_t now_ms)
{
    map_for_each (item, &nodes->nodes) {
        struct seen_node *seen = item.value;
        if (seen->is_present)
            continue;
        if (seen->hang_up_at_ms && now_ms >= seen->hang_up_at_ms)
            forget(nodes, seen);
        else if (seen->hang_up_at_ms)
            wake_at(nodes, seen->hang_up_at_ms);
        else if (seen->pod_uid && version >= seen->seen_version) {
            take_loss(nodes, seen, NULL, now_ms);
            wake_at(nodes, now_ms);
        }
    }
}

void system_nodes_observe(struct system_nodes *nodes, const struct kube_objects *pods,
    const struct lost_pods *lost, uint64_t version, int64_t now_ms)
{
    size_t former = 0;
    nodes->due_ms = INT64_MAX;
    vec_for_each (item, &lost->list) {
        const struct pod *pod = *item;
        struct seen_node *seen = map_get(&nodes->nodes, pod->head.name);
        if (seen && text_equal(seen->pod_uid, pod->head.uid))
            take_loss(nodes, seen, pod, now_ms);
    }
    map_for_each (item, &nodes->nodes)
        ((struct seen_node *)item.value)->is_present = false;
    vec_for_each (item, &pods->list) {
        const struct pod *pod = (const struct pod *)*item;
        if (!text_equal(pod->owner_uid, nodes->owner_uid))
            former += pod->owner_uid[0] != '\0';
        else if (!is_outdated(nodes, pod))
            take_pod(nodes, pod, version, now_ms);
    }
    block(nodes, former);
    miss(nodes, version, now_ms);
}

void system_nodes_news(struct system_nodes *nodes, const struct kubernetes_news *news)
{
    struct seen_node *seen = map_get(&nodes->nodes, news->node);
    switch (news->kind) {
    case KUBERNETES_MADE:
        seen = find_or_add(nodes, news->node);
        replace_text(&seen->pod_uid, news->pod_uid);
        seen->seen_version = news->version;
        set_condition(nodes, seen, NULL, NULL);
        break;
    case KUBERNETES_REFUSED:
        set_condition(nodes, find_or_add(nodes, news->node), news->reason, news->text);
        break;
    case KUBERNETES_ABSENT:
        if (seen && seen->pod_uid)
            break; /* the cache will show that it is gone, and how it ended */
        if (seen)
            seen_free(map_remove(&nodes->nodes, news->node));
        core_node_gone(nodes->core, news->node, 0, news->text);
        break;
    }
}
