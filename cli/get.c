#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/rows.h"
#include "operator/run_folder.h"

static int read_status(const char *system, struct json **ret_status, struct err *err)
{
    struct client *client = NULL;
    if (client_new(system, &client, err) < 0)
        return -1;
    int failed = client_status(client, ret_status, err);
    client_free(client);
    return failed;
}

static void print_table(struct cli *cli, const struct table *table)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_FILE_BYTES);
    table_write(table, &text);
    (void)fwrite(str_text(&text), 1, text.size, cli->out); /* cli_main looks at the stream's state */
}

static enum exit_code get_systems(struct cli *cli)
{
    struct run_names names = {0};
    struct err err = {0};
    struct table table;
    if (run_folder_list(&names, &err) < 0)
        return cli_fail(cli, &err);
    _cleanup_(json_freep) struct json *document = json_object_new();
    struct json *items = json_set_array(document, "items");
    enum exit_code code = CLI_OK;
    rows_begin_systems(&table);
    vec_for_each (name, &names) {
        struct json *status = NULL;
        if (read_status(*name, &status, &err) < 0) {
            code = cli_fail(cli, &err); /* the others are shown all the same */
            continue;
        }
        rows_add_system(status, clock_wall_ms(clock_system()), &table);
        json_add_take(items, status);
    }
    if (cli_wants_tree(cli))
        cli_print_tree(cli, document);
    else if (names.count == 0)
        (void)fprintf(cli->errors, "no systems run; `histrio run FILE` starts one\n"); /* for people only */
    else
        print_table(cli, &table);
    table_done(&table);
    run_names_done(&names);
    return code;
}

/* What `get` shows of one system: the member of the status that is printed for -o json, and the table. */
static const char *make_rows(
    const char *kind, const struct json *status, bool is_wide, struct table *ret_table)
{
    int64_t now_ms = clock_wall_ms(clock_system());
    if (text_equal(kind, "nodes"))
        return rows_of_nodes(status, is_wide, now_ms, ret_table), "nodeStatuses";
    if (text_equal(kind, "units"))
        return rows_of_units(status, is_wide, ret_table), "unitStatuses";
    if (text_equal(kind, "actors"))
        return rows_of_actors(status, is_wide, now_ms, ret_table), "actorStatuses";
    if (text_equal(kind, "exits"))
        return rows_of_exits(status, is_wide, now_ms, ret_table), "exits";
    return NULL;
}

static enum exit_code get_rows(struct cli *cli, const char *kind, const char *system)
{
    _cleanup_(json_freep) struct json *status = NULL;
    struct err err = {0};
    struct table table;
    if (read_status(system, &status, &err) < 0)
        return cli_fail(cli, &err);
    const char *member = make_rows(kind, status, cli->options.output == OUTPUT_WIDE, &table);
    if (cli_wants_tree(cli)) {
        _cleanup_(json_freep) struct json *document = json_object_new();
        json_set_take(document, "items", json_dup(json_get(status, member)));
        cli_print_tree(cli, document);
    } else {
        print_table(cli, &table);
    }
    table_done(&table);
    return CLI_OK;
}

enum exit_code verb_get(struct cli *cli)
{
    static const char *const kinds[] = {"nodes", "units", "actors", "exits"};
    const char *kind = cli->options.words.items[0];
    const char *system = cli->options.words.count > 1 ? cli->options.words.items[1] : NULL;
    if (text_equal(kind, "systems") && !system)
        return get_systems(cli);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && system; i++) {
        if (text_equal(kind, kinds[i]))
            return get_rows(cli, kind, system);
    }
    (void)fprintf(cli->errors, "histrio get: write `histrio get systems`, or nodes, units, actors or exits "
                               "and the name of a system\n");
    return CLI_USAGE;
}
