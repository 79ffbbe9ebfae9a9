#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/run_python.h"

#include <string.h>

const struct verb verbs[] = {
    {"run",
        "FILE [--nodes N] [--dry-run] [--detach] [--config-map NAME=FOLDER] [-o json|yaml] | PROGRAM.py "
        "[ARGUMENTS]",
        "run the system of a manifest on this machine until Ctrl-C or `histrio stop`, or a program in Python "
        "with a node of its own",
        OPTION_NODES | OPTION_DRY_RUN | OPTION_DETACH | OPTION_OUTPUT | OPTION_TIMEOUT | OPTION_CONFIG_MAP, 1,
        1, verb_run},
    {"get", "systems [-A] | (nodes|units|actors|exits) SYSTEM [-o wide|json|yaml]", "tables of what runs",
        OPTION_OUTPUT | OPTION_CLUSTER | OPTION_ALL, 1, 2, verb_get},
    {"describe", "SYSTEM[/UNIT[/ACTOR]] [-o json|yaml]", "everything about one system, unit or actor",
        OPTION_OUTPUT | OPTION_CLUSTER, 1, 1, verb_describe},
    {"ask", "SYSTEM/ACTOR METHOD [JSON] [--timeout 5s]", "send a message and print the answer as JSON",
        OPTION_TIMEOUT | OPTION_OUTPUT | OPTION_CLUSTER, 2, 3, verb_ask},
    {"tell", "SYSTEM/ACTOR METHOD [JSON]", "send a message and do not wait for an answer", OPTION_CLUSTER, 2,
        3, verb_tell},
    {"logs", "SYSTEM/ACTOR | SYSTEM/NODE [-f] [--lines N]", "what an actor or a whole node logged",
        OPTION_FOLLOW | OPTION_LINES | OPTION_OUTPUT | OPTION_CLUSTER, 1, 1, verb_logs},
    {"explain", "SYSTEM/UNIT [-o json|yaml]", "why a unit is where it is", OPTION_OUTPUT | OPTION_CLUSTER, 1,
        1, verb_explain},
    {"resume", "SYSTEM/UNIT", "start a unit again that was quarantined or ended", OPTION_CLUSTER, 1, 1,
        verb_resume},
    {"move", "SYSTEM/UNIT NODE", "move a unit to a node of a cluster", OPTION_CLUSTER, 2, 2, verb_move},
    {"cordon", "SYSTEM/NODE", "let no more units go to a node; those that are there stay", OPTION_CLUSTER, 1,
        1, verb_cordon},
    {"uncordon", "SYSTEM/NODE", "let units go to the node again", OPTION_CLUSTER, 1, 1, verb_uncordon},
    {"drain", "SYSTEM/NODE", "move the units of a node elsewhere, then replace its pod by another",
        OPTION_CLUSTER, 1, 1, verb_drain},
    {"forget", "SYSTEM/NODE", "assert that the machine of a node is lost for good: its units start elsewhere",
        OPTION_CLUSTER, 1, 1, verb_forget},
    {"stop", "SYSTEM [--timeout 60s]", "drain and stop a system", OPTION_TIMEOUT | OPTION_CLUSTER, 1, 1,
        verb_stop},
    {"version", "", "the version of this program", OPTION_OUTPUT, 0, 0, verb_version},
    {"help", "[VERB | exit-codes]", "this list, one verb, or the exit codes", 0, 0, 1, verb_help},
    {0},
};

static void print_line(FILE *to, const char *text)
{
    (void)fprintf(to, "histrio: %s\n", text); /* nowhere else to complain */
}

enum exit_code cli_fail(struct cli *cli, const struct err *err)
{
    print_line(cli->errors, err->text);
    return exit_code_of_err(err);
}

bool cli_wants_tree(const struct cli *cli)
{
    return cli->options.output == OUTPUT_JSON || cli->options.output == OUTPUT_YAML;
}

void cli_print_tree(struct cli *cli, const struct json *tree)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_FILE_BYTES);
    if (cli->options.output == OUTPUT_YAML)
        yaml_write(tree, &text);
    else
        json_write(tree, JSON_PRETTY, &text);
    (void)fwrite(str_text(&text), 1, text.size, cli->out); /* cli_main looks at the stream's state */
}

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *verb = verbs; verb->name; verb++) {
        if (text_equal(verb->name, name))
            return verb;
    }
    return NULL;
}

static enum exit_code usage(struct cli *cli, const struct verb *verb, const char *text)
{
    (void)fprintf(
        cli->errors, "histrio %s: %s; usage: histrio %s %s\n", verb->name, text, verb->name, verb->arguments);
    return CLI_USAGE;
}

static enum exit_code run_verb(struct cli *cli, const struct verb *verb, int count, char *const *arguments)
{
    struct err err = {0};
    enum exit_code code;
    int failed = options_parse(count, arguments, verb->options, &cli->options, &err);
    cli->options.place.is_cluster |= cli->is_plugin;
    if (failed)
        code = usage(cli, verb, err.text);
    else if (cli->options.is_help)
        code = fprintf(cli->out, "usage: histrio %s %s\n%s\n", verb->name, verb->arguments, verb->summary) > 0
                   ? CLI_OK
                   : CLI_FAILED;
    else if (cli->options.words.count < verb->words_min)
        code = usage(cli, verb, "something is missing");
    else if (cli->options.words.count > verb->words_max)
        code = usage(cli, verb, "too many arguments");
    else
        code = verb->run(cli);
    options_done(&cli->options);
    return code;
}

enum exit_code cli_main(bool is_plugin, int count, char *const *arguments, FILE *out, FILE *errors)
{
    struct cli cli = {.out = out, .errors = errors, .is_plugin = is_plugin};
    const char *name = count > 0 ? arguments[0] : "help";
    if (text_equal(name, "-h") || text_equal(name, "--help"))
        name = "help";
    if (text_equal(name, "--version"))
        name = "version";
    const struct verb *verb = find_verb(name);
    if (!verb) {
        (void)fprintf(errors, "histrio: no verb \"%.32s\": `histrio help` lists them\n", name);
        return CLI_USAGE;
    }
    if (verb->run == verb_run && count > 1 && run_python_is_program(arguments[1]))
        return run_python(arguments + 1, errors); /* what follows is for the program */
    enum exit_code code =
        run_verb(&cli, verb, count > 0 ? count - 1 : 0, count > 0 ? arguments + 1 : arguments);
    if (fflush(out) != 0 && code == CLI_OK) {
        print_line(errors, "could not write the output");
        code = CLI_FAILED;
    }
    return code;
}

enum exit_code verb_version(struct cli *cli)
{
    if (cli_wants_tree(cli)) {
        _cleanup_(json_freep) struct json *tree = json_object_new();
        json_set_string(tree, "version", HISTRIO_VERSION);
        cli_print_tree(cli, tree);
    } else {
        (void)fprintf(cli->out, "histrio %s\n", HISTRIO_VERSION); /* cli_main looks at the stream's state */
    }
    return CLI_OK;
}

enum exit_code verb_help(struct cli *cli)
{
    const char *about = cli->options.words.count > 0 ? cli->options.words.items[0] : NULL;
    const struct verb *verb = about ? find_verb(about) : NULL;
    /* The results of fprintf are looked at as the stream's state by cli_main. */
    if (text_equal(about, "exit-codes")) {
        for (const struct exit_code_row *row = exit_code_rows; row->name; row++)
            (void)fprintf(cli->out, "%3d  %-12s %s\n", row->code, row->name, row->meaning);
    } else if (verb) {
        (void)fprintf(cli->out, "usage: histrio %s %s\n%s\n", verb->name, verb->arguments, verb->summary);
    } else if (about) {
        (void)fprintf(cli->errors, "histrio: no verb \"%.32s\": `histrio help` lists them\n", about);
        return CLI_USAGE;
    } else {
        (void)fprintf(
            cli->out, "Actors under supervision: run a system, look at it, talk to its actors.\n\n");
        for (verb = verbs; verb->name; verb++)
            (void)fprintf(
                cli->out, "  histrio %s %s\n      %s\n", verb->name, verb->arguments, verb->summary);
        (void)fprintf(cli->out, "\nExit codes: histrio help exit-codes\n");
    }
    return CLI_OK;
}
