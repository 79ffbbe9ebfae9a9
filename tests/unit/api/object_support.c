#include "unit/api/suites.h"

#include "unit/api/object_support.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

struct json *object_parse(const char *text)
{
    struct json *json = NULL;
    struct err err = {0};
    char *copy = xstrdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    if (json_parse(copy, strlen(copy), &json, &err) < 0)
        fail_msg("%s: %s", err.text, copy);
    free(copy);
    return json;
}

struct kube_object *object_read(kube_decode decode, kube_release release, const char *more, const char *rest)
{
    struct kube_object *object = NULL;
    struct err err = {0};
    char *text = xasprintf("{'metadata': {'namespace': 'ns', 'name': 'bank', 'uid': 'u-1', "
                           "'resourceVersion': '42'%s%s}%s%s}",
        *more ? ", " : "", more, *rest ? ", " : "", rest);
    struct json *json = object_parse(text);
    if (kube_object_read(json, decode, release, NULL, &object, &err) < 0)
        fail_msg("%s", err.text);
    json_free(json);
    free(text);
    assert_int_equal(object->resource_version, 42);
    return object;
}
