/* `histrio ask` and `histrio tell`. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/value.h"
#include "cli/address.h"
#include "cli/cli.h"
#include "cli/client.h"

#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 5000 };

static enum exit_code print_answer(struct cli *cli, const char *actor, const struct client_answer *answer)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_FILE_BYTES);
    struct err err = {0};
    if (answer->error) {
        (void)fprintf(cli->errors, "histrio: %s: %s%s%s\n", actor, exit_code_answer_name(answer->error),
            *answer->text ? ": " : "", answer->text); /* nowhere else to complain */
        return exit_code_of_answer(answer->error);
    }
    if (cli_wants_tree(cli) && answer->size > 0) {
        _cleanup_(json_freep) struct json *tree = NULL;
        if (value_to_json(answer->value, answer->size, &tree, &err) < 0)
            return cli_fail(cli, &err);
        cli_print_tree(cli, tree);
        return CLI_OK;
    }
    if (answer->size == 0)
        str_append(&text, "null");
    else if (value_to_text(answer->value, answer->size, &text, &err) < 0)
        return cli_fail(cli, &err);
    (void)fprintf(cli->out, "%s\n", str_text(&text)); /* cli_main looks at the stream's state */
    return CLI_OK;
}

static enum exit_code talk(
    struct cli *cli, const struct address *address, const struct str *arguments, bool is_ask)
{
    struct client *client = NULL;
    struct client_answer answer = {0};
    struct err err = {0};
    struct client_message message = {.actor = address->path,
        .method = cli->options.words.items[1],
        .arguments = (const uint8_t *)arguments->data,
        .size = arguments->size,
        .timeout_ms = cli->options.timeout_ms > 0 ? (uint32_t)cli->options.timeout_ms : DEFAULT_TIMEOUT_MS};
    enum exit_code code;
    if (client_new(&cli->options.place, address->system, &client, &err) < 0 ||
        (is_ask ? client_ask : client_tell)(client, &message, &answer, &err) < 0)
        code = cli_fail(cli, &err);
    else if (is_ask || answer.error)
        code = print_answer(cli, cli->options.words.items[0], &answer);
    else
        code = CLI_OK;
    client_answer_done(&answer);
    client_free(client);
    return code;
}

static enum exit_code parse_and_talk(struct cli *cli, bool is_ask)
{
    _cleanup_(str_done) struct str arguments = STR_INIT(LIMIT_VALUE_BYTES);
    struct address address = {0};
    struct err err = {0};
    const char *text = cli->options.words.count > 2 ? cli->options.words.items[2] : NULL;
    if (cli->options.timeout_ms > UINT32_MAX)
        return cli_fail(cli, (err_set(&err, ERR_INVALID, "--timeout: too long"), &err));
    if (strlen(cli->options.words.items[1]) > LIMIT_MESSAGE_TYPE_BYTES)
        return cli_fail(cli,
            (err_set(&err, ERR_INVALID, "method: longer than %d bytes", LIMIT_MESSAGE_TYPE_BYTES), &err));
    if (text && value_from_text(text, strlen(text), &arguments, &err) < 0) {
        (void)err_wrap(&err, "arguments must be JSON"); /* its kind stays */
        return cli_fail(cli, &err);
    }
    if (address_parse(cli->options.words.items[0], &address, &err) < 0)
        return cli_fail(cli, &err);
    enum exit_code code;
    if (*address.path)
        code = talk(cli, &address, &arguments, is_ask);
    else
        code = cli_fail(cli,
            (err_set(&err, ERR_INVALID, "\"%s\" is a system: write SYSTEM/ACTOR", address.system), &err));
    address_done(&address);
    return code;
}

enum exit_code verb_ask(struct cli *cli)
{
    return parse_and_talk(cli, true);
}

enum exit_code verb_tell(struct cli *cli)
{
    return parse_and_talk(cli, false);
}
