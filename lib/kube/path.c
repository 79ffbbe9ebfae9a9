#include "kube/path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "kube/resource.h"

void kube_path_escape(struct str *path, const char *text)
{
    for (const char *at = text; *at; at++) {
        bool is_plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                        (*at >= '0' && *at <= '9') || strchr("-._~", *at);
        if (is_plain)
            str_append_char(path, *at);
        else
            str_appendf(path, "%%%02X", (unsigned)(unsigned char)*at);
    }
}

/* As the API server has it: a name is one segment, and no segment that means something else. */
static int add_segment(struct str *path, const char *what, const char *text, struct err *err)
{
    if (!*text)
        return err_set(err, ERR_INVALID, "the %s is empty", what);
    if (text_equal(text, ".") || text_equal(text, "..") || strpbrk(text, "/%"))
        return err_set(err, ERR_INVALID,
            "\"%.100s\" cannot be a %s: \".\", \"..\", \"/\" and \"%%\" are not allowed", text, what);
    str_append_char(path, '/');
    kube_path_escape(path, text);
    return 0;
}

int kube_path(const struct kube_resource *resource, const char *namespace, const char *name,
    const char *subresource, struct str *path, struct err *err)
{
    if (name && resource->is_namespaced && !namespace)
        return err_set(err, ERR_INVALID, "%s \"%.100s\" needs a namespace", resource->plural, name);
    if (*resource->group)
        str_appendf(path, "/apis/%s/%s", resource->group, resource->version);
    else
        str_appendf(path, "/api/%s", resource->version);
    if (namespace && resource->is_namespaced) {
        str_append(path, "/namespaces");
        if (add_segment(path, "namespace", namespace, err) < 0)
            return -1;
    }
    str_appendf(path, "/%s", resource->plural);
    if (name && add_segment(path, "name", name, err) < 0)
        return -1;
    if (subresource && add_segment(path, "subresource", subresource, err) < 0)
        return -1;
    return str_check(path, "the path of an object", err);
}

void kube_path_query(struct str *path, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    str_append_char(path, strchr(str_text(path), '?') ? '&' : '?');
    kube_path_escape(path, key);
    str_append_char(path, '=');
    kube_path_escape(path, value);
}

void kube_path_query_number(struct str *path, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)value); /* fits */
    kube_path_query(path, key, text);
}
