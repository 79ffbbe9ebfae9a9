/* explain, resume, move, forget, cordon, uncordon, drain, stop: one request each. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/address.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/explanation.h"
#include "operator/run_folder.h"

#include <poll.h>

enum { STOP_POLL_MS = 20, STOP_WAIT_MS = 120 * 1000 };

/* SYSTEM/UNIT, and a client for the system. */
static int open_unit(
    struct cli *cli, struct address *ret_address, struct client **ret_client, struct err *err)
{
    if (address_parse(cli->options.words.items[0], ret_address, err) < 0)
        return -1;
    if (!*ret_address->path)
        return err_set(
            err, ERR_INVALID, "\"%s\" is a system: write SYSTEM/UNIT (or SYSTEM/NODE)", ret_address->system);
    return client_new(&cli->options.place, ret_address->system, ret_client, err);
}

enum exit_code verb_explain(struct cli *cli)
{
    struct address address = {0};
    struct client *client = NULL;
    _cleanup_(json_freep) struct json *explanation = NULL;
    struct err err = {0};
    enum exit_code code = CLI_OK;
    if (open_unit(cli, &address, &client, &err) < 0 ||
        client_explain(client, address.path, &explanation, &err) < 0)
        code = cli_fail(cli, &err);
    else if (cli_wants_tree(cli))
        cli_print_tree(cli, explanation);
    else
        explanation_print(explanation, cli->out);
    client_free(client);
    address_done(&address);
    return code;
}

static enum exit_code request(struct cli *cli, enum client_verb verb)
{
    struct address address = {0};
    struct client *client = NULL;
    struct err err = {0};
    enum exit_code code = CLI_OK;
    struct client_request request = {
        .verb = verb, .target = cli->options.words.count > 1 ? cli->options.words.items[1] : NULL};
    if (open_unit(cli, &address, &client, &err) < 0 ||
        (request.subject = address.path, client_request(client, &request, &err)) < 0)
        code = cli_fail(cli, &err);
    client_free(client);
    address_done(&address);
    return code;
}

enum exit_code verb_resume(struct cli *cli)
{
    return request(cli, CLIENT_RESUME);
}

enum exit_code verb_move(struct cli *cli)
{
    return request(cli, CLIENT_MOVE);
}

enum exit_code verb_forget(struct cli *cli)
{
    return request(cli, CLIENT_FORGET);
}

enum exit_code verb_cordon(struct cli *cli)
{
    return request(cli, CLIENT_CORDON);
}

enum exit_code verb_uncordon(struct cli *cli)
{
    return request(cli, CLIENT_UNCORDON);
}

enum exit_code verb_drain(struct cli *cli)
{
    return request(cli, CLIENT_DRAIN);
}

/* The run's lock is what it gives up last. */
static int wait_for_end(const char *system, int64_t wait_ms, struct err *err)
{
    int64_t deadline_ms = clock_now_ms(clock_system()) + wait_ms;
    while (run_folder_is_alive(system)) {
        if (clock_now_ms(clock_system()) > deadline_ms)
            return err_set(err, ERR_TIMEOUT, "system \"%s\" still stops: look at `histrio get nodes %s`",
                system, system);
        (void)poll(NULL, 0, STOP_POLL_MS); /* flock tells nobody when it is given up */
    }
    return 0;
}

enum exit_code verb_stop(struct cli *cli)
{
    struct client *client = NULL;
    struct err err = {0};
    enum exit_code code = CLI_OK;
    const char *system = cli->options.words.items[0];
    int64_t timeout_ms = cli->options.timeout_ms;
    if (timeout_ms > UINT32_MAX)
        timeout_ms = UINT32_MAX;
    if (client_new(&cli->options.place, system, &client, &err) < 0 ||
        client_stop(client, timeout_ms > 0 ? (uint32_t)timeout_ms : 0, &err) < 0 ||
        wait_for_end(system, STOP_WAIT_MS + (timeout_ms > 0 ? timeout_ms : 0), &err) < 0)
        code = cli_fail(cli, &err);
    client_free(client);
    return code;
}
