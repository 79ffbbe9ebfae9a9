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

static int read_status(struct cli *cli, const char *system, struct json **ret_status, struct err *err)
{
    struct client *client = NULL;
    if (client_new(&cli->options.place, system, &client, err) < 0)
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

struct listing {
    struct cli *cli;
    enum exit_code code;
};

static void cannot_read(const char *system, const struct err *err, void *ctx)
{
    struct listing *listing = ctx;
    (void)system; /* err names it */
    listing->code = cli_fail(listing->cli, err);
}

static enum exit_code get_systems(struct cli *cli)
{
    struct listing listing = {cli, CLI_OK};
    struct json *items = NULL;
    struct err err = {0};
    struct table table;
    if (client_list(&cli->options.place, cannot_read, &listing, &items, &err) < 0)
        return cli_fail(cli, &err);
    _cleanup_(json_freep) struct json *document = json_object_new();
    json_set_take(document, "items", items);
    rows_begin_systems(&table);
    json_for_each(status, items) rows_add_system(status, clock_wall_ms(clock_system()), &table);
    if (cli_wants_tree(cli))
        cli_print_tree(cli, document);
    else if (json_count(items) > 0)
        print_table(cli, &table);
    else if (listing.code == CLI_OK) /* for people only */
        (void)fprintf(cli->errors, "%s\n",
            cli->options.place.is_cluster ? "no systems here; `kubectl apply -f FILE` makes one"
                                          : "no systems run; `histrio run FILE` starts one");
    table_done(&table);
    return listing.code;
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
    if (read_status(cli, system, &status, &err) < 0)
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
