#include "controllers/owned.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "certs/certs.h"
#include "controllers/owned_object.h"
#include "drivers/pod_build.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/verbs.h"

enum { TRIES = 4, SECRET_VALUE_BYTES_MAX = 64 * 1024 };

/* The members of a content and their keys in the Secret. */
static const struct {
    const char *key;
    size_t offset;
} members[] = {
    {"ca.crt", offsetof(struct certs_content, authorities)},
    {"ca.key", offsetof(struct certs_content, authority_keys)},
    {"tls.crt", offsetof(struct certs_content, node_chain)},
    {"tls.key", offsetof(struct certs_content, node_key)},
    {"operator.crt", offsetof(struct certs_content, operator_chain)},
    {"operator.key", offsetof(struct certs_content, operator_key)},
};
enum { MEMBER_COUNT = sizeof(members) / sizeof(members[0]) };

static char **member(struct certs_content *content, size_t number)
{
    return (char **)(void *)((char *)content + members[number].offset);
}

/* What cannot be decoded is absent: certs_plan() then makes it anew. */
static void read_content(const struct json *secret, struct certs_content *ret_content)
{
    const struct json *data = json_get(secret, "data");
    *ret_content = (struct certs_content){0};
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const struct json *value = json_get(data, members[i].key);
        struct str text = STR_INIT(SECRET_VALUE_BYTES_MAX);
        if (json_type(value) == JSON_STRING &&
            base64_decode(json_string(value), json_string_size(value), &text) == 0 && !text.overflowed)
            *member(ret_content, i) = str_steal(&text);
        str_done(&text);
    }
}

static char *new_body(const struct object_owner *owner, struct certs_content *content, const char *version)
{
    _cleanup_(cleanup_free) char *name = pod_tls_secret_name(owner->name);
    _cleanup_(json_freep) struct json *secret = owned_object_new(owner, &KUBE_SECRETS, name, API_NODE_APP);
    (void)json_set_string(secret, "type", "Opaque");
    if (version)
        (void)json_set_string(json_get(secret, "metadata"), "resourceVersion", version);
    struct json *data = json_set_object(secret, "data");
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const char *text = *member(content, i) ? *member(content, i) : "";
        _cleanup_(str_done) struct str encoded = STR_INIT(2 * SECRET_VALUE_BYTES_MAX);
        base64_encode(text, strlen(text), &encoded);
        (void)json_set_string(data, members[i].key, str_text(&encoded));
    }
    return json_to_text(secret, JSON_COMPACT);
}

/* Reads it; *ret_secret NULL: there is none of ours. */
static int read_secret(
    struct kube_client *client, const struct object_owner *owner, struct json **ret_secret, struct err *err)
{
    _cleanup_(cleanup_free) char *name = pod_tls_secret_name(owner->name);
    _cleanup_(json_freep) struct json *secret = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = {&KUBE_SECRETS, owner->namespace, name, NULL};
    bool is_ours = false;
    if (kube_get(client, &target, NULL, &secret, &status, err) < 0 && status.reason != KUBE_REASON_NOT_FOUND)
        return -1;
    if (secret && owned_object_check(client, owner, &KUBE_SECRETS, secret, &is_ours, err) < 0)
        return -1;
    *ret_secret = is_ours ? steal_ptr(&secret) : NULL;
    return 0;
}

/* 1: written; 0: somebody else wrote it meanwhile. */
static int write_secret(struct kube_client *client, const struct object_owner *owner,
    const struct json *present, struct certs_content *content, struct err *err)
{
    const char *version = present ? kube_meta_resource_version(present) : NULL;
    _cleanup_(cleanup_free) char *name = pod_tls_secret_name(owner->name);
    _cleanup_(cleanup_free) char *body = new_body(owner, content, version);
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = {&KUBE_SECRETS, owner->namespace, present ? name : NULL, NULL};
    int failed = present ? kube_replace(client, &target, body, NULL, NULL, &status, err)
                         : kube_create(client, &target, body, NULL, NULL, &status, err);
    if (!failed)
        return 1;
    return status.reason == KUBE_REASON_CONFLICT || status.reason == KUBE_REASON_ALREADY_EXISTS ? 0 : -1;
}

/* One look and what it asks for. 1: *ret_content is as it is to be; 0: look again. */
static int step(struct kube_client *client, const struct object_owner *owner, int64_t now_s,
    struct certs_content *ret_content, int64_t *ret_next_s, struct err *err)
{
    _cleanup_(json_freep) struct json *secret = NULL;
    _cleanup_(certs_content_done) struct certs_content present = {0};
    _cleanup_(certs_content_done) struct certs_content next = {0};
    if (read_secret(client, owner, &secret, err) < 0)
        return -1;
    if (secret)
        read_content(secret, &present);
    struct certs_plan plan = certs_plan(secret ? &present : NULL, owner->uid, now_s);
    if (plan.step == CERTS_KEEP) {
        *ret_content = present;
        *ret_next_s = plan.next_s;
        present = (struct certs_content){0};
        return 1;
    }
    if (certs_perform(plan.step, secret ? &present : NULL, owner->name, owner->uid, now_s, &next, err) < 0)
        return -1;
    return write_secret(client, owner, secret, &next, err) < 0 ? -1 : 0;
}

int owned_ensure_certificates(struct kube_client *client, const struct object_owner *owner, int64_t now_s,
    struct certs_content *ret_content, int64_t *ret_next_s, struct err *err)
{
    for (int i = 0; i < TRIES; i++) {
        int done = step(client, owner, now_s, ret_content, ret_next_s, err);
        if (done < 0)
            return err_wrap(err, "TLS secret");
        if (done)
            return 0;
    }
    return err_set(err, ERR_CONFLICT, "TLS secret: it changes each time that it is written");
}
