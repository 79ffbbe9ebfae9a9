/* Paths and queries of the API: "/apis/apps/v1/namespaces/a/deployments/b/scale?timeout=10s". Everything that
 * comes from outside is percent-encoded. Pure; any thread. */
#ifndef KUBE_PATH_H
#define KUBE_PATH_H

#include <stdint.h>

struct err;
struct kube_resource;
struct str;

enum { KUBE_PATH_BYTES_MAX = 16 * 1024 }; /* with the query: selectors may be long */

/* Appends the path. namespace NULL: all namespaces, or a resource without; name NULL: the collection;
 * subresource NULL: none. ERR_INVALID for what can be no path: an empty name, "." or "..", a slash or percent
 * sign in it, a name without namespace for a namespaced resource. */
int kube_path(const struct kube_resource *resource, const char *namespace, const char *name,
    const char *subresource, struct str *path, struct err *err);

/* Appends "?key=value" or "&key=value"; nothing when value is NULL or "". */
void kube_path_query(struct str *path, const char *key, const char *value);
void kube_path_query_number(struct str *path, const char *key, int64_t value);

/* Appends text with everything but letters, digits and "-._~" as %41. */
void kube_path_escape(struct str *path, const char *text);

#endif
