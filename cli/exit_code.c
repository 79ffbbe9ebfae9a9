#include "cli/exit_code.h"

#include "base/err.h"

#include <stddef.h>
#include <string.h>

const struct exit_code_row exit_code_rows[] = {
    {CLI_OK, "Ok", "it worked"},
    {CLI_FAILED, "Failed", "anything that has no code of its own"},
    {CLI_USAGE, "BadArgument", "wrong arguments, a bad manifest, or arguments that the actor refused"},
    {CLI_NOT_FOUND, "NotFound", "no such system, unit, actor or method"},
    {CLI_UNAVAILABLE, "Unavailable", "cannot be reached now; nothing was executed: try again"},
    {CLI_UNCERTAIN, "Uncertain", "the link broke after sending: executed at most once, perhaps not at all"},
    {CLI_TIMEOUT, "Timeout", "no answer before the deadline"},
    {CLI_CRASHED, "Crashed", "the actor crashed while it handled the message"},
    {CLI_MAILBOX_FULL, "MailboxFull", "the actor has too many messages waiting"},
    {CLI_APPLICATION, "Application", "the actor answered with an error of its own"},
    {CLI_DENIED, "Denied", "the caller may not"},
    {CLI_FENCED, "Fenced", "the actor's node is not obeyed any more"},
    {CLI_CONFLICT, "Conflict", "the system runs already"},
    {CLI_OK, NULL, NULL},
};

/* In the order of common.proto's Error. */
static const enum exit_code answer_codes[] = {CLI_OK, CLI_NOT_FOUND, CLI_UNAVAILABLE, CLI_UNCERTAIN,
    CLI_FENCED, CLI_MAILBOX_FULL, CLI_TIMEOUT, CLI_CRASHED, CLI_USAGE, CLI_APPLICATION, CLI_DENIED};

enum { ANSWER_COUNT = sizeof(answer_codes) / sizeof(answer_codes[0]) };

enum exit_code exit_code_of_answer(int error)
{
    return error >= 0 && error < ANSWER_COUNT ? answer_codes[error] : CLI_FAILED;
}

const char *exit_code_answer_name(int error)
{
    enum exit_code code = exit_code_of_answer(error);
    if (code == CLI_FAILED)
        return "unknown error";
    for (const struct exit_code_row *row = exit_code_rows; row->name; row++) {
        if (row->code == code)
            return row->name;
    }
    return "unknown error";
}

int exit_code_answer_number(const char *name)
{
    int error = 1; /* 0 is no error */
    while (error < ANSWER_COUNT && strcmp(exit_code_answer_name(error), name) != 0)
        error++;
    return error;
}

enum exit_code exit_code_of_err(const struct err *err)
{
    switch (err->kind) {
    case ERR_INVALID:
    case ERR_LIMIT: return CLI_USAGE;
    case ERR_NOT_FOUND: return CLI_NOT_FOUND;
    case ERR_UNAVAILABLE:
    case ERR_BUSY: return CLI_UNAVAILABLE;
    case ERR_TIMEOUT: return CLI_TIMEOUT;
    case ERR_DENIED: return CLI_DENIED;
    case ERR_CONFLICT: return CLI_CONFLICT;
    case ERR_NONE:
    case ERR_SYSTEM:
    case ERR_EXPIRED:
    case ERR_CANCELED: break;
    }
    return CLI_FAILED;
}
