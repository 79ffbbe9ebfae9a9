#include "actor/supervisor_private.h"

#include <histrio/value.h>
#include <stdlib.h>
#include <string.h>

#include "actor/behavior.h"
#include "actor/hosted.h"
#include "actor/spec.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "capi/intern.h"

/* ---- what the machine wants ---- */

static void report(struct histrio_context *ctx, struct supervisor *s, const struct supervision_action *action)
{
    const struct supervised *child = supervisor_child(s, action->child);
    const char *cause = action->cause ? supervisor_child(s, action->cause)->path : "";
    actor_report_exit(
        ctx, child->path, 0, action->reason, supervision_decision_name(action->decision), cause);
    if (action->decision == SUPERVISION_GIVE_UP && !s->why)
        s->why = xasprintf("too many restarts: %.200s: %.255s", child->path, action->reason);
    bool comes_back = action->decision == SUPERVISION_RESTART ||
                      action->decision == SUPERVISION_RESTART_ALL ||
                      action->decision == SUPERVISION_RESTART_REST;
    actor_set_state(ctx, child->path, comes_back ? "Restarting" : "Stopped");
}

static void answer(struct histrio_context *ctx, struct supervisor *s, const struct supervision_action *action)
{
    struct histrio_caller *waiting = map64_remove(&s->callers, action->request);
    if (!waiting)
        return;
    switch (action->answer) {
    case SUPERVISION_OK: histrio_reply_to(ctx, *waiting, NULL, 0); break;
    case SUPERVISION_NO_SUCH_CHILD:
        histrio_reply_error_to(ctx, *waiting, HISTRIO_NOT_FOUND, "no such child");
        break;
    case SUPERVISION_IS_PRESENT:
    case SUPERVISION_IS_RUNNING:
        histrio_reply_error_to(ctx, *waiting, HISTRIO_BAD_ARGUMENT, "is running");
        break;
    case SUPERVISION_IS_RESTARTING:
        histrio_reply_error_to(ctx, *waiting, HISTRIO_BAD_ARGUMENT, "is restarting");
        break;
    case SUPERVISION_START_ERROR:
        histrio_reply_error_to(ctx, *waiting, HISTRIO_APPLICATION, action->reason);
        break;
    }
    free(waiting);
}

/* The last words of a supervisor. A root that gave up says why; below it, OTP's reason is what restart rules
 * read. */
static enum histrio_result end(
    struct histrio_context *ctx, struct supervisor *s, const struct supervision_action *action)
{
    bool failed = action->kind == SUPERVISION_FAILED;
    bool explain = s->is_root && s->why && !failed;
    histrio_fail(ctx, "%s", explain ? s->why : action->reason);
    return failed || explain ? HISTRIO_FAIL : HISTRIO_STOP;
}

/* Everything that the machine wants now. Starting children adds to it, so this is where loops end: each
 * restart counts towards the intensity, and a retry comes back later. */
static enum histrio_result perform(struct histrio_context *ctx, struct supervisor *s)
{
    struct supervision_action action;
    while (supervision_next(s->machine, &action)) {
        switch (action.kind) {
        case SUPERVISION_START: supervisor_child_start(ctx, s, action.child); break;
        case SUPERVISION_SHUTDOWN:
        case SUPERVISION_KILL: supervisor_child_shut_down(ctx, s, &action); break;
        case SUPERVISION_RELEASE: actor_release(ctx, supervisor_child(s, action.child)->path); break;
        case SUPERVISION_REPORT:
            report(ctx, s, &action);
            if (s->is_implicit && action.decision == SUPERVISION_REMOVE)
                supervision_stop(s->machine, "normal");
            break;
        case SUPERVISION_RETRY:
            /* Behind what waits in the mailbox already; ends with us, unlike a message. */
            map64_put(&s->by_retry, histrio_timer_start(ctx, action.timeout_ms, 0, s->type_retry),
                supervisor_child(s, action.child));
            break;
        case SUPERVISION_ANSWER: answer(ctx, s, &action); break;
        case SUPERVISION_FAILED:
        case SUPERVISION_ENDED: return end(ctx, s, &action);
        case SUPERVISION_FORGET:
            break; /* a temporary child: the unit's specification keeps it for the next start */
        case SUPERVISION_STARTED: break; /* start returns, which says it */
        }
    }
    if (!supervision_is_busy(s->machine))
        actor_unit_settled(ctx);
    return HISTRIO_CONTINUE;
}

/* ---- the behavior ---- */

static void free_caller(void *caller)
{
    free(caller);
}

static void supervisor_done(struct supervisor *s)
{
    free(s->children);
    map64_done(&s->by_monitor, NULL);
    map64_done(&s->by_retry, NULL);
    map64_done(&s->callers, free_caller);
    supervision_free(s->machine);
    free(s->own_tree);
    free(s->why);
    memset(s, 0, sizeof(*s));
}

static void add_child(struct supervisor *s, const struct actor_child_spec *spec, const char *path)
{
    const char *name = spec->name ? spec->name : "";
    (void)supervision_add(s->machine, /* names are unique: supervisor_check() */
        &(struct supervision_child){name, spec->restart, spec->shutdown_ms});
    s->children[s->child_count++] =
        (struct supervised){.spec = spec, .path = intern_text(intern(path, strlen(path)))};
}

static void add_children(struct histrio_context *ctx, struct supervisor *s)
{
    const struct actor_unit_spec *unit = s->tree;
    const char *name = s->is_root ? "" : s->spec->name;
    size_t count = 0;
    for (size_t i = 0; i < unit->child_count; i++)
        count += strcmp(unit->children[i].under ? unit->children[i].under : "", name) == 0;
    s->children = xcalloc(count + 1, sizeof(*s->children));
    for (size_t i = 0; i < unit->child_count && !s->is_implicit; i++) {
        const struct actor_child_spec *child = &unit->children[i];
        if (strcmp(child->under ? child->under : "", name) != 0)
            continue;
        char *path = xasprintf("%s/%s", histrio_path(ctx), child->name);
        add_child(s, child, path);
        free(path);
    }
    if (s->is_implicit)
        add_child(s, s->spec, unit->name);
}

static enum histrio_result start(struct histrio_context *ctx, struct supervisor *s,
    const struct actor_unit_spec *tree, const struct actor_child_spec *spec)
{
    s->spec = spec;
    s->tree = tree;
    s->is_root = spec == &tree->root;
    s->is_implicit = !spec->is_supervisor;
    s->type_retry = histrio_type("supervisor.retry");
    s->type_shutdown_time = histrio_type("supervisor.shutdownTime");
    s->type_terminate = histrio_type(SUPERVISOR_TERMINATE_CHILD);
    s->type_restart = histrio_type(SUPERVISOR_RESTART_CHILD);
    s->type_delete = histrio_type(SUPERVISOR_DELETE_CHILD);
    s->machine =
        supervision_new(&(struct supervision_flags){s->is_implicit ? ACTOR_ONE_FOR_ONE : spec->strategy,
            spec->restarts_max, spec->period_ms, spec->backoff_initial_ms, spec->backoff_max_ms});
    add_children(ctx, s);
    s->is_starting = true;
    supervision_start(s->machine);
    enum histrio_result result = perform(ctx, s);
    s->is_starting = false;
    if (result != HISTRIO_CONTINUE) {
        supervisor_done(s);
        return HISTRIO_FAIL;
    }
    return result;
}

static enum histrio_result start_root(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)size;
    const struct actor_unit_spec *tree = actor_unit_spec((const void *)arguments);
    return start(ctx, state, tree, &tree->root);
}

static enum histrio_result start_spawned(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)size;
    struct supervisor *s = state;
    s->own_tree = spec_dup((const void *)arguments);
    return start(ctx, s, s->own_tree, &s->own_tree->root);
}

static enum histrio_result start_below(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)size;
    const struct place *place = (const void *)arguments;
    return start(ctx, state, place->tree, place->spec);
}

static void request(struct histrio_context *ctx, struct supervisor *s, const struct histrio_message *message)
{
    const char *text = NULL;
    size_t size = 0;
    char name[LIMIT_LABEL_BYTES + 1];
    if (histrio_ref_is_nobody(message->sender)) {
        histrio_reply_error(ctx, HISTRIO_DENIED, "only actors may ask a supervisor for this");
        return;
    }
    if (!histrio_argument_string(message, "child", 0, &text, &size) || size >= sizeof(name)) {
        histrio_reply_error(ctx, HISTRIO_BAD_ARGUMENT, "the argument is the name of a child");
        return;
    }
    memcpy(name, text, size);
    name[size] = '\0';
    uint64_t number = ++s->last_request;
    struct histrio_caller caller = histrio_caller(ctx);
    map64_put(&s->callers, number, xmemdup(&caller, sizeof(caller)));
    if (message->type == s->type_terminate)
        supervision_terminate_child(s->machine, name, number);
    else if (message->type == s->type_restart)
        supervision_restart_child(s->machine, name, number);
    else
        supervision_delete_child(s->machine, name, number);
}

static void handle_down(
    struct histrio_context *ctx, struct supervisor *s, const struct histrio_message *message)
{
    struct supervised *child = map64_get(&s->by_monitor, message->reference);
    if (child)
        supervisor_child_ended(ctx, s, child, (const char *)message->value);
}

/* Exits of children come as DOWN besides; of others only the parent counts. */
static void handle_exit(
    struct histrio_context *ctx, struct supervisor *s, const struct histrio_message *message)
{
    bool told =
        histrio_ref_equal(message->sender, histrio_parent(ctx)) || histrio_ref_is_nobody(message->sender);
    if (told && !s->is_ending) {
        s->is_ending = true;
        supervision_stop(s->machine, (const char *)message->value);
    }
}

static void handle_timer(
    struct histrio_context *ctx, struct supervisor *s, const struct histrio_message *message)
{
    const struct supervised *again = map64_remove(&s->by_retry, message->reference);
    if (again) {
        supervision_retry(s->machine, supervisor_child_number(s, again), supervisor_now_ms(ctx));
    } else if (message->reference == s->shutdown_timer) {
        s->shutdown_timer = 0;
        supervision_shutdown_expired(s->machine, s->shutdown_child);
    }
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct supervisor *s = state;
    uint32_t type = message->type;
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_DOWN: handle_down(ctx, s, message); break;
    case HISTRIO_EXIT: handle_exit(ctx, s, message); break;
    case HISTRIO_TIMER: handle_timer(ctx, s, message); break;
    case HISTRIO_TELL: return HISTRIO_UNHANDLED;
    case HISTRIO_ASK:
        if (type != s->type_terminate && type != s->type_restart && type != s->type_delete)
            return HISTRIO_UNHANDLED;
        request(ctx, s, message);
        break;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR:
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED: break;
    }
    return perform(ctx, s);
}

/* When we end by the machine's rules no child runs any more. Killed, or ended at once because the start of a
 * sibling failed, we take them along. */
static void stop(struct histrio_context *ctx, void *state, const char *reason)
{
    struct supervisor *s = state;
    for (uint32_t i = s->child_count; i > 0; i--) {
        struct supervised *child = &s->children[i - 1];
        if (child->monitor == 0)
            continue;
        bool brutal = child->spec->shutdown_ms == ACTOR_SHUTDOWN_BRUTAL;
        const char *why = brutal ? "killed" : reason;
        supervisor_child_end_now(ctx, s, child, why);
        actor_report_exit(
            ctx, child->path, 0, why, supervision_decision_name(SUPERVISION_SHUT_DOWN), histrio_path(ctx));
    }
    supervisor_done(s);
}

const struct histrio_behavior actor_supervisor_root = {
    .name = "supervisor",
    .state_size = sizeof(struct supervisor),
    .start = start_root,
    .receive = receive,
    .stop = stop,
    .flags = HISTRIO_TRAP_EXITS,
};

const struct histrio_behavior actor_supervisor_below = {
    .name = "supervisor",
    .state_size = sizeof(struct supervisor),
    .start = start_below,
    .receive = receive,
    .stop = stop,
    .flags = HISTRIO_TRAP_EXITS,
};

static const struct histrio_behavior actor_supervisor_spawned = {
    .name = "supervisor",
    .state_size = sizeof(struct supervisor),
    .start = start_spawned,
    .receive = receive,
    .stop = stop,
    .flags = HISTRIO_TRAP_EXITS,
};

int supervisor_spawn(struct histrio_context *ctx, const struct actor_unit_spec *tree,
    struct histrio_ref *ret_supervisor, struct histrio_ref *ret_root, struct err *err)
{
    if (supervisor_check(tree, err) < 0)
        return -1;
    struct actor_spawn options = {
        .behavior = &actor_supervisor_spawned,
        .behavior_name = "supervisor",
        .path = tree->root.is_supervisor ? tree->name : NULL,
        .arguments = (const uint8_t *)tree,
        .arguments_size = sizeof(*tree),
    };
    if (actor_spawn(ctx, &options, ret_supervisor, NULL, err) < 0)
        return -1;
    *ret_root = *ret_supervisor;
    if (!tree->root.is_supervisor)
        *ret_root = hosted_present(ctx, tree->name);
    return 0;
}

bool supervisor_is_between(const struct histrio_context *ctx)
{
    return ctx->actor->behavior == &actor_supervisor_spawned && ctx->actor->name == 0;
}

bool supervisor_runs(const struct histrio_behavior *behavior)
{
    return behavior == &actor_supervisor_root || behavior == &actor_supervisor_below ||
           behavior == &actor_supervisor_spawned;
}
