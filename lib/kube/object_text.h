/* kube/object_text.h: from the text of an object to its tree, even when a person put more into it than a tree
 * may hold (nesting, a NUL in a key): one such object must not blind whoever watches all of them. Pure. */
#ifndef KUBE_OBJECT_TEXT_H
#define KUBE_OBJECT_TEXT_H

#include <stddef.h>

struct err;
struct json;

/* As json_parse, but: a direct part of the object (spec, status, ...) that a tree cannot hold becomes a text
 * that says why, and one of metadata is left out. metadata.managedFields is null in the tree. ERR_INVALID
 * for what is no JSON object. */
int kube_object_text_parse(const char *text, size_t size, struct json **ret_object, struct err *err);

/* The same for an event of a watch: {"type": ..., "object": ...}. */
int kube_event_text_parse(const char *text, size_t size, struct json **ret_event, struct err *err);

#endif
