#include "kube/watch.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "kube/meta.h"
#include "kube/object_text.h"

enum { VERSION_BYTES = 24 }; /* of a number and its NUL */

static enum kube_watch_type type_of(const char *text)
{
    static const struct {
        const char *name;
        enum kube_watch_type type;
    } types[] = {{"ADDED", KUBE_WATCH_ADDED}, {"MODIFIED", KUBE_WATCH_MODIFIED},
        {"DELETED", KUBE_WATCH_DELETED}, {"BOOKMARK", KUBE_WATCH_BOOKMARK}, {"ERROR", KUBE_WATCH_ERROR}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (text_equal(text, types[i].name))
            return types[i].type;
    }
    return KUBE_WATCH_OTHER;
}

static int read_object(struct kube_watch_event *event, struct err *err)
{
    event->version = kube_meta_resource_version_number(event->object);
    if (event->version == 0)
        return err_set(err, ERR_INVALID,
            "a watch event whose metadata.resourceVersion \"%s\" is not a number above 0",
            kube_meta_resource_version(event->object));
    if (event->type == KUBE_WATCH_BOOKMARK) {
        const char *mark = kube_meta_annotation(event->object, "k8s.io/initial-events-end");
        event->ends_initial = text_equal(mark, "true");
        return 0;
    }
    if (!*kube_meta_name(event->object))
        return err_set(err, ERR_INVALID, "a watch event whose object has no metadata.name");
    return 0;
}

int kube_watch_event_read(const char *text, size_t size, struct kube_watch_event *ret_event, struct err *err)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    if (kube_event_text_parse(text, size, &tree, err) < 0)
        return err_wrap(err, "a watch event");
    struct kube_watch_event event = {.object = json_get(tree, "object")};
    const char *type = NULL;
    if (json_read_string(json_get(tree, "type"), 64, &type, NULL) < 0 ||
        json_type(event.object) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "a line of a watch that is no event with type and object");
    event.type = type_of(type);
    if (event.type == KUBE_WATCH_ERROR) {
        if (kube_status_decode(event.object, &event.status, err) < 0)
            return err_wrap(err, "an ERROR event");
    } else if (event.type != KUBE_WATCH_OTHER && read_object(&event, err) < 0) {
        return -1;
    }
    event.tree = steal_ptr(&tree);
    *ret_event = event;
    return 0;
}

/* Without its quotes. */
static bool take_text(const struct kube_part *part, struct kube_part *ret_text)
{
    if (part->value[0] != '"' || memchr(part->value, '\\', part->value_size))
        return false;
    *ret_text = (struct kube_part){.value = part->value + 1, .value_size = part->value_size - 2};
    return true;
}

static bool take_version(const struct kube_part *part, uint64_t *ret_version)
{
    char digits[VERSION_BYTES] = "";
    struct kube_part text;
    if (!take_text(part, &text) || text.value_size >= sizeof(digits))
        return false;
    memcpy(digits, text.value, text.value_size);
    return text_to_u64(digits, UINT64_MAX, ret_version, NULL) == 0;
}

static bool take_part(const struct kube_part *part, struct kube_watch_head *head)
{
    if (kube_part_is(part, "namespace"))
        return take_text(part, &head->namespace);
    if (kube_part_is(part, "name"))
        return take_text(part, &head->name);
    if (kube_part_is(part, "uid"))
        return take_text(part, &head->uid);
    return !kube_part_is(part, "resourceVersion") || take_version(part, &head->version);
}

bool kube_watch_head_read(const char *text, size_t size, struct kube_watch_head *ret_head)
{
    struct kube_split split;
    struct kube_part part;
    struct kube_watch_head head = {0};
    if (kube_split_begin(text, size, '{', &split, NULL) < 0 || kube_split_next(&split, &part, NULL) <= 0 ||
        !kube_part_is(&part, "type") || part.value_size != strlen("\"ADDED\"") ||
        memcmp(part.value, "\"ADDED\"", part.value_size) != 0 ||
        kube_split_enter(&split, "object", NULL) <= 0 || kube_split_enter(&split, "metadata", NULL) <= 0)
        return false;
    while (!head.name.value || !head.uid.value || !head.version)
        if (kube_split_next(&split, &part, NULL) <= 0 || !take_part(&part, &head))
            return false;
    *ret_head = head;
    return true;
}

void kube_watch_event_done(struct kube_watch_event *event)
{
    kube_status_done(&event->status);
    json_free(event->tree);
}
