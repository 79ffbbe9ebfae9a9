#include "api/placement_row.h"

#include "api/cut.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/status.h"

static const char *cut(const char *text, char *buffer)
{
    size_t size = cut_size(text, ROW_TEXT_BYTES_MAX);
    memcpy(buffer, text, size);
    buffer[size] = '\0';
    return buffer;
}

void placement_row_of_status(struct placement_row *row, const struct status_unit *unit,
    const struct status_actor *actor, const struct status_node *node)
{
    uint64_t epoch = actor ? actor->epoch : unit->epoch;
    row->path = actor ? actor->path : unit->unit;
    row->unit = unit->unit;
    row->node = actor ? actor->node : unit->node;
    row->kube_node = node ? node->kube_node : "";
    row->state = actor ? actor->state : unit->state;
    row->reason = text_equal(unit->state, "Running") ? "" : cut(unit->reason, row->reason_buffer);
    row->rule = unit->rule;
    row->epoch = epoch ? epoch_format(epoch, row->epoch_buffer) : "";
    row->last_exit = actor ? cut(actor->last_exit, row->last_exit_buffer) : "";
    row->last_exit_at = "";
    if (actor && actor->last_exit_wall_ms)
        row->last_exit_at = clock_format_wall(actor->last_exit_wall_ms, row->time_buffer);
    row->incarnation = actor ? actor->incarnation : 0;
    row->restarts = unit->restarts;
}

void placement_row_of_json(struct placement_row *row, const struct json *json)
{
    row->path = json_string(json_get(json, "path"));
    row->unit = json_string(json_get(json, "unit"));
    row->node = json_string(json_get(json, "node"));
    row->kube_node = json_string(json_get(json, "kubeNode"));
    row->state = json_string(json_get(json, "state"));
    row->reason = json_string(json_get(json, "reason"));
    row->rule = json_string(json_get(json, "rule"));
    row->epoch = json_string(json_get(json, "epoch"));
    row->last_exit = json_string(json_get(json, "lastExit"));
    row->last_exit_at = json_string(json_get(json, "lastExitAt"));
    row->incarnation = json_uint(json_get(json, "incarnation"));
    row->restarts = json_uint(json_get(json, "restarts"));
}

static void set_text(struct json *object, const char *key, const char *text)
{
    if (text[0])
        (void)json_set_string(object, key, text);
}

void placement_row_to_json(const struct placement_row *row, struct json *ret_object)
{
    (void)json_set_string(ret_object, "path", row->path);
    (void)json_set_string(ret_object, "unit", row->unit);
    set_text(ret_object, "node", row->node);
    set_text(ret_object, "kubeNode", row->kube_node);
    set_text(ret_object, "state", row->state);
    set_text(ret_object, "reason", row->reason);
    set_text(ret_object, "rule", row->rule);
    set_text(ret_object, "epoch", row->epoch);
    (void)json_set_uint(ret_object, "incarnation", row->incarnation);
    if (row->restarts)
        (void)json_set_uint(ret_object, "restarts", row->restarts);
    set_text(ret_object, "lastExit", row->last_exit);
    set_text(ret_object, "lastExitAt", row->last_exit_at);
}

/* A text and its end, so that neighbours cannot run into each other. */
static uint64_t mix(uint64_t digest, const char *text)
{
    return hash_u64(digest ^ hash_bytes(text, strlen(text) + 1));
}

uint64_t placement_row_digest(const struct placement_row *row, uint64_t digest)
{
    digest = mix(digest, row->path);
    digest = mix(digest, row->unit);
    digest = mix(digest, row->node);
    digest = mix(digest, row->kube_node);
    digest = mix(digest, row->state);
    digest = mix(digest, row->reason);
    digest = mix(digest, row->rule);
    digest = mix(digest, row->epoch);
    digest = mix(digest, row->last_exit);
    digest = mix(digest, row->last_exit_at);
    digest = hash_u64(digest ^ row->incarnation);
    digest = hash_u64(digest ^ row->restarts);
    return digest ? digest : 1;
}
