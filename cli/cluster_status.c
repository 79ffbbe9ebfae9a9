#include "cli/cluster_status.h"

#include "api/names.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/verbs.h"

/* A unit's row, made from the first row of its actors: an object has rows of actors, and one for a unit that
 * has none. */
static void add_unit(struct json *units, const struct json *row)
{
    static const char *const same[] = {"unit", "node", "state", "epoch", "rule", "reason"};
    struct json *unit = json_add_object(units);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        json_set_string(unit, same[i], json_string(json_get(row, same[i])));
    json_set_uint(unit, "restarts", json_uint(json_get(row, "restarts")));
}

struct placements {
    struct json *status;
    struct json *units, *actors; /* in it */
    struct map seen;             /* units */
};

static int add_placement(const struct json *object, void *ctx, struct err *err)
{
    struct placements *placements = ctx;
    (void)err; /* an object of the API cannot be wrong here */
    json_for_each(row, json_get(object, "actors"))
    {
        const char *unit = json_string(json_get(row, "unit"));
        if (!map_has(&placements->seen, unit)) {
            (void)map_put(&placements->seen, unit, placements); /* it was not there */
            add_unit(placements->units, row);
        }
        json_add_take(placements->actors, json_dup(row));
    }
    return 0;
}

/* Begins anew: the lists replace those that were there. */
static void forget_placements(void *ctx)
{
    struct placements *placements = ctx;
    placements->units = json_set_array(placements->status, "unitStatuses");
    placements->actors = json_set_array(placements->status, "actorStatuses");
    map_done(&placements->seen, NULL);
}

static int read_placements(struct kube_client *client, const char *namespace, const char *system,
    struct json *status, struct err *err)
{
    _cleanup_(cleanup_free) char *selector = xasprintf("%s=%s", API_LABEL_SYSTEM, system);
    struct kube_list_request request = {
        .resource = &API_ACTOR_PLACEMENTS, .namespace = namespace, .label_selector = selector};
    struct kube_list_events events = {.item = add_placement, .restart = forget_placements};
    struct placements placements = {.status = status};
    forget_placements(&placements);
    int failed = kube_list(client, &request, &events, &placements, NULL, NULL, err);
    map_done(&placements.seen, NULL);
    return failed;
}

/* The status of an object as a local run would tell it. */
static struct json *status_of(const struct json *object)
{
    const struct json *told = json_get(object, "status");
    struct json *status = told ? json_dup(told) : json_object_new();
    const struct json *exits = json_get(status, "recentExits");
    json_set_string(status, "system", kube_meta_name(object));
    json_set_string(status, "namespace", kube_meta_namespace(object));
    json_set_string(status, "startedAt", kube_meta_creation_timestamp(object));
    json_set_take(status, "exits", exits ? json_dup(exits) : json_array_new());
    return status;
}

int cluster_status_read(struct kube_client *client, const char *namespace, const char *system,
    struct json **ret_status, struct err *err)
{
    struct kube_target target = {.resource = &API_ACTOR_SYSTEMS, .namespace = namespace, .name = system};
    _cleanup_(json_freep) struct json *object = NULL;
    _cleanup_(json_freep) struct json *status = NULL;
    if (kube_get(client, &target, NULL, &object, NULL, err) < 0)
        return err_wrap(err, "actorsystem \"%s\" of namespace \"%s\"", system, namespace);
    status = status_of(object);
    if (read_placements(client, namespace, system, status, err) < 0)
        return err_wrap(err, "actorplacements");
    *ret_status = steal_ptr(&status);
    return 0;
}

static int add_system(const struct json *object, void *ctx, struct err *err)
{
    (void)err; /* an object of the API cannot be wrong here */
    json_add_take(*(struct json **)ctx, status_of(object));
    return 0;
}

static void forget_systems(void *ctx)
{
    struct json **statuses = ctx;
    json_free(*statuses);
    *statuses = json_array_new();
}

int cluster_status_list(
    struct kube_client *client, const char *namespace, struct json **ret_statuses, struct err *err)
{
    struct kube_list_request request = {.resource = &API_ACTOR_SYSTEMS, .namespace = namespace};
    struct kube_list_events events = {.item = add_system, .restart = forget_systems};
    _cleanup_(json_freep) struct json *statuses = json_array_new();
    if (kube_list(client, &request, &events, &statuses, NULL, NULL, err) < 0)
        return err_wrap(err, "actorsystems");
    *ret_statuses = steal_ptr(&statuses);
    return 0;
}
