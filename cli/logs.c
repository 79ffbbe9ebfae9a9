/* `histrio logs`: reads the files of the run folder, so it works after a run's end as well. An actor may have
 * lived on several nodes: all of their files are looked through, and the lines sorted by time. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/address.h"
#include "cli/cli.h"
#include "cli/log_lines.h"
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

enum exit_code verb_logs(struct cli *cli)
{
    struct address address = {0};
    struct err err = {0};
    if (address_parse(cli->options.words.items[0], &address, &err) < 0)
        return cli_fail(cli, &err);
    enum exit_code code = show(cli, &address);
    address_done(&address);
    return code;
}
