/* Objects of the API out of texts, for the tests of their decoders. */
#ifndef UNIT_API_OBJECT_SUPPORT_H
#define UNIT_API_OBJECT_SUPPORT_H

#include "kube/object.h"

/* The tree of a text with ' for ", which must be right. */
struct json *object_parse(const char *text);
/* An object of that text behind good metadata: more is what stands behind "name", "uid" and
 * "resourceVersion" in metadata, rest what stands behind metadata; both may be "". */
struct kube_object *object_read(kube_decode decode, kube_release release, const char *more, const char *rest);

#endif
