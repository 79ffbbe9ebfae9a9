/* SPAWN: a tree that the code of an actor describes, in the words of the manifest. */
#include "actor/supervisor.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/value.h"
#include "host/private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHUTDOWN_DEFAULT_MS = 5000,
    RESTARTS_DEFAULT = 3,
    PERIOD_DEFAULT_MS = 5000,
    RESTARTS_MAX = 1000 * 1000
};

/* A tree, and the texts that it points to. */
struct spawn {
    struct actor_unit_spec tree;
    VEC(struct actor_child_spec) children;
    VEC(char *) texts;
};

static void spawn_done(struct spawn *spawn)
{
    vec_for_each (text, &spawn->texts)
        free(*text);
    vec_done(&spawn->texts);
    vec_done(&spawn->children);
}

/* ---- reading ---- */

/* The text under key as a NUL-ended copy; NULL: there is none. */
static const char *read_text(struct spawn *spawn, struct value map, const char *key)
{
    const char *text;
    size_t size;
    if (!value_get_string(value_find(map, key), &text, &size) || size > LIMIT_ADDRESS_BYTES)
        return NULL;
    vec_push(&spawn->texts, xstrndup(text, size));
    return spawn->texts.items[spawn->texts.count - 1];
}

/* One of the names under key, `fallback` when nothing is there; -1: it is none of them. */
static int read_choice(
    struct spawn *spawn, struct value map, const char *key, const char *const *names, int fallback)
{
    struct value value = value_find(map, key);
    if (value_type(value) == VALUE_NONE || value_type(value) == VALUE_NIL)
        return fallback;
    const char *text = read_text(spawn, map, key);
    for (int i = 0; text && names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static uint32_t read_number(struct value map, const char *key, uint32_t fallback, uint32_t maximum)
{
    uint64_t number;
    if (!value_get_uint(value_find(map, key), &number))
        return fallback;
    return number < maximum ? (uint32_t)number : maximum;
}

static int read_behavior(
    struct spawn *spawn, struct value map, struct actor_child_spec *child, struct err *err)
{
    struct value behavior = value_find(map, "behavior");
    bool is_python = value_type(value_find(behavior, "python")) == VALUE_STRING;
    child->behavior = read_text(spawn, behavior, is_python ? "python" : "c");
    if (value_type(behavior) == VALUE_NONE || value_type(behavior) == VALUE_NIL)
        return 0;
    if (!child->behavior || strlen(child->behavior) > LIMIT_BEHAVIOR_NAME_BYTES ||
        (strchr(child->behavior, ':') != NULL) != is_python)
        return err_set(
            err, ERR_INVALID, "behavior must be \"module:Class\" of Python or \"library.name\" of C");
    return 0;
}

static int read_isolation(
    struct spawn *spawn, struct value map, struct actor_child_spec *child, struct err *err)
{
    static const char *const names[] = {"Node", "Shared", "Group", "Process", "Spawner", NULL};
    bool is_python = child->behavior && strchr(child->behavior, ':');
    int isolation = read_choice(
        spawn, map, "isolation", names, is_python ? ACTOR_ISOLATION_SHARED : ACTOR_ISOLATION_NODE);
    bool is_for_c_only = isolation == ACTOR_ISOLATION_NODE || isolation == ACTOR_ISOLATION_SPAWNER;
    if (isolation < 0 || (is_python && is_for_c_only))
        return err_set(
            err, ERR_INVALID, "isolation must be Shared, Group or Process; of actors in C also Node");
    child->isolation = (enum actor_isolation)isolation;
    return 0;
}

static int read_mailbox(
    struct spawn *spawn, struct value map, struct actor_child_spec *child, struct err *err)
{
    static const char *const overflows[] = {"Wait", "Fail", "DropOldest", "DropNewest", NULL};
    static const char *const keeps[] = {"Keep", "Drop", NULL};
    struct value mailbox = value_find(map, "mailbox");
    int overflow = read_choice(spawn, mailbox, "overflow", overflows, ACTOR_WAIT);
    int keep = read_choice(spawn, mailbox, "on_restart", keeps, 0);
    if (overflow < 0 || keep < 0)
        return err_set(err, ERR_INVALID, "mailbox: overflow or on_restart is unknown");
    child->mailbox_capacity = read_number(mailbox, "capacity", 0, LIMIT_MAILBOX_CAPACITY);
    child->overflow = (enum actor_overflow)overflow;
    child->drop_mailbox_on_restart = keep == 1;
    return 0;
}

static int read_supervisor(
    struct spawn *spawn, struct value map, struct actor_child_spec *child, struct err *err)
{
    static const char *const strategies[] = {"OneForOne", "OneForAll", "RestForOne", NULL};
    struct value supervisor = value_find(map, "supervisor");
    bool is_there = value_type(supervisor) == VALUE_MAP;
    int strategy = read_choice(spawn, supervisor, "strategy", strategies, ACTOR_ONE_FOR_ONE);
    if (strategy < 0)
        return err_set(err, ERR_INVALID, "strategy must be OneForOne, OneForAll or RestForOne");
    child->is_supervisor =
        is_there && !child->behavior; /* beside a behavior: how its own restarts are counted */
    child->strategy = (enum actor_strategy)strategy;
    child->restarts_max = read_number(supervisor, "restarts", RESTARTS_DEFAULT, RESTARTS_MAX);
    child->period_ms = read_number(supervisor, "period_ms", PERIOD_DEFAULT_MS, UINT32_MAX);
    child->backoff_initial_ms = read_number(supervisor, "backoff_initial_ms", 0, UINT32_MAX);
    child->backoff_max_ms = read_number(supervisor, "backoff_max_ms", 0, UINT32_MAX);
    return 0;
}

static int read_child(struct spawn *spawn, struct value map, struct actor_child_spec *child, struct err *err)
{
    static const char *const restarts[] = {"Permanent", "Transient", "Temporary", NULL};
    const void *arguments;
    *child = (struct actor_child_spec){.name = read_text(spawn, map, "name")};
    const char *under = read_text(spawn, map, "under");
    child->under = under ? under : "";
    if (read_behavior(spawn, map, child, err) < 0 || read_isolation(spawn, map, child, err) < 0 ||
        read_mailbox(spawn, map, child, err) < 0 || read_supervisor(spawn, map, child, err) < 0)
        return -1;
    int restart = read_choice(spawn, map, "restart", restarts, ACTOR_PERMANENT);
    if (restart < 0)
        return err_set(err, ERR_INVALID, "restart must be Permanent, Transient or Temporary");
    child->restart = (enum actor_restart)restart;
    child->shutdown_ms = read_number(map, "shutdown_ms",
        child->is_supervisor ? ACTOR_SHUTDOWN_INFINITY : SHUTDOWN_DEFAULT_MS, ACTOR_SHUTDOWN_INFINITY);
    if (value_get_bytes(value_find(map, "arguments"), &arguments, &child->arguments_size))
        child->arguments = arguments;
    return 0;
}

/* "Counter" of "bank:Counter" as a label, for a name that nobody chose. */
static void invent_name(struct host *host, const char *behavior, char *ret_name, size_t size)
{
    char label[32] = "";
    const char *class = behavior ? strrchr(behavior, ':') : NULL;
    size_t used = 0;
    for (class = class ? class + 1 : "actor"; *class && used + 1 < sizeof(label); class ++)
        if (isalnum((unsigned char)*class) && (unsigned char)*class < 0x80)
            label[used++] = (char)tolower((unsigned char)*class);
    label[used] = 0;
    (void)snprintf(
        ret_name, size, "%s%s%llu", label, used > 0 ? "-" : "", (unsigned long long)++host->last_name);
}

static int read_tree(struct histrio_context *ctx, struct host *host, struct value request,
    struct spawn *spawn, struct err *err)
{
    char invented[LIMIT_LABEL_BYTES + 1];
    struct value children = value_find(request, "children");
    if (read_child(spawn, value_find(request, "root"), &spawn->tree.root, err) < 0)
        return -1;
    const char *name = read_text(spawn, request, "name");
    if (!name) {
        invent_name(host, spawn->tree.root.behavior, invented, sizeof(invented));
        name = invented;
    }
    if (!text_is_dns_label(name))
        return err_set(err, ERR_INVALID, "the name must be a DNS label");
    if (!*histrio_path(ctx))
        return err_set(err, ERR_INVALID, "an actor without a name starts nothing below it");
    vec_push(&spawn->texts, xasprintf("%s/%s", histrio_path(ctx), name));
    spawn->tree.name = spawn->tree.root.name = spawn->texts.items[spawn->texts.count - 1];
    if (strlen(spawn->tree.name) > LIMIT_ADDRESS_BYTES)
        return err_set(err, ERR_LIMIT, "the name is too long");
    if (value_count(children) > LIMIT_CHILDREN)
        return err_set(err, ERR_LIMIT, "more than %d children", LIMIT_CHILDREN);
    struct value_iterator iterator = value_iterate(children);
    while (value_next(&iterator)) {
        struct actor_child_spec *child = vec_push_new(&spawn->children);
        if (read_child(spawn, iterator.item, child, err) < 0)
            return err_wrap(err, "child %zu", spawn->children.count);
    }
    spawn->tree.children = spawn->children.items;
    spawn->tree.child_count = spawn->children.count;
    return 0;
}

/* ---- starting ---- */

static void answer(struct histrio_context *ctx, struct process *process, uint32_t slot, uint64_t number,
    struct histrio_ref ref)
{
    struct str text = STR_INIT(LIMIT_ADDRESS_BYTES + 64);
    value_put_map(&text, 2);
    value_put_string(&text, "path");
    value_put_string(&text, histrio_ref_name(ctx, ref));
    value_put_string(&text, "ref");
    value_put_array(&text, 2);
    value_put_uint(&text, ref.node);
    value_put_uint(&text, ref.id);
    request_answer(process, slot, number, text.data, text.size);
    str_done(&text);
}

/* Once it runs, and no sooner: of a start that failed only the answer tells. */
static void bind(
    struct histrio_context *ctx, struct proxy *proxy, bool link, uint64_t monitor, struct histrio_ref ref)
{
    if (link)
        histrio_link(ctx, ref);
    if (monitor == 0)
        return;
    struct number_pairs *monitors = &proxy_numbers(proxy)->monitors;
    if (monitors->items.count < LIMIT_HOST_WATCHES) {
        struct number_pair pair = {.theirs = monitor, .ours = histrio_monitor(ctx, ref), .is_once = true};
        vec_push(&monitors->items, pair);
    }
}

void spawn_finished(struct histrio_context *ctx, struct proxy *proxy, const char *failure)
{
    struct histrio_context ctx_above;
    _cleanup_(cleanup_free) struct spawner *spawner = steal_ptr(&proxy->spawner);
    if (!spawner || !hosted_enter(ctx->worker, spawner->id, &ctx_above))
        return;
    struct proxy *above = ctx_above.actor->state;
    if (!above->process || above->state == PROXY_OVER)
        return;
    if (failure) {
        request_fail(above->process, above->slot, spawner->request, HISTRIO_APPLICATION, failure);
        return;
    }
    bind(&ctx_above, above, spawner->link, spawner->monitor, histrio_self(ctx));
    answer(ctx, above->process, above->slot, spawner->request, histrio_self(ctx));
}

static int check_library(struct histrio_context *ctx, const struct actor_child_spec *child, struct err *err)
{
    if (!actor_child_is_hosted(child) || !child_is_in_c(child) || hosted_library(ctx, child->behavior))
        return 0;
    return err_set(err, ERR_NOT_FOUND, "no behavior \"%s\" in any loaded library", child->behavior);
}

static int check_libraries(struct histrio_context *ctx, const struct actor_unit_spec *tree, struct err *err)
{
    int result = check_library(ctx, &tree->root, err);
    for (size_t i = 0; result == 0 && i < tree->child_count; i++)
        result = check_library(ctx, &tree->children[i], err);
    return result;
}

static enum histrio_error error_of(const struct err *err)
{
    if (err->kind == ERR_NOT_FOUND)
        return HISTRIO_NOT_FOUND;
    return err->kind == ERR_CONFLICT || err->kind == ERR_LIMIT ? HISTRIO_BAD_ARGUMENT : HISTRIO_APPLICATION;
}

/* The tree runs, or its root is about to. */
static void begun(struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame,
    struct value request, const struct spawn *spawn, struct histrio_ref supervisor, struct histrio_ref root)
{
    bool link = false;
    uint64_t monitor = 0;
    struct histrio_context started;
    (void)value_get_bool(value_find(request, "link"), &link); /* absent: not */
    (void)value_get_uint(value_find(request, "monitor"), &monitor);
    if (!actor_child_is_hosted(&spawn->tree.root) || !hosted_enter(ctx->worker, root.id, &started)) {
        bind(ctx, proxy, link, monitor, root);
        answer(ctx, proxy->process, proxy->slot, frame->number, root);
        return;
    }
    struct proxy *child = started.actor->state;
    struct spawner spawner = {proxy->id, frame->number, supervisor.id, monitor, link};
    child->spawner = xmemdup(&spawner, sizeof(spawner));
}

static int start_tree(struct histrio_context *ctx, const struct proxy *proxy,
    const struct actor_unit_spec *tree, struct histrio_ref *ret_supervisor, struct histrio_ref *ret_root,
    struct err *err)
{
    if (check_libraries(ctx, tree, err) < 0)
        return -1;
    proxy->host->spawning = proxy;
    int result = supervisor_spawn(ctx, tree, ret_supervisor, ret_root, err);
    proxy->host->spawning = NULL;
    return result;
}

void spawn_handle(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload)
{
    struct spawn spawn = {0};
    struct err err = {0};
    struct histrio_ref supervisor, root;
    struct value request = value_of(payload, frame_payload_bytes(frame));
    if (frame_payload_bytes(frame) > LIMIT_VALUE_BYTES || value_type(request) != VALUE_MAP)
        err_set(&err, ERR_INVALID, "the request is no map");
    else if (read_tree(ctx, proxy->host, request, &spawn, &err) == 0 &&
             start_tree(ctx, proxy, &spawn.tree, &supervisor, &root, &err) == 0)
        begun(ctx, proxy, frame, request, &spawn, supervisor, root);
    if (err.kind != ERR_NONE)
        request_fail(proxy->process, proxy->slot, frame->number, error_of(&err), err.text);
    spawn_done(&spawn);
}
