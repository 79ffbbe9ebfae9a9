/* histrio-operator: watches ActorSystems in a Kubernetes cluster and makes what they ask for. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "controllers/manager.h"
#include "kube/config.h"

#define HISTRIO_VERSION "0.1.0"

#define LEASE_NAME "histrio-operator"

enum { WORKERS_MAX = 64, EXIT_USAGE = 2, ARENAS_MAX = 2, TRIM_INTERVAL_MS = 10 * 1000 };

static const char usage[] =
    "Usage: histrio-operator [OPTION...]\n"
    "Runs ActorSystems (histrio.dev/v1alpha1) of a Kubernetes cluster.\n"
    "\n"
    "  --namespace NAME         look at one namespace only (all)\n"
    "  --kubeconfig FILE        how to reach the cluster ($KUBECONFIG, the service account, ~/.kube/config)\n"
    "  --workers COUNT          systems that are worked on at once (4)\n"
    "  --leader-elect BOOL      take turns with other replicas (true)\n"
    "  --http-address HOST:PORT probes and metrics, \"\" for none (0.0.0.0:8080)\n"
    "  --log-level LEVEL        debug, info, warning, error (info)\n"
    "  --identity TEXT          of this replica ($POD_UID, else a random one)\n"
    "  --version, --help\n"
    "\n"
    "Environment: POD_NAME, POD_NAMESPACE (where the Lease \"" LEASE_NAME "\" is), POD_UID.\n";

struct options {
    const char *namespace;
    const char *kubeconfig;
    const char *http_address;
    const char *identity;
    unsigned workers;
    bool elects;
    enum log_level log_level;
};

static const char *environment(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

static int refuse(const char *option, const char *text, const char *what)
{
    (void)fprintf(stderr, "histrio-operator: --%s \"%s\": %s\n", option, text, what);
    return -1;
}

static int parse_bool(const char *option, const char *text, bool *ret_value)
{
    *ret_value = !text || text_equal(text, "true");
    return *ret_value || text_equal(text, "false") ? 0 : refuse(option, text, "must be true or false");
}

static int parse_workers(const char *text, unsigned *ret_workers)
{
    uint64_t count = 0;
    if (text_to_u64(text, WORKERS_MAX, &count, NULL) < 0 || count == 0)
        return refuse("workers", text, "must be a number from 1 to 64");
    *ret_workers = (unsigned)count;
    return 0;
}

/* 0: go on; 1: all is said; -1: a mistake was told. */
static int parse(int argc, char **argv, struct options *options)
{
    enum { NAMESPACE, KUBECONFIG, WORKERS, ELECT, HTTP, LEVEL, IDENTITY, VERSION, HELP };
    static const struct option known[] = {{"namespace", required_argument, NULL, NAMESPACE},
        {"kubeconfig", required_argument, NULL, KUBECONFIG}, {"workers", required_argument, NULL, WORKERS},
        {"leader-elect", optional_argument, NULL, ELECT}, {"http-address", required_argument, NULL, HTTP},
        {"log-level", required_argument, NULL, LEVEL}, {"identity", required_argument, NULL, IDENTITY},
        {"version", no_argument, NULL, VERSION}, {"help", no_argument, NULL, HELP}, {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) { /* ends with the arguments */
        int failed = 0;
        switch (option) {
        case NAMESPACE: options->namespace = *optarg ? optarg : NULL; break;
        case KUBECONFIG: options->kubeconfig = optarg; break;
        case WORKERS: failed = parse_workers(optarg, &options->workers); break;
        case ELECT: failed = parse_bool("leader-elect", optarg, &options->elects); break;
        case HTTP: options->http_address = *optarg ? optarg : NULL; break;
        case LEVEL:
            if (log_level_parse(optarg, &options->log_level, NULL) < 0)
                failed = refuse("log-level", optarg, "must be debug, info, warning or error");
            break;
        case IDENTITY: options->identity = optarg; break;
        case VERSION: (void)printf("histrio-operator %s\n", HISTRIO_VERSION); return 1;
        case HELP: (void)fputs(usage, stdout); return 1;
        default: failed = -1; break;
        }
        if (failed)
            return -1;
    }
    if (optind < argc)
        return refuse("", argv[optind], "is no option");
    return 0;
}

static int open_signals(struct err *err)
{
    sigset_t signals;
    (void)sigemptyset(&signals); /* these cannot fail */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN); /* broken connections are errors of their calls */
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return err_set_errno(err, errno, "block signals");
    int fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return fd < 0 ? err_set_errno(err, errno, "signalfd") : fd;
}

/* A connection a node: 1,024 descriptors, as some container runtimes give at first, are not many. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit everybody may */
}

/* Threads share the heap: an arena for each would keep what trees of JSON once took in each of them. */
static void limit_arenas(void)
{
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX); /* only costs memory when it does not work */
}

/* What was needed for a moment, and is free now, goes back to the system. */
static void wait_for_signal(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, TRIM_INTERVAL_MS) <= 0) /* ends with the first signal */
        (void)malloc_trim(0);                        /* says whether there was anything */
}

static int run(const struct options *options, struct err *err)
{
    _cleanup_(kube_config_freep) struct kube_config *kube = NULL;
    _cleanup_(cleanup_free) char *random = NULL;
    uint64_t number;
    struct manager *manager = NULL;
    _cleanup_(cleanup_close) int signals = open_signals(err);
    rng_system_bytes(&number, sizeof(number));
    random = xasprintf("%016llx", (unsigned long long)number);
    if (signals < 0 || kube_config_load(options->kubeconfig, NULL, &kube, err) < 0)
        return -1;
    struct manager_config config = {.kube = kube,
        .namespace = options->namespace,
        .elects = options->elects,
        .lease_namespace = environment("POD_NAMESPACE") ? environment("POD_NAMESPACE") : kube->namespace,
        .lease_name = LEASE_NAME,
        .identity = options->identity ? options->identity : random,
        .instance = environment("POD_NAME") ? environment("POD_NAME") : "histrio-operator",
        .http_address = options->http_address,
        .workers = options->workers,
        .version = HISTRIO_VERSION};
    log_event(LOG_INFO, "starting", "version", config.version, "server", kube->server, "identity",
        config.identity, NULL);
    if (manager_new(&config, &manager, err) < 0)
        return -1;
    log_event(LOG_INFO, "started", "http", manager_http_address(manager), NULL);
    wait_for_signal(signals);
    log_event(LOG_INFO, "stopping", NULL);
    manager_free(manager);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct options options = {.http_address = "0.0.0.0:8080",
        .identity = environment("POD_UID"),
        .workers = 4,
        .elects = true,
        .log_level = LOG_INFO};
    int parsed = parse(argc, argv, &options);
    if (parsed)
        return parsed > 0 ? EXIT_SUCCESS : EXIT_USAGE;
    log_init(STDOUT_FILENO, options.log_level);
    raise_descriptors();
    limit_arenas();
    if (run(&options, &err) < 0) {
        log_event(LOG_ERROR, "cannot run", "error", err.text, NULL);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
