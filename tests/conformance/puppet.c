/* The puppet: an actor that does what the scenario tells it and notes what happens to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/stage.h"

struct puppet_state {
    struct puppet *puppet;
    bool is_supervised; /* its parent is a supervisor: as gen_server, it listens to it */
    bool again_on_down;
    char registered[NAME_BYTES];
    struct {
        char label[NAME_BYTES];
        uint64_t monitor;
    } labels[LABELS_MAX];
    size_t label_count;
};

static void remember(struct puppet_state *state, const char *label, uint64_t monitor)
{
    if (state->label_count == LABELS_MAX)
        abort();
    (void)snprintf(state->labels[state->label_count].label, NAME_BYTES, "%.63s", label);
    state->labels[state->label_count++].monitor = monitor;
}

static enum histrio_result start(
    struct histrio_context *ctx, void *data, const uint8_t *arguments, size_t size)
{
    struct puppet_state *state = data;
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%.*s", (int)size - 1, (const char *)arguments + 1);
    state->puppet = stage_puppet(name);
    state->is_supervised = arguments[0] == 's';
    if (state->puppet->fails > 0) {
        state->puppet->fails--;
        stage_note("start %s fails", name);
        histrio_fail(ctx, "nope");
        return HISTRIO_FAIL;
    }
    histrio_trap_exits(ctx, state->puppet->traps);
    state->puppet->ref = histrio_self(ctx);
    state->puppet->is_alive = true;
    state->puppet->stopped_with[0] = '\0';
    stage_note("start %s", name);
    return HISTRIO_CONTINUE;
}

static void stop(struct histrio_context *ctx, void *data, const char *reason)
{
    (void)ctx;
    struct puppet_state *state = data;
    if (stage->is_hosted) /* the end is noted in the node, which knows of more: whoever is killed is not told
                           */
        (void)snprintf(state->puppet->stopped_with, LINE_BYTES, "%s", reason);
    else
        stage_note_end(state->puppet, reason);
}

static const char *name_of(struct histrio_ref ref)
{
    const struct puppet *puppet = stage_find_ref(ref);
    return puppet ? puppet->name : "somebody";
}

/* "c", or "c!" for one whose first message is to exit. */
static struct histrio_ref spawn(
    struct histrio_context *ctx, const char *word, struct histrio_spawn_options *options)
{
    size_t size = strcspn(word, "!");
    char arguments[NAME_BYTES + 1];
    struct histrio_ref ref = {0};
    (void)snprintf(arguments, sizeof(arguments), "p%.*s", (int)size, word);
    enum histrio_error error = histrio_spawn_behavior(
        ctx, &stage_puppet_behavior, (const uint8_t *)arguments, size + 1, options, &ref);
    if (error != HISTRIO_OK)
        return (struct histrio_ref){0};
    if (word[size] == '!')
        (void)histrio_tell(ctx, ref, histrio_type("do"), (const uint8_t *)"exit\tboom", strlen("exit\tboom"));
    return ref;
}

static bool spawn_registered(struct histrio_context *ctx, struct puppet_state *state)
{
    uint64_t monitor = 0;
    struct histrio_spawn_options options = {
        .name = state->registered, .monitor = true, .ret_monitor = &monitor};
    if (histrio_ref_is_nobody(spawn(ctx, state->registered, &options)))
        return false;
    remember(state, "n", monitor);
    return true;
}

static void demonitor(struct histrio_context *ctx, struct puppet_state *state, const char *label)
{
    for (size_t i = 0; i < state->label_count; i++) {
        if (strcmp(state->labels[i].label, label) == 0)
            histrio_demonitor(ctx, state->labels[i].monitor);
    }
}

static void spawn_command(
    struct histrio_context *ctx, struct puppet_state *state, const char *verb, char *const *words)
{
    uint64_t monitor = 0;
    struct histrio_spawn_options options = {.ret_monitor = &monitor};
    options.link = strcmp(verb, "spawn_link") == 0;
    options.monitor = strcmp(verb, "spawn_monitor") == 0;
    (void)spawn(ctx, words[1], &options); /* seen in the trace */
    if (options.monitor)
        remember(state, words[2], monitor);
}

static struct histrio_ref ref_of(const char *name)
{
    return stage_puppet(name)->ref;
}

/* One command; CONTINUE unless it is the end. */
static enum histrio_result obey(struct histrio_context *ctx, struct puppet_state *state, char *const *words)
{
    const char *verb = words[0];
    if (strcmp(verb, "exit") == 0) {
        histrio_fail(ctx, "%s", words[1]);
        return HISTRIO_FAIL;
    }
    if (strcmp(verb, stage->mutant) == 0)
        return HISTRIO_CONTINUE;
    if (strcmp(verb, "link") == 0)
        histrio_link(ctx, ref_of(words[1]));
    else if (strcmp(verb, "unlink") == 0)
        histrio_unlink(ctx, ref_of(words[1]));
    else if (strcmp(verb, "unlink_parent") == 0)
        histrio_unlink(ctx, histrio_parent(ctx));
    else if (strcmp(verb, "monitor") == 0)
        remember(state, words[2], histrio_monitor(ctx, ref_of(words[1])));
    else if (strcmp(verb, "demonitor") == 0)
        demonitor(ctx, state, words[1]);
    else if (strcmp(verb, "trap") == 0)
        histrio_trap_exits(ctx, strcmp(words[1], "on") == 0);
    else if (strcmp(verb, "signal") == 0)
        histrio_exit(ctx, ref_of(words[1]), words[2]);
    else if (strcmp(verb, "send") == 0)
        (void)histrio_tell(ctx, ref_of(words[1]), histrio_type("text"), (const uint8_t *)words[2],
            strlen(words[2])); /* to the dead: silent */
    else if (strncmp(verb, "spawn", strlen("spawn")) == 0)
        spawn_command(ctx, state, verb, words);
    else if (strcmp(verb, "register") == 0) {
        (void)snprintf(state->registered, sizeof(state->registered), "%.63s", words[1]);
        (void)spawn_registered(ctx, state);
    } else if (strcmp(verb, "again_on_down") == 0)
        state->again_on_down = true;
    else
        abort(); /* the scenario is wrong */
    return HISTRIO_CONTINUE;
}

/* Words separated by tabs, commands by ';': reasons may have blanks. */
static enum histrio_result obey_all(
    struct histrio_context *ctx, struct puppet_state *state, const struct histrio_message *message)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "%.*s", (int)message->size, (const char *)message->value);
    char *rest = text;
    for (char *command = strsep(&rest, ";"); command; command = strsep(&rest, ";")) {
        char *words[WORDS_MAX] = {0};
        size_t count = 0;
        for (char *word = strsep(&command, "\t"); word && count < WORDS_MAX; word = strsep(&command, "\t"))
            words[count++] = word;
        enum histrio_result result = obey(ctx, state, words);
        if (result != HISTRIO_CONTINUE)
            return result;
    }
    return HISTRIO_CONTINUE;
}

static enum histrio_result handle_exit(
    struct histrio_context *ctx, struct puppet_state *state, const struct histrio_message *message)
{
    const char *reason = (const char *)message->value;
    const struct puppet *puppet = state->puppet;
    if (!state->is_supervised || !histrio_ref_equal(message->sender, histrio_parent(ctx))) {
        stage_note("%s exit %s %s", puppet->name, name_of(message->sender), reason);
        return HISTRIO_CONTINUE;
    }
    if (puppet->is_stubborn && strcmp(reason, "shutdown") == 0)
        return HISTRIO_CONTINUE;
    histrio_fail(ctx, "%s", puppet->ends_with[0] ? puppet->ends_with : reason);
    return HISTRIO_FAIL;
}

static void handle_down(
    struct histrio_context *ctx, struct puppet_state *state, const struct histrio_message *message)
{
    const char *label = "unknown";
    for (size_t i = 0; i < state->label_count; i++) {
        if (state->labels[i].monitor == message->reference)
            label = state->labels[i].label;
    }
    const char *name = state->puppet->name;
    stage_note("%s down %s %s", name, label, (const char *)message->value);
    if (!state->again_on_down)
        return;
    state->again_on_down = false;
    if (spawn_registered(ctx, state))
        stage_note("%s has %s again", name, state->registered);
    else
        stage_note("%s finds %s taken", name, state->registered);
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *data, const struct histrio_message *message)
{
    struct puppet_state *state = data;
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_TELL:
        if (message->type == histrio_type("do"))
            return obey_all(ctx, state, message);
        stage_note("%s got %s %.*s", state->puppet->name, name_of(message->sender), (int)message->size,
            (const char *)message->value);
        return HISTRIO_CONTINUE;
    case HISTRIO_EXIT: return handle_exit(ctx, state, message);
    case HISTRIO_DOWN: handle_down(ctx, state, message); return HISTRIO_CONTINUE;
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED: return HISTRIO_CONTINUE; /* Erlang has no such thing */
    case HISTRIO_ASK:
    case HISTRIO_REPLY:
    case HISTRIO_ERROR:
    case HISTRIO_TIMER: break;
    }
    return HISTRIO_UNHANDLED;
}

const struct histrio_behavior stage_puppet_behavior = {
    .name = "puppet",
    .state_size = sizeof(struct puppet_state),
    .start = start,
    .receive = receive,
    .stop = stop,
};
