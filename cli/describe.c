#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/address.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/rows.h"

#include <string.h>

/* Rows of a list that belong to a path: the path itself and what is below it. */
static void add_rows(const struct json *list, const char *member, const char *path, struct json *to)
{
    size_t size = strlen(path);
    json_for_each(row, list)
    {
        const char *name = json_string(json_get(row, member));
        if (strncmp(name, path, size) == 0 && (name[size] == '\0' || name[size] == '/'))
            json_add_take(to, json_dup(row));
    }
}

/* A unit or an actor: its row, what is below, its last exits. NULL: there is none. */
static struct json *describe_path(const struct json *status, const char *path)
{
    const struct json *unit = rows_find(json_get(status, "unitStatuses"), "unit", path);
    const struct json *actor = rows_find(json_get(status, "actorStatuses"), "path", path);
    if (!unit && !actor)
        return NULL;
    struct json *document = json_object_new();
    json_set_string(document, "system", json_string(json_get(status, "system")));
    if (unit)
        json_set_take(document, "unit", json_dup(unit));
    else
        json_set_take(document, "actor", json_dup(actor));
    if (unit)
        add_rows(json_get(status, "actorStatuses"), "path", path, json_set_array(document, "actors"));
    const struct json *node = rows_find(
        json_get(status, "nodeStatuses"), "node", json_string(json_get(unit ? unit : actor, "node")));
    if (node)
        json_set_take(document, "node", json_dup(node));
    add_rows(json_get(status, "exits"), "actor", path, json_set_array(document, "exits"));
    return document;
}

enum exit_code verb_describe(struct cli *cli)
{
    struct address address = {0};
    struct client *client = NULL;
    _cleanup_(json_freep) struct json *status = NULL;
    _cleanup_(json_freep) struct json *part = NULL;
    struct err err = {0};
    if (address_parse(cli->options.words.items[0], &address, &err) < 0)
        return cli_fail(cli, &err);
    enum exit_code code = CLI_OK;
    if (client_new(&cli->options.place, address.system, &client, &err) < 0 ||
        client_status(client, &status, &err) < 0) {
        code = cli_fail(cli, &err);
    } else if (*address.path && !(part = describe_path(status, address.path))) {
        (void)err_set(&err, ERR_NOT_FOUND,
            "system \"%s\" has no unit or actor \"%s\": `histrio get actors %s` lists them", address.system,
            address.path, address.system); /* its code is cli_fail's business */
        code = cli_fail(cli, &err);
    } else {
        /* For people the same tree reads best as YAML. */
        if (!cli_wants_tree(cli))
            cli->options.output = OUTPUT_YAML;
        cli_print_tree(cli, *address.path ? part : status);
    }
    client_free(client);
    address_done(&address);
    return code;
}
