/* cli/exit_code.h: the exit codes of `histrio`; docs/cli.md and `histrio help exit-codes` show the same list.
 * Pure. */
#pragma once

struct err;

enum exit_code {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* anything that has no code of its own */
    CLI_USAGE = 2,       /* wrong arguments, a bad manifest, BadArgument */
    CLI_NOT_FOUND = 3,   /* no such system, unit, actor or method */
    CLI_UNAVAILABLE = 4, /* not reachable now; nothing was executed */
    CLI_UNCERTAIN = 5,   /* executed at most once, perhaps not at all */
    CLI_TIMEOUT = 6,     /* no answer in time */
    CLI_CRASHED = 7,     /* the actor crashed while it handled the message */
    CLI_MAILBOX_FULL = 8,
    CLI_APPLICATION = 9, /* the behavior answered with an error of its own */
    CLI_DENIED = 10,
    CLI_FENCED = 11,   /* the actor's node is not obeyed any more */
    CLI_CONFLICT = 12, /* the system runs already */
};

/* For the error enum of common.proto; unknown ones are CLI_FAILED. */
enum exit_code exit_code_of_answer(int error);
/* "NotFound", ...: as texts show them; "Error 17" is "unknown". */
const char *exit_code_answer_name(int error);
/* The reverse; a number without a name for others. */
int exit_code_answer_number(const char *name);
enum exit_code exit_code_of_err(const struct err *err);

struct exit_code_row {
    enum exit_code code;
    const char *name;
    const char *meaning;
};

/* All of them, in order; ended by a NULL name. */
extern const struct exit_code_row exit_code_rows[];
