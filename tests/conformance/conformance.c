/* Plays scenario files on our runtime and prints what happened, in the words of conformance.erl.
 *
 *     conformance FILE [--mutant NAME] [--hosted LIBRARY]
 *
 * With --hosted the actors below supervisors run in worker processes, each in one of its own (isolation:
 * Process); their behaviors are in LIBRARY. A mutant breaks one rule on purpose: run.py proves with them that
 * a broken rule is seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/supervisor.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "conformance/world.h"

static const char *const mutants[] = {"strategy", "rest", "restart", "intensity", "order", "brutal", "kill",
    "link", "unlink", "monitor", "demonitor", "trap"};

static bool is_mutant(const char *name)
{
    return strcmp(stage->mutant, name) == 0;
}

/* ---- the tree ---- */

struct tree {
    struct actor_child_spec root;
    struct actor_child_spec children[PUPPETS_MAX];
    size_t count;
    bool is_unordered;
};

static void set_limits(struct actor_child_spec *spec, char *const *words)
{
    spec->is_supervisor = true;
    spec->strategy = strcmp(words[0], "one_for_one") == 0   ? ACTOR_ONE_FOR_ONE
                     : strcmp(words[0], "one_for_all") == 0 ? ACTOR_ONE_FOR_ALL
                                                            : ACTOR_REST_FOR_ONE;
    spec->restarts_max = (uint32_t)strtoul(words[1], NULL, 10);
    spec->period_ms = (uint32_t)strtoul(words[2], NULL, 10) * 1000;
    if (is_mutant("strategy"))
        spec->strategy = spec->strategy == ACTOR_ONE_FOR_ONE ? ACTOR_ONE_FOR_ALL : ACTOR_ONE_FOR_ONE;
    if (is_mutant("rest") && spec->strategy == ACTOR_REST_FOR_ONE)
        spec->strategy = ACTOR_ONE_FOR_ALL;
    if (is_mutant("intensity"))
        spec->restarts_max++;
}

static uint32_t shutdown_of(const char *word)
{
    if (is_mutant("brutal") || strcmp(word, "brutal") == 0)
        return ACTOR_SHUTDOWN_BRUTAL;
    return strcmp(word, "infinity") == 0 ? ACTOR_SHUTDOWN_INFINITY : (uint32_t)strtoul(word, NULL, 10);
}

static enum actor_restart restart_of(const char *word)
{
    if (is_mutant("restart") && strcmp(word, "transient") == 0)
        return ACTOR_PERMANENT;
    return strcmp(word, "permanent") == 0   ? ACTOR_PERMANENT
           : strcmp(word, "transient") == 0 ? ACTOR_TRANSIENT
                                            : ACTOR_TEMPORARY;
}

/* NAME, then RESTART SHUTDOWN at words[at], then options. */
static struct actor_child_spec *add_child(struct tree *tree, char *const *words, size_t count, size_t at)
{
    struct puppet *puppet = stage_puppet(words[1]);
    struct actor_child_spec *spec = &tree->children[tree->count++];
    *spec = (struct actor_child_spec){.name = puppet->name,
        .under = "",
        .restart = restart_of(words[at]),
        .shutdown_ms = shutdown_of(words[at + 1])};
    for (size_t i = at + 2; i < count; i++) {
        puppet->is_stubborn |= strcmp(words[i], "stubborn") == 0;
        puppet->traps |= puppet->is_stubborn || strcmp(words[i], "trap") == 0;
        if (strncmp(words[i], "ends:", 5) == 0) {
            puppet->traps = true;
            (void)snprintf(puppet->ends_with, sizeof(puppet->ends_with), "%s", words[i] + 5);
        }
        if (strcmp(words[i], "under") == 0)
            spec->under = stage_puppet(words[i + 1])->name;
    }
    const char *above = spec->under[0] ? stage_puppet(spec->under)->path : "top";
    (void)snprintf(puppet->path, sizeof(puppet->path), "%.190s/%s", above, puppet->name);
    return spec;
}

static void add_worker(struct tree *tree, char *const *words, size_t count)
{
    struct actor_child_spec *spec = add_child(tree, words, count, 2);
    char *arguments = xasprintf("s%s", spec->name);
    spec->behavior = "conformance.puppet";
    spec->arguments = (const uint8_t *)arguments;
    spec->arguments_size = strlen(arguments);
    spec->isolation = world_library ? ACTOR_ISOLATION_PROCESS : ACTOR_ISOLATION_NODE;
}

static void add_supervisor(struct tree *tree, char *const *words, size_t count)
{
    struct actor_child_spec *spec = add_child(tree, words, count, 5);
    set_limits(spec, words + 2);
    stage_puppet(words[1])->fails = -1; /* no puppet: its end is heard from its supervisor */
}

static void tree_done(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free((void *)(uintptr_t)tree->children[i].arguments);
}

static void start_tree(struct tree *tree)
{
    struct err err = {0};
    if (is_mutant("order")) {
        for (size_t i = 0; i + 1 < tree->count && !tree->children[tree->count - 1].under[0]; i += 2) {
            struct actor_child_spec first = tree->children[i];
            tree->children[i] = tree->children[i + 1];
            tree->children[i + 1] = first;
        }
    }
    tree->root.name = "top";
    struct actor_unit_spec unit = {
        .name = "top", .root = tree->root, .children = tree->children, .child_count = tree->count};
    if (actor_system_unit_start(world.system, &unit, 1, &err) < 0)
        stage_note("not up %s", err.text);
}

/* Plain processes: under a supervisor that never does anything for them. */
static void start_plain(struct tree *tree, char *const *words, size_t count)
{
    char *top[] = {"one_for_one", "1", "5"};
    set_limits(&tree->root, top);
    for (size_t i = 1; i < count; i++) {
        char *child[] = {"child", words[i], "temporary", "brutal"};
        add_worker(tree, child, 4);
    }
    start_tree(tree);
    world_settle();
    stage->line_count--; /* "up" */
}

/* ---- steps ---- */

/* `shutdown:x` of the file is our "shutdown: x". */
static const char *reason_of(const char *word, char *buffer, size_t size)
{
    if (strncmp(word, "shutdown:", 9) == 0)
        (void)snprintf(buffer, size, "shutdown: %s", word + 9);
    else
        (void)snprintf(buffer, size, "%s", word);
    return buffer;
}

static bool is_there(const char *name)
{
    const struct puppet *puppet = stage_find(name);
    return puppet && puppet->is_alive;
}

static void command(const char *name, const char *text)
{
    if (is_there(name))
        world_command(stage_puppet(name), text);
    else
        stage_note("%s is not there", name);
}

static void step_exit(const char *name, const char *word)
{
    char reason[NAME_BYTES + 16];
    char *text = xasprintf("exit\t%s", reason_of(word, reason, sizeof(reason)));
    command(name, text);
    free(text);
}

/* From outside of the system: as from an actor of another node. */
static void step_signal(const char *name, const char *word)
{
    char reason[NAME_BYTES + 16];
    const struct puppet *puppet = stage_puppet(name);
    bool is_supervisor = puppet->fails < 0;
    if (!is_supervisor && !puppet->is_alive)
        return;
    actor_system_signal(
        world.system, &(struct actor_signal){.kind = SIGNAL_EXIT,
                          .from = {99, 1},
                          .to = is_supervisor ? (struct histrio_ref){0} : puppet->ref,
                          .to_name = is_supervisor ? puppet->path : NULL,
                          .reason = is_mutant("kill") ? "boom" : reason_of(word, reason, sizeof(reason))});
}

static void step_do(char *const *words, size_t count)
{
    struct str text = STR_INIT(4096);
    for (size_t i = 2; i < count; i++) {
        char reason[NAME_BYTES + 16];
        bool separated = str_text(&text)[0] == '\0' || str_text(&text)[text.size - 1] == ';';
        if (!separated && words[i][0] != ';')
            str_append_char(&text, '\t');
        str_append(&text, reason_of(words[i], reason, sizeof(reason)));
    }
    command(words[1], str_text(&text));
    str_done(&text);
}

static void step_request(const char *type, const char *supervisor, const char *child)
{
    bool is_top = strcmp(supervisor, "top") == 0;
    world_request(type, is_top ? "top" : stage_puppet(supervisor)->path, child);
}

static void step(struct tree *tree, char *const *words, size_t count)
{
    const char *verb = words[0];
    struct err err = {0};
    if (strcmp(verb, "unordered") == 0)
        tree->is_unordered = true;
    else if (strcmp(verb, "top") == 0)
        set_limits(&tree->root, words + 1);
    else if (strcmp(verb, "sup") == 0)
        add_supervisor(tree, words, count);
    else if (strcmp(verb, "child") == 0)
        add_worker(tree, words, count);
    else if (strcmp(verb, "procs") == 0)
        start_plain(tree, words, count);
    else if (strcmp(verb, "fail") == 0)
        stage_puppet(words[1])->fails = (int)strtol(words[2], NULL, 10);
    else if (strcmp(verb, "start") == 0)
        start_tree(tree);
    else if (strcmp(verb, "stop") == 0)
        (void)actor_system_unit_stop(world.system, "top", &err); /* seen in the trace */
    else if (strcmp(verb, "exit") == 0)
        step_exit(words[1], words[2]);
    else if (strcmp(verb, "exit2") == 0) {
        step_exit(words[1], words[3]);
        step_exit(words[2], words[3]);
    } else if (strcmp(verb, "signal") == 0)
        step_signal(words[1], words[2]);
    else if (strcmp(verb, "unlink") == 0)
        command(words[1], "unlink_parent");
    else if (strcmp(verb, "do") == 0)
        step_do(words, count);
    else if (strcmp(verb, "alive") == 0)
        stage_note("%s %s", words[1], is_there(words[1]) ? "lives" : "is gone");
    else if (strcmp(verb, "sleep") == 0)
        clock_virtual_advance(&world.clock, strtol(words[1], NULL, 10) * NS_PER_MS);
    else if (strcmp(verb, "terminate") == 0)
        step_request(SUPERVISOR_TERMINATE_CHILD, words[1], words[2]);
    else if (strcmp(verb, "restart") == 0)
        step_request(SUPERVISOR_RESTART_CHILD, words[1], words[2]);
    else if (strcmp(verb, "delete") == 0)
        step_request(SUPERVISOR_DELETE_CHILD, words[1], words[2]);
    else {
        (void)fprintf(stderr, "conformance: what is \"%s\"?\n", verb);
        exit(2);
    }
    world_settle();
}

static int by_text(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void flush(const struct tree *tree, const char *line)
{
    if (tree->is_unordered)
        qsort(stage->lines, stage->line_count, sizeof(stage->lines[0]), by_text);
    if (stage->line_count > 0)
        (void)printf("- %s\n", line);
    for (size_t i = 0; i < stage->line_count; i++)
        (void)printf("  %s\n", stage->lines[i]);
    stage->line_count = 0;
}

/* ---- files ---- */

static void end_scenario(struct tree *tree, bool is_open)
{
    if (is_open)
        world_end();
    tree_done(tree);
    memset(tree, 0, sizeof(*tree));
}

static void play_line(struct tree *tree, const char *line)
{
    char *copy = xstrdup(line);
    char *rest = copy;
    char *words[WORDS_MAX] = {0};
    size_t count = 0;
    for (char *word = strsep(&rest, " "); word && count < WORDS_MAX; word = strsep(&rest, " ")) {
        if (word[0] != '\0')
            words[count++] = word;
    }
    step(tree, words, count);
    flush(tree, line);
    free(copy);
}

static int play(FILE *file)
{
    static struct tree tree;
    char line[512];
    bool is_open = false;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (strncmp(line, "scenario ", 9) == 0) {
            end_scenario(&tree, is_open);
            (void)printf("%s\n", line);
            world_begin();
            is_open = true;
        } else {
            play_line(&tree, line);
        }
    }
    end_scenario(&tree, is_open);
    return ferror(file) ? 1 : 0;
}

static bool read_options(int count, char **arguments)
{
    bool known = count % 2 == 0;
    for (int i = 0; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--hosted") == 0) {
            world_library = arguments[i + 1];
            stage->is_hosted = true;
            continue;
        }
        known &= strcmp(arguments[i], "--mutant") == 0;
        bool is_one = false;
        for (size_t j = 0; j < sizeof(mutants) / sizeof(mutants[0]); j++)
            is_one |= strcmp(mutants[j], arguments[i + 1]) == 0;
        known &= is_one;
        (void)snprintf(stage->mutant, sizeof(stage->mutant), "%s", arguments[i + 1]);
    }
    return known;
}

int main(int argc, char **argv)
{
    stage_make();
    FILE *file = argc > 1 && read_options(argc - 2, argv + 2) ? fopen(argv[1], "re") : NULL;
    if (!file) {
        (void)fprintf(stderr, "conformance: FILE [--mutant NAME] [--hosted LIBRARY]\n");
        return 2;
    }
    int result = play(file);
    (void)fclose(file); /* only read */
    return result;
}
