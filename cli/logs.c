/* `histrio logs`. Of a local run it reads the files of the run folder, so it works after a run's end as well;
 * an actor may have lived on several nodes: all of their files are looked through, and the lines sorted by
 * time. Of a cluster it reads the log of the node, or of the node where the actor is now. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/address.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/log_lines.h"
#include "cli/rows.h"
#include "operator/run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static int print(struct cli *cli, struct log_lines *lines, uint64_t count)
{
    _cleanup_(str_done) struct str text = STR_INIT(8 * (size_t)LIMIT_FILE_BYTES);
    log_lines_take(lines, count, &text);
    (void)fwrite(str_text(&text), 1, text.size, cli->out); /* fflush tells whether it worked */
    return fflush(cli->out);
}

static enum exit_code follow(struct cli *cli, struct log_lines *lines, int inotify_fd)
{
    char events[4096];
    struct err err = {0};
    /* Until Ctrl-C, or until nobody reads. */
    for (;;) {
        ssize_t size = read(inotify_fd, events, sizeof(events));
        if (size < 0 && errno != EINTR)
            return cli_fail(cli, (err_set_errno(&err, errno, "follow the logs"), &err));
        if (log_lines_read(lines, false, &err) < 0)
            return cli_fail(cli, &err);
        if (print(cli, lines, UINT64_MAX) != 0)
            return CLI_OK;
    }
}

static bool is_node_name(const char *system, const char *path)
{
    size_t size = strlen(system);
    return strncmp(path, system, size) == 0 && text_starts_with(path + size, "-nodes-") && !strchr(path, '/');
}

static enum exit_code show(struct cli *cli, const struct address *address)
{
    _cleanup_(cleanup_free) char *run_path = run_folder_path(address->system);
    _cleanup_(cleanup_free) char *folder = file_join(run_path, "logs");
    _cleanup_(cleanup_close) int inotify_fd = inotify_init1(IN_CLOEXEC);
    bool is_node = is_node_name(address->system, address->path);
    struct log_lines lines;
    struct err err = {0};
    enum exit_code code = CLI_OK;
    log_lines_init(&lines, folder, address->system, is_node ? address->path : NULL,
        is_node || !*address->path ? NULL : address->path, cli->options.output == OUTPUT_JSON);
    /* Watched before it is read: nothing is missed between. */
    if (cli->options.follow &&
        inotify_add_watch(inotify_fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM) < 0)
        code = cli_fail(cli, (err_set_errno(&err, errno, "logs of system \"%s\"", address->system), &err));
    else if (log_lines_read(&lines, true, &err) < 0)
        code = cli_fail(cli, &err);
    else if (print(cli, &lines, cli->options.lines) == 0 && cli->options.follow)
        code = follow(cli, &lines, inotify_fd);
    log_lines_done(&lines);
    return code;
}

/* ---- of a cluster ---- */

struct cluster_log {
    struct cli *cli;
    struct log_lines lines;
    const char *node;
    bool follow;
};

static void got_data(const char *data, size_t size, void *ctx)
{
    struct cluster_log *log = ctx;
    log_lines_add(&log->lines, log->node, data, size);
    if (log->follow)
        (void)print(log->cli, &log->lines, UINT64_MAX); /* Ctrl-C ends it, also when nobody reads */
}

/* The name of a node, or where the actor or unit is; NULL: nowhere now. */
static const char *find_node(const struct json *status, const char *path)
{
    const struct json *node = rows_find(json_get(status, "nodeStatuses"), "node", path);
    const struct json *row = rows_find(json_get(status, "actorStatuses"), "path", path);
    if (!row)
        row = rows_find(json_get(status, "unitStatuses"), "unit", path);
    const char *name = json_string(json_get(node ? node : row, "node"));
    return *name ? name : NULL;
}

static int show_cluster(
    struct cli *cli, const struct address *address, struct client *client, struct err *err)
{
    _cleanup_(json_freep) struct json *status = NULL;
    struct cluster_log log = {.cli = cli, .follow = cli->options.follow};
    if (client_status(client, &status, err) < 0)
        return -1;
    log.node = find_node(status, address->path);
    if (!log.node)
        return err_set(err, ERR_NOT_FOUND, "\"%s/%s\" is no node, and no actor that is somewhere now",
            address->system, address->path);
    bool is_node = text_equal(log.node, address->path);
    /* Lines are counted after the filter: all are needed when there is one. */
    struct client_log_request request = {.node = log.node,
        .lines = is_node ? cli->options.lines : UINT64_MAX,
        .follow = log.follow,
        .data = got_data,
        .ctx = &log};
    log_lines_init(&log.lines, "", address->system, NULL, is_node ? NULL : address->path,
        cli->options.output == OUTPUT_JSON);
    int failed = client_logs(client, &request, err);
    (void)print(cli, &log.lines, cli->options.lines); /* cli_main looks at the stream's state */
    log_lines_done(&log.lines);
    return failed;
}

static enum exit_code logs_of_cluster(struct cli *cli, const struct address *address)
{
    struct client *client = NULL;
    struct err err = {0};
    enum exit_code code = CLI_OK;
    if (client_new(&cli->options.place, address->system, &client, &err) < 0 ||
        show_cluster(cli, address, client, &err) < 0)
        code = cli_fail(cli, &err);
    client_free(client);
    return code;
}

enum exit_code verb_logs(struct cli *cli)
{
    struct address address = {0};
    struct err err = {0};
    if (address_parse(cli->options.words.items[0], &address, &err) < 0)
        return cli_fail(cli, &err);
    enum exit_code code =
        cli->options.place.is_cluster ? logs_of_cluster(cli, &address) : show(cli, &address);
    address_done(&address);
    return code;
}
