/* What can be done to one object. Each function blocks (any thread but the client's), retries as
 * kube_client_call does, and on failure fills err and, when the API server refused, *ret_status (NULL: not
 * wanted):
 *
 *     _cleanup_(kube_status_done) struct kube_status status = {0};
 *     _cleanup_(json_freep) struct json *pod = NULL;
 *     struct kube_target target = {&KUBE_PODS, "default", "bank-nodes-1", NULL};
 *     if (kube_get(client, &target, NULL, &pod, &status, err) < 0)
 *         return status.reason == KUBE_REASON_NOT_FOUND ? ... : -1;
 *
 * Bodies are JSON texts. The object as the server has it afterwards comes in *ret_object (NULL: not wanted,
 * and then not parsed). */
#ifndef KUBE_VERBS_H
#define KUBE_VERBS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct json;
struct kube_client;
struct kube_resource;
struct kube_status;

struct kube_target {
    const struct kube_resource *resource;
    const char *namespace;   /* NULL for resources without */
    const char *name;        /* NULL for kube_create */
    const char *subresource; /* "status", "scale", ...; NULL: the object itself */
};

/* Zeroed (or a NULL pointer) is the default. */
struct kube_options {
    int64_t timeout_ms;        /* with all retries; 0: the client's */
    const char *field_manager; /* required by kube_apply */
    bool is_forced;            /* apply: takes fields from other managers */
    bool is_strict;            /* unknown and duplicate fields are refused, not dropped with a warning */
    bool is_dry_run;
    bool is_metadata_only; /* the answer is a PartialObjectMetadata */
};

int kube_get(struct kube_client *client, const struct kube_target *target, const struct kube_options *options,
    struct json **ret_object, struct kube_status *ret_status, struct err *err);

/* POST to the collection; with a subresource (and name), to that: pods/eviction. */
int kube_create(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err);

/* PUT. The body carries metadata.resourceVersion: without one the last writer wins. */
int kube_replace(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err);

/* Server-side apply: creates or changes the fields in body. Note that it creates anew what was deleted; a
 * metadata.uid in the body prevents that (Conflict). */
int kube_apply(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err);

/* JSON merge patch (RFC 7386). With metadata.resourceVersion in it, only that version is changed. */
int kube_merge_patch(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err);

enum kube_propagation {
    KUBE_PROPAGATION_DEFAULT, /* what the resource does by itself */
    KUBE_PROPAGATION_BACKGROUND,
    KUBE_PROPAGATION_FOREGROUND,
    KUBE_PROPAGATION_ORPHAN,
};

struct kube_delete_options {
    int64_t timeout_ms;
    const char *uid;              /* precondition; NULL: any. Another one: Conflict */
    const char *resource_version; /* precondition; NULL: any */
    bool has_grace_period;
    int64_t grace_period_s; /* 0: at once, without waiting for the kubelet */
    enum kube_propagation propagation;
    bool is_dry_run;
};

int kube_delete(struct kube_client *client, const struct kube_target *target,
    const struct kube_delete_options *options, struct kube_status *ret_status, struct err *err);

/* GET of a path that is no object but answers in JSON: "/version", "/apis/apps/v1". For others ("/readyz"):
 * kube_client_call. */
int kube_get_path(struct kube_client *client, const char *path, struct json **ret_tree,
    struct kube_status *ret_status, struct err *err);

/* The path of something behind the API server's proxy to a service: port may be a name or a number; rest
 * begins with a slash and is passed as it is, with its query. For kube_client_call. */
struct str;
int kube_service_path(const char *namespace, const char *service, const char *port, const char *rest,
    struct str *path, struct err *err);

#endif
