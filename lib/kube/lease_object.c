#include "kube/lease_object.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/election.h"
#include "kube/meta.h"
#include "kube/micro_time.h"
#include "kube/resource.h"

enum { TEXT_MAX = 1024 };

/* "" when it is not there. */
static int read_text(const struct json *spec, const char *key, char **ret_text, struct err *err)
{
    const char *text = "";
    const struct json *node = json_get(spec, key);
    if (!json_is_null(node) && json_read_string(node, TEXT_MAX, &text, err) < 0)
        return -1;
    *ret_text = xstrdup(text);
    return 0;
}

static int read_number(const struct json *spec, const char *key, int64_t *ret_number, struct err *err)
{
    const struct json *node = json_get(spec, key);
    return json_is_null(node) ? 0 : json_read_int(node, 0, INT32_MAX, ret_number, err);
}

int lease_object_read(
    const struct json *json, const char *annotation, struct election_record *ret_record, struct err *err)
{
    _cleanup_(election_record_done) struct election_record record = {0};
    const struct json *spec = json_get(json, "spec");
    int64_t duration_s = 0;
    if (!*kube_meta_resource_version(json))
        return err_set(err, ERR_INVALID, "a Lease without metadata.resourceVersion");
    record.version = xstrdup(kube_meta_resource_version(json));
    if (read_text(spec, "holderIdentity", &record.holder, err) < 0 ||
        read_text(spec, "acquireTime", &record.acquired, err) < 0 ||
        read_number(spec, "leaseDurationSeconds", &duration_s, err) < 0 ||
        read_number(spec, "leaseTransitions", &record.transitions, err) < 0)
        return err_wrap(err, "a Lease");
    record.duration_ms = duration_s * MS_PER_S;
    const char *known = annotation ? kube_meta_annotation(json, annotation) : NULL;
    if (known)
        (void)text_to_u64(known, UINT64_MAX, &record.known_version, NULL); /* 0, as said */
    *ret_record = record;
    record = (struct election_record){0};
    return 0;
}

void lease_object_write(const struct election_request *request, const char *namespace, const char *name,
    const char *annotation, int64_t wall_ms, struct str *body)
{
    const struct election_record *record = request->record;
    char now[KUBE_MICRO_TIME_BYTES];
    kube_micro_time(wall_ms, now);
    _cleanup_(json_freep) struct json *object = json_object_new();
    struct json *metadata = kube_meta_begin(object, &KUBE_LEASES, namespace, name);
    if (request->step == ELECTION_REPLACE)
        json_set_string(metadata, "resourceVersion", record->version);
    if (annotation && record->known_version > 0)
        json_set_stringf(
            json_set_object(metadata, "annotations"), annotation, "%" PRIu64, record->known_version);
    struct json *spec = json_set_object(object, "spec");
    if (*record->holder)
        json_set_string(spec, "holderIdentity", record->holder);
    json_set_int(spec, "leaseDurationSeconds", (record->duration_ms + MS_PER_S - 1) / MS_PER_S);
    const char *acquired = request->is_acquisition || !*record->acquired ? now : record->acquired;
    json_set_string(spec, "acquireTime", acquired);
    json_set_string(spec, "renewTime", now);
    json_set_int(spec, "leaseTransitions", record->transitions);
    json_write(object, JSON_COMPACT, body);
}
