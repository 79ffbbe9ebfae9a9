#include "base/epoch.h"
#include "base/err.h"
#include "base/json.h"
#include "core/state.h"
#include "types/unit.h"

struct json *core_explain(const struct core *core, const char *name, struct err *err)
{
    const struct unit *unit = unit_find(core, name);
    char epoch[EPOCH_TEXT_BYTES];
    if (!unit) {
        (void)err_set(err, ERR_NOT_FOUND, "no unit '%.200s' in this system", name);
        return NULL;
    }
    const struct hold *hold = unit_hold(unit);
    const struct node *node = hold ? node_by_uid(core, hold->uid) : NULL;
    struct json *json = json_object_new();
    (void)json_set_string(json, "unit", unit->name);
    (void)json_set_string(json, "node", node ? node->name : NULL);
    (void)json_set_string(json, "epoch", epoch_format(hold ? hold->epoch : unit->last_epoch, epoch));
    (void)json_set_string(json, "state", unit_state_name(core, unit));
    (void)json_set_string(json, "rule", unit->rule);
    (void)json_set_string(json, "reason", unit->reason);
    (void)json_set_uint(json, "restarts", unit->restarts);
    if (unit->explanation.unit)
        (void)json_set_take(json, "placement", placement_explanation_to_json(&unit->explanation));
    else
        (void)json_set_null(json, "placement");
    return json;
}
