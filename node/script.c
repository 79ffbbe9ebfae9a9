#include "node/script.h"

#include "actor/system.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/vec.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 10 * 1000, WORKERS_MAX = 64, PYTHON_WORKERS_MAX = 1000 };

struct texts {
    VEC(const char *) items; /* of the tree */
    struct json *tree;
};

static void texts_done(struct texts *texts)
{
    vec_done(&texts->items);
    json_free(texts->tree);
}

/* A JSON list of texts in a variable; none: an empty one. */
static int read_texts(const char *variable, struct texts *texts, struct err *err)
{
    const char *text = getenv(variable);
    if (!text || !*text)
        return 0;
    if (json_parse(text, strlen(text), &texts->tree, err) < 0)
        return err_wrap(err, "%s", variable);
    if (json_type(texts->tree) != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "%s: must be a JSON list of texts", variable);
    for (size_t i = 0; i < json_count(texts->tree); i++) {
        const struct json *item = json_at(texts->tree, i);
        if (json_type(item) != JSON_STRING)
            return err_set(err, ERR_INVALID, "%s: must be a JSON list of texts", variable);
        vec_push(&texts->items, json_string(item));
    }
    return 0;
}

static int read_number(const char *variable, uint64_t maximum, uint64_t *ret_number, struct err *err)
{
    const char *text = getenv(variable);
    *ret_number = 0;
    if (text && *text && text_to_u64(text, maximum, ret_number, err) < 0)
        return err_wrap(err, "%s", variable);
    return 0;
}

static int configure(struct host *host, struct err *err)
{
    _cleanup_(texts_done) struct texts paths = {0}, preload = {0};
    uint64_t workers, timeout_ms, memory;
    if (read_texts("HISTRIO_PYTHON_PATH", &paths, err) < 0 ||
        read_texts("HISTRIO_PYTHON_PRELOAD", &preload, err) < 0 ||
        read_number("HISTRIO_PYTHON_WORKERS", PYTHON_WORKERS_MAX, &workers, err) < 0 ||
        read_number("HISTRIO_PYTHON_HANDLER_TIMEOUT_MS", UINT32_MAX, &timeout_ms, err) < 0 ||
        read_number("HISTRIO_PYTHON_MEMORY_BYTES", INT64_MAX, &memory, err) < 0)
        return -1;
    struct host_app app = {.paths = paths.items.items,
        .path_count = paths.items.count,
        .preload = preload.items.items,
        .preload_count = preload.items.count,
        .workers = (unsigned)workers,
        .interpreter = getenv("HISTRIO_PYTHON"),
        .script = getenv("HISTRIO_PYTHON_SCRIPT"),
        .handler_timeout_ms = (uint32_t)timeout_ms,
        .memory_bytes_max = memory};
    host_configure(host, &app);
    return 0;
}

static void ended(void *ctx)
{
    const uint64_t one = 1;
    (void)!write(*(const int *)ctx, &one, sizeof(one)); /* a counter far from its limit: it cannot fail */
}

static int open_signals(struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set); /* on our own memory these cannot fail */
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* valid arguments: cannot fail */
    (void)signal(SIGPIPE, SIG_IGN);           /* a gone reader of our log must not end us */
    (void)signal(SIGINT, SIG_IGN);            /* of a terminal: the program decides, and closes the socket */
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? err_set_errno(err, errno, "signalfd") : fd;
}

static int start(struct host *host, uint64_t node_uid, struct actor_system **ret_actors, struct err *err)
{
    uint64_t workers;
    if (configure(host, err) < 0 || read_number("HISTRIO_WORKERS", WORKERS_MAX, &workers, err) < 0)
        return -1;
    struct actor_system_config config = {.node_uid = node_uid,
        .system = "local",
        .worker_count = (unsigned)workers,
        .hosting = host_hosting(host)};
    rng_system_bytes(&config.seed, sizeof(config.seed));
    if (actor_system_new(&config, ret_actors, err) < 0)
        return err_wrap(err, "actors");
    struct actor_unit_spec unit = {.name = "local",
        .root = {.name = "local",
            .behavior = HOST_SCRIPT_BEHAVIOR,
            .restart = ACTOR_TEMPORARY,
            .period_ms = 1,
            .shutdown_ms = ACTOR_SHUTDOWN_BRUTAL}};
    return actor_system_unit_start(*ret_actors, &unit, 1, err);
}

int script_run(int fd)
{
    struct err err = {0};
    struct host *host = NULL;
    struct actor_system *actors = NULL;
    int end_fd = eventfd(0, EFD_CLOEXEC), signal_fd = open_signals(&err), exit_code = EXIT_FAILURE;
    enum log_level level = LOG_WARNING;
    uint64_t node_uid;
    const char *wanted = getenv("HISTRIO_LOG_LEVEL");
    if (wanted)
        (void)log_level_parse(wanted, &level, NULL); /* a wrong one: what warns */
    log_init(STDERR_FILENO, level);
    log_set_common("system", "local");
    rng_system_bytes(&node_uid, sizeof(node_uid));
    node_uid = node_uid >> 1 | 1;
    struct host_config config = {.system = "local",
        .node = "local",
        .node_uid = node_uid,
        .script_fd = fd,
        .script_ended = ended,
        .ctx = &end_fd};
    if (end_fd >= 0 && signal_fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        host_new(&config, &host, &err) == 0 && start(host, node_uid, &actors, &err) == 0) {
        struct pollfd polled[] = {{.fd = end_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
        while (poll(polled, 2, -1) < 0 && errno == EINTR)
            continue; /* a signal that is none of ours */
        exit_code = EXIT_SUCCESS;
    } else {
        log_event(LOG_ERROR, "cannot start", "error", err.text, NULL);
    }
    actor_system_free(actors, STOP_GRACE_MS);
    host_free(host);
    (void)close(signal_fd); /* nothing is written through these */
    (void)close(end_fd);
    return exit_code;
}
