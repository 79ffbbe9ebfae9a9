#include <inttypes.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/fence_record.h"

enum { FENCE_FORMAT = 1, FENCE_TEXT_BYTES_MAX = 1024, UID_DIGITS = 16 };

static struct json *uid_to_json(uint64_t uid)
{
    char text[UID_DIGITS + 1];
    (void)snprintf(text, sizeof(text), "%016" PRIx64, uid);
    return json_string_new(text);
}

static int uid_from_json(const struct json *node, uint64_t *ret_uid, struct err *err)
{
    const char *text;
    uint64_t uid = 0;
    if (json_read_string(node, UID_DIGITS, &text, err) < 0)
        return -1;
    if (strlen(text) != UID_DIGITS)
        return json_error(node, err, "must be a uid of 16 hexadecimal digits");
    for (const char *digit = text; *digit; digit++) {
        const char *found = strchr("0123456789abcdef", *digit);
        if (!found)
            return json_error(node, err, "must be a uid of 16 hexadecimal digits");
        uid = uid << 4 | (uint64_t)(found - "0123456789abcdef");
    }
    *ret_uid = uid;
    return 0;
}

static void roster_to_json(struct json *record, const char *key, const struct roster *roster)
{
    struct json *object = json_set_object(record, key);
    (void)json_set_uint(object, "version", roster->version);
    struct json *members = json_set_array(object, "members");
    vec_for_each (member, &roster->members) {
        struct json *row = json_add_object(members);
        (void)json_set_take(row, "uid", uid_to_json(member->uid));
        (void)json_set_string(row, "node", member->node);
        (void)json_set_string(row, "podUid", member->pod_uid);
        (void)json_set_string(row, "linkAddress", member->link_address);
        (void)json_set_string(row, "gatewayAddress", member->gateway_address);
    }
}

struct json *fence_record_to_json(const struct fence_record *record)
{
    struct json *json = json_object_new();
    (void)json_set_int(json, "format", FENCE_FORMAT);
    (void)json_set_string(json, "system", record->system);
    (void)json_set_string(json, "systemUid", record->system_uid);
    (void)json_set_uint(json, "term", record->term);
    (void)json_set_int(json, "leaseMs", record->lease_ms);
    roster_to_json(json, "roster", &record->current);
    roster_to_json(json, "previousRoster", &record->previous);
    (void)json_set_bool(json, "committed", record->is_committed);
    struct json *dead = json_set_array(json, "dead");
    vec_for_each (uid, &record->dead_uids)
        (void)json_add_take(dead, uid_to_json(*uid));
    (void)json_set_uint(json, "nextSerial", record->next_serial);
    if (record->spread_nodes)
        (void)json_set_uint(json, "spreadNodes", record->spread_nodes);
    struct json *cordons = json_set_array(json, "cordons");
    vec_for_each (node, &record->cordons)
        (void)json_add_string(cordons, *node);
    struct json *quarantines = json_set_array(json, "quarantines");
    vec_for_each (quarantine, &record->quarantines) {
        struct json *row = json_add_object(quarantines);
        (void)json_set_string(row, "unit", quarantine->unit);
        (void)json_set_string(row, "reason", quarantine->reason);
        (void)json_set_int(row, "atMs", quarantine->at_wall_ms);
    }
    return json;
}

/* A text, or NULL where the record has null. */
static int text_from_json(const struct json *object, const char *key, char **ret_text, struct err *err)
{
    const struct json *node = json_get(object, key);
    const char *text;
    if (json_is_null(node))
        return 0;
    if (json_read_string(node, FENCE_TEXT_BYTES_MAX, &text, err) < 0)
        return -1;
    *ret_text = xstrdup(text);
    return 0;
}

static int expect_array(const struct json *object, const char *key, size_t count_max, struct err *err)
{
    const struct json *node = json_get(object, key);
    if (json_expect(node, JSON_ARRAY, err) < 0)
        return -1;
    if (json_count(node) > count_max)
        return json_error(node, err, "has more than %zu items", count_max);
    return 0;
}

static int member_from_json(const struct json *row, struct roster_member *member, struct err *err)
{
    if (uid_from_json(json_get(row, "uid"), &member->uid, err) < 0 ||
        text_from_json(row, "node", &member->node, err) < 0 ||
        text_from_json(row, "podUid", &member->pod_uid, err) < 0 ||
        text_from_json(row, "linkAddress", &member->link_address, err) < 0 ||
        text_from_json(row, "gatewayAddress", &member->gateway_address, err) < 0)
        return -1;
    return 0;
}

static int roster_from_json(
    const struct json *record, const char *key, struct roster *roster, struct err *err)
{
    const struct json *object = json_get(record, key);
    if (json_expect(object, JSON_OBJECT, err) < 0 ||
        json_read_uint(json_get(object, "version"), UINT64_MAX, &roster->version, err) < 0 ||
        expect_array(object, "members", LIMIT_NODES * 2, err) < 0)
        return -1;
    json_for_each(row, json_get(object, "members")) if (member_from_json(row, vec_push_new(&roster->members),
                                                            err) < 0) return -1;
    return 0;
}

static int lists_from_json(const struct json *json, struct fence_record *record, struct err *err)
{
    if (expect_array(json, "dead", FENCE_DEAD_UIDS_MAX, err) < 0 ||
        expect_array(json, "cordons", LIMIT_NODES, err) < 0 ||
        expect_array(json, "quarantines", LIMIT_UNITS, err) < 0)
        return -1;
    json_for_each(row,
        json_get(json, "dead")) if (uid_from_json(row, vec_push_new(&record->dead_uids), err) < 0) return -1;
    json_for_each(row, json_get(json, "cordons"))
    {
        const char *text;
        if (json_read_string(row, FENCE_TEXT_BYTES_MAX, &text, err) < 0)
            return -1;
        vec_push(&record->cordons, xstrdup(text));
    }
    json_for_each(row, json_get(json, "quarantines"))
    {
        const char *unit;
        const char *reason;
        int64_t at_ms;
        if (json_read_string(json_get(row, "unit"), LIMIT_ADDRESS_BYTES, &unit, err) < 0 ||
            json_read_string(json_get(row, "reason"), LIMIT_STATUS_TEXT_BYTES, &reason, err) < 0 ||
            json_read_int(json_get(row, "atMs"), 0, INT64_MAX, &at_ms, err) < 0)
            return -1;
        fence_record_add_quarantine(record, unit, reason, at_ms);
    }
    return 0;
}

static int record_from_json(const struct json *json, struct fence_record *record, struct err *err)
{
    int64_t format;
    uint64_t term, spread_nodes = 0;
    const struct json *spread = json_get(json, "spreadNodes");
    if (json_expect(json, JSON_OBJECT, err) < 0 ||
        json_read_int(json_get(json, "format"), FENCE_FORMAT, FENCE_FORMAT, &format, err) < 0 ||
        text_from_json(json, "system", &record->system, err) < 0 ||
        text_from_json(json, "systemUid", &record->system_uid, err) < 0 ||
        json_read_uint(json_get(json, "term"), UINT32_MAX, &term, err) < 0 ||
        json_read_int(json_get(json, "leaseMs"), 0, INT32_MAX, &record->lease_ms, err) < 0 ||
        roster_from_json(json, "roster", &record->current, err) < 0 ||
        roster_from_json(json, "previousRoster", &record->previous, err) < 0 ||
        json_read_bool(json_get(json, "committed"), &record->is_committed, err) < 0 ||
        json_read_uint(json_get(json, "nextSerial"), UINT64_MAX, &record->next_serial, err) < 0 ||
        (!json_is_null(spread) && json_read_uint(spread, UINT32_MAX, &spread_nodes, err) < 0))
        return -1;
    record->spread_nodes = (uint32_t)spread_nodes;
    record->term = (uint32_t)term;
    return lists_from_json(json, record, err);
}

int fence_record_from_json(const struct json *json, struct fence_record *ret_record, struct err *err)
{
    struct fence_record record = {0};
    if (record_from_json(json, &record, err) < 0) {
        fence_record_done(&record);
        return -1;
    }
    *ret_record = record;
    return 0;
}
