#include "api/actor_system_object.h"

#include <string.h>

#include "api/manifest.h"
#include "api/names.h"
#include "api/problems.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/meta.h"
#include "types/system.h"

#define CODE_FOLDER "/app" /* of a Pod */

enum {
    NAME_BYTES_MAX = 253,
    REQUESTS_MAX = 1000,
    MORE_BYTES = 32, /* "; and 100 more" */
};

/* What a person wrote in one line is all in one line here: lines say nothing. */
static void forget_lines(struct json *node)
{
    json_set_line(node, 0);
    json_for_each(item, node) forget_lines(item);
}

/* The part of the object that a person writes, as a manifest; the rest is the API server's. */
static struct json *manifest_of(const struct json *object)
{
    struct json *document = json_object_new();
    struct json *metadata;
    (void)json_set_string(document, "apiVersion", SYSTEM_API_VERSION);
    (void)json_set_string(document, "kind", SYSTEM_KIND);
    metadata = json_set_object(document, "metadata");
    (void)json_set_string(metadata, "name", kube_meta_name(object));
    (void)json_set_string(metadata, "namespace", kube_meta_namespace(object));
    if (!json_is_null(json_get(object, "spec")))
        forget_lines(json_set_take(document, "spec", json_dup(json_get(object, "spec"))));
    return document;
}

/* "field: what; field: what", as much as a status may hold. */
static char *join_problems(const struct api_problems *problems)
{
    struct str text = STR_INIT(LIMIT_STATUS_TEXT_BYTES);
    size_t told = 0;
    vec_for_each (problem, &problems->items) {
        size_t size = strlen(problem->path) + strlen(problem->text) + strlen("; : ");
        if (told && text.size + size + MORE_BYTES > LIMIT_STATUS_TEXT_BYTES)
            break;
        str_appendf(&text, "%s%s%s%.700s", told ? "; " : "", problem->path, problem->path[0] ? ": " : "",
            problem->text);
        told++;
    }
    size_t left = problems->items.count - told + problems->left_out;
    if (left)
        str_appendf(&text, "; and %zu more", left);
    return str_steal(&text);
}

/* A node loads from its code folder only; here it is known which field says otherwise. */
static int check_library(void *ctx, const struct library_spec *library, struct err *err)
{
    (void)ctx;
    const char *path = library->path;
    for (const char *at = path; *at; at += strspn(at, "/")) {
        size_t size = strcspn(at, "/");
        if (size == 2 && memcmp(at, "..", 2) == 0)
            return err_set(err, ERR_INVALID, "must not lead out of the code folder " CODE_FOLDER);
        at += size;
    }
    if (path[0] == '/' && strncmp(path, CODE_FOLDER "/", strlen(CODE_FOLDER "/")) != 0)
        return err_set(err, ERR_INVALID, "must be below the code folder " CODE_FOLDER ", or relative to it");
    return 0;
}

static const struct api_checks kubernetes_checks = {.library = check_library};

static void decode_spec(const struct json *object, struct actor_system_object *system)
{
    _cleanup_(json_freep) struct json *document = manifest_of(object);
    struct api_problems problems;
    api_problems_init(&problems, NULL);
    const struct json *spec = json_get(document, "spec");
    if (json_type(spec) == JSON_STRING) /* kube/object_text.h: more than a tree holds */
        api_problems_add(&problems, 0, "spec", "cannot be read: %s", json_string(spec));
    else
        system->spec = manifest_decode(document, &kubernetes_checks, &problems);
    const char *name = json_string(json_get(json_get(document, "metadata"), "name"));
    if (name && name[0] >= '0' && name[0] <= '9') {
        api_problems_add(&problems, 0, "metadata.name",
            "must begin with a letter, as the Service of the system has its name; make it anew as \"s%s\"",
            name);
        system_spec_unref(system->spec);
        system->spec = NULL;
    }
    if (system->spec)
        system->spec->generation = system->generation;
    system->problems = join_problems(&problems);
    api_problems_done(&problems);
}

/* Of a unit or of a node. */
static bool is_name(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size > NAME_BYTES_MAX || text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-")])
        return false;
    return !strchr(".-", text[0]) && !strchr(".-", text[size - 1]);
}

static void refuse(struct api_problems *problems, const char *key, const char *item, const char *expected)
{
    api_problems_add(problems, 0, key, "'%.100s' must be %s", item, expected);
}

/* item is a copy that may be cut apart. */
static void decode_item(struct actor_system_object *system, struct api_problems *problems,
    enum system_verb verb, const char *key, char *item)
{
    char *target = verb == SYSTEM_MOVE ? strchr(item, '=') : NULL;
    if (verb == SYSTEM_MOVE && (!target || !is_name(target + 1))) {
        refuse(problems, key, item, "UNIT=NODE, e.g. tellers.0=bank-nodes-3");
        return;
    }
    if (target)
        *target++ = '\0';
    if (!is_name(item)) {
        refuse(problems, key, item, verb == SYSTEM_FORGET ? "the name of a node" : "the name of a unit");
    } else if (system->requests.count >= REQUESTS_MAX) {
        refuse(problems, key, item, "asked for later: there are more than 1000");
    } else {
        struct system_request *request = vec_push_new(&system->requests);
        *request = (struct system_request){verb, xstrdup(item), xstrdup(target ? target : "")};
    }
}

static void decode_annotation(struct actor_system_object *system, struct api_problems *problems,
    const struct json *object, enum system_verb verb, const char *key)
{
    const char *text = kube_meta_annotation(object, key);
    char *rest = NULL;
    if (!text)
        return;
    system->has_requests = true;
    _cleanup_(cleanup_free) char *copy = xstrdup(text);
    for (char *item = strtok_r(copy, ", \t\n", &rest); item; item = strtok_r(NULL, ", \t\n", &rest))
        decode_item(system, problems, verb, key, item);
}

static void decode_requests(const struct json *object, struct actor_system_object *system)
{
    struct api_problems problems;
    api_problems_init(&problems, NULL);
    decode_annotation(system, &problems, object, SYSTEM_RESUME, API_ANNOTATION_RESUME);
    decode_annotation(system, &problems, object, SYSTEM_MOVE, API_ANNOTATION_MOVE);
    decode_annotation(system, &problems, object, SYSTEM_FORGET, API_ANNOTATION_FORGET);
    system->request_problems = join_problems(&problems);
    api_problems_done(&problems);
}

struct kube_object *actor_system_object_decode(const struct json *json, void *ctx, struct err *err)
{
    (void)ctx;
    if (json_expect(json, JSON_OBJECT, err) < 0)
        return NULL;
    struct actor_system_object *system = xcalloc(1, sizeof(*system));
    system->generation = kube_meta_generation(json);
    system->is_deleting = kube_meta_is_deleted(json);
    decode_spec(json, system);
    decode_requests(json, system);
    return &system->head;
}

void actor_system_object_release(struct kube_object *object)
{
    struct actor_system_object *system = (struct actor_system_object *)object; /* head is the first member */
    if (!system)
        return;
    system_spec_unref(system->spec);
    free(system->problems);
    vec_for_each (request, &system->requests) {
        free(request->subject);
        free(request->target);
    }
    vec_done(&system->requests);
    free(system->request_problems);
    free(system);
}
