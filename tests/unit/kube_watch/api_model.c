#include "unit/kube_watch/api_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { TEXT_MAX = 1 << 20 };

void api_model_init(struct api_model *model, uint64_t seed, bool can_stream)
{
    *model = (struct api_model){.can_stream = can_stream, .cached = 1};
    rng_seed(&model->rng, seed);
    api_model_write(model);
}

void api_model_done(struct api_model *model)
{
    vec_done(&model->history);
}

uint64_t api_model_version(const struct api_model *model)
{
    return model->history.count;
}

void api_model_state(
    const struct api_model *model, uint64_t version, struct model_object objects[MODEL_NAMES])
{
    memset(objects, 0, MODEL_NAMES * sizeof(*objects));
    for (uint64_t i = 0; i < version; i++) {
        const struct model_change *change = &model->history.items[i];
        if (change->name < 0)
            continue;
        struct model_object *object = &objects[change->name];
        *object = change->is_removal ? (struct model_object){0}
                                     : (struct model_object){change->version, change->uid, change->color};
    }
}

void api_model_write(struct api_model *model)
{
    struct model_object objects[MODEL_NAMES];
    api_model_state(model, api_model_version(model), objects);
    struct model_change change = {.version = api_model_version(model) + 1, .name = -1};
    if (!rng_one_in(&model->rng, 5)) {
        change.name = (int)rng_below(&model->rng, MODEL_NAMES);
        struct model_object *object = &objects[change.name];
        change.is_removal = object->version > 0 && rng_one_in(&model->rng, 3);
        change.uid = object->version > 0 ? object->uid : ++model->uids;
        change.color = change.is_removal ? object->color : (unsigned)rng_below(&model->rng, 1000);
    }
    vec_push(&model->history, change);
}

static void append_object(struct str *text, int name, uint64_t version, unsigned uid, unsigned color)
{
    str_appendf(text,
        "{\"metadata\":{\"namespace\":\"x\",\"name\":\"n%d\",\"uid\":\"u%u\",\"resourceVersion\":\"%" PRIu64
        "\"},\"color\":\"c%u\"}",
        name, uid, version, color);
}

static void refuse(struct model_answer *answer, int code, const char *reason, const char *cause)
{
    char body[400];
    int size = snprintf(body, sizeof(body),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"%s\",\"code\":%d,"
        "\"message\":\"no\",\"details\":{\"causes\":[{\"reason\":\"%s\",\"message\":\"no\"}]}}",
        reason, code, cause);
    kube_status_from_answer(code, body, (size_t)size, 0, &answer->status);
    (void)kube_status_error(&answer->status, &answer->err);
    answer->is_refused = true;
}

/* The version that the server answers from, or 0 and a refusal. */
static uint64_t choose_version(
    struct api_model *model, const struct reflector_request *request, struct model_answer *answer)
{
    uint64_t wanted = 0;
    if (!*request->version) {
        model->cached = api_model_version(model);
    } else if (text_to_u64(request->version, UINT64_MAX, &wanted, NULL) < 0 || wanted > model->cached) {
        /* It waits until the cache has come that far, or gives up. */
        if (wanted > api_model_version(model) || (model->has_faults && rng_one_in(&model->rng, 2))) {
            refuse(answer, 504, "Timeout", "ResourceVersionTooLarge");
            return 0;
        }
        model->cached = wanted;
    }
    /* A server that answers with less than was asked for. */
    if (model->lies && rng_one_in(&model->rng, 10))
        return 1 + rng_below(&model->rng, model->cached);
    return model->cached;
}

static void answer_page(struct model_answer *answer, const struct model_object *objects, int first,
    int64_t count_max, uint64_t version)
{
    int name = first;
    int64_t count = 0;
    str_append(&answer->text, "{\"items\":[");
    for (; name < MODEL_NAMES && (count_max < 0 || count < count_max); name++) {
        if (objects[name].version == 0)
            continue;
        str_append(&answer->text, count++ ? "," : "");
        append_object(&answer->text, name, objects[name].version, objects[name].uid, objects[name].color);
    }
    str_appendf(
        &answer->text, "],\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", version);
    if (name < MODEL_NAMES)
        str_appendf(&answer->text, ",\"continue\":\"%" PRIu64 "-%d\"", version, name);
    str_append(&answer->text, "}}");
}

static void answer_list(
    struct api_model *model, const struct reflector_request *request, struct model_answer *answer)
{
    int first = 0;
    uint64_t version;
    if (*request->continue_token) {
        if (sscanf(request->continue_token, "%" SCNu64 "-%d", &version, &first) != 2 ||
            version < model->compacted) {
            refuse(answer, 410, "Expired", "");
            return;
        }
    } else {
        version = choose_version(model, request, answer);
        if (answer->is_refused)
            return;
    }
    struct model_object objects[MODEL_NAMES];
    api_model_state(model, version, objects);
    /* Pages of 3, so that there are some. */
    answer_page(answer, objects, first, request->page_count_max < 0 ? -1 : 3, version);
}

static void answer_stream(
    struct api_model *model, const struct reflector_request *request, struct model_answer *answer)
{
    if (!model->can_stream) {
        refuse(answer, 422, "Invalid", "");
        return;
    }
    uint64_t version = choose_version(model, request, answer);
    if (answer->is_refused)
        return;
    struct model_object objects[MODEL_NAMES];
    api_model_state(model, version, objects);
    for (int name = 0; name < MODEL_NAMES; name++) {
        if (objects[name].version == 0)
            continue;
        str_append(&answer->text, "{\"type\":\"ADDED\",\"object\":");
        append_object(&answer->text, name, objects[name].version, objects[name].uid, objects[name].color);
        str_append(&answer->text, "}\n");
    }
    str_appendf(&answer->text,
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%" PRIu64
        "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
        version);
    answer->next = version;
}

static void answer_watch(
    struct api_model *model, const struct reflector_request *request, struct model_answer *answer)
{
    (void)text_to_u64(request->version, UINT64_MAX, &answer->next, NULL); /* a reflector wrote it */
    if (answer->next < model->compacted && rng_one_in(&model->rng, 2))
        refuse(answer, 410, "Gone", "");
    else if (answer->next < model->compacted)
        api_model_error_line(&answer->text, 410, "Expired");
    else if (answer->next > api_model_version(model))
        refuse(answer, 504, "Timeout", "ResourceVersionTooLarge");
}

void api_model_answer(
    struct api_model *model, const struct reflector_request *request, struct model_answer *ret_answer)
{
    *ret_answer = (struct model_answer){0};
    str_init(&ret_answer->text, TEXT_MAX);
    if (request->step == REFLECTOR_LIST)
        answer_list(model, request, ret_answer);
    else if (request->step == REFLECTOR_STREAM)
        answer_stream(model, request, ret_answer);
    else
        answer_watch(model, request, ret_answer);
}

void model_answer_done(struct model_answer *answer)
{
    kube_status_done(&answer->status);
    str_done(&answer->text);
}

void api_model_events(struct api_model *model, struct model_answer *answer)
{
    for (; answer->next < model->cached; answer->next++) {
        const struct model_change *change = &model->history.items[answer->next];
        if (change->name < 0)
            continue;
        struct model_object before[MODEL_NAMES];
        api_model_state(model, answer->next, before);
        const char *type = change->is_removal                 ? "DELETED"
                           : before[change->name].version > 0 ? "MODIFIED"
                                                              : "ADDED";
        str_appendf(&answer->text, "{\"type\":\"%s\",\"object\":", type);
        append_object(&answer->text, change->name, change->version, change->uid, change->color);
        str_append(&answer->text, "}\n");
    }
}

void api_model_bookmark(struct api_model *model, struct model_answer *answer)
{
    api_model_events(model, answer);
    str_appendf(&answer->text,
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"}}}\n",
        answer->next);
}

void api_model_error_line(struct str *text, int code, const char *reason)
{
    str_appendf(text,
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
        "\"reason\":\"%s\",\"code\":%d,\"message\":\"no\"}}\n",
        reason, code);
}
