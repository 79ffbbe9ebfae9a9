/* cli/cli.h: the program `histrio`: a table of verbs. Each verb gets its options and where to write, and
 * returns an exit code. Errors are one line on `errors`: what, where, what to do. */
#pragma once

#include "cli/exit_code.h"
#include "cli/options.h"

#include <stdio.h>

struct json;

#define HISTRIO_VERSION "0.1.0"

struct cli {
    bool is_plugin; /* called as "kubectl histrio": systems are those of the cluster */
    FILE *out;
    FILE *errors;
    struct options options;
};

struct verb {
    const char *name;
    const char *arguments; /* "FILE [--nodes N] ..." */
    const char *summary;
    unsigned options; /* of enum option_flag */
    size_t words_min, words_max;
    enum exit_code (*run)(struct cli *cli);
};

extern const struct verb verbs[]; /* ended by a NULL name */

/* The whole program; `arguments` without the program's name. */
enum exit_code cli_main(bool is_plugin, int count, char *const *arguments, FILE *out, FILE *errors);

/* ---- the verbs, a file each ---- */
enum exit_code verb_run(struct cli *cli);
enum exit_code verb_get(struct cli *cli);
enum exit_code verb_describe(struct cli *cli);
enum exit_code verb_ask(struct cli *cli);
enum exit_code verb_tell(struct cli *cli);
enum exit_code verb_logs(struct cli *cli);
enum exit_code verb_explain(struct cli *cli);
enum exit_code verb_resume(struct cli *cli);
enum exit_code verb_move(struct cli *cli);
enum exit_code verb_forget(struct cli *cli);
enum exit_code verb_cordon(struct cli *cli);
enum exit_code verb_uncordon(struct cli *cli);
enum exit_code verb_drain(struct cli *cli);
enum exit_code verb_stop(struct cli *cli);
enum exit_code verb_version(struct cli *cli);
enum exit_code verb_help(struct cli *cli);

/* ---- shared by them ---- */

/* "histrio: TEXT" and the code that belongs to err. */
enum exit_code cli_fail(struct cli *cli, const struct err *err);
/* A tree as -o json or yaml says. */
void cli_print_tree(struct cli *cli, const struct json *tree);
/* True when -o asks for a tree and not for a table. */
bool cli_wants_tree(const struct cli *cli);
