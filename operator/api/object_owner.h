/* What every object that the operator makes for a system begins with: names, labels and the owner reference,
 * by which it is collected when the system is deleted. Pure. */
#ifndef API_OBJECT_OWNER_H
#define API_OBJECT_OWNER_H

struct json;
struct kube_resource;

/* An ActorSystem. Borrowed texts. */
struct object_owner {
    const char *namespace;
    const char *name;
    const char *uid;
};

/* {apiVersion, kind, metadata {name, namespace, labels, ownerReferences}}, to which the caller adds the rest;
 * the caller frees it. app: the value of app.kubernetes.io/name. */
struct json *owned_object_new(const struct object_owner *owner, const struct kube_resource *resource,
    const char *name, const char *app);

#endif
