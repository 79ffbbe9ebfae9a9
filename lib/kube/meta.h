/* Reading metadata of an object's tree. Nothing here fails: what is absent or of another type reads as "", 0
 * or NULL. Texts are borrowed from the tree. Pure; any thread. */
#ifndef KUBE_META_H
#define KUBE_META_H

#include <stdbool.h>
#include <stdint.h>

struct json;

const char *kube_meta_name(const struct json *object);
const char *kube_meta_namespace(const struct json *object); /* "" for what has none */
const char *kube_meta_uid(const struct json *object);
int64_t kube_meta_generation(const struct json *object);
const char *kube_meta_creation_timestamp(const struct json *object);
const char *kube_meta_deletion_timestamp(const struct json *object); /* NULL: not being deleted */
bool kube_meta_is_deleted(const struct json *object);
const char *kube_meta_label(const struct json *object, const char *key);      /* NULL: not there */
const char *kube_meta_annotation(const struct json *object, const char *key); /* NULL: not there */

/* Versions may be compared as numbers within one resource (KEP-5504). The number is 0 when the text is none.
 */
const char *kube_meta_resource_version(const struct json *object);
uint64_t kube_meta_resource_version_number(const struct json *object);

/* The owner reference with controller: true, or NULL. */
const struct json *kube_meta_controller(const struct json *object);
const char *kube_meta_controller_uid(const struct json *object); /* "" when there is none */

/* Of a list: metadata.resourceVersion and metadata.continue ("" at the end). */
const char *kube_meta_continue(const struct json *list);

/* apiVersion, kind, metadata.name and .namespace (NULL for none) of a new object to send; returns metadata.
 */
struct kube_resource;
struct json *kube_meta_begin(
    struct json *object, const struct kube_resource *resource, const char *namespace, const char *name);
/* Adds an owner reference with controller and blockOwnerDeletion true. */
void kube_meta_add_controller(
    struct json *metadata, const struct kube_resource *owner, const char *owner_name, const char *owner_uid);

#endif
