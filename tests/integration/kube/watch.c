/* lib/kube's informers, lease and recorder against the API server of $KUBECONFIG; test_watch.py starts both.
 *
 *     kube_watch follow [lists]    an informer of the ConfigMaps with label "watched"; prints each change,
 * and answers lines: "state" (version and all objects), "require VERSION", "stats" kube_watch lead IDENTITY
 * competes for the Lease "test"; prints from when to when it would have acted, in milliseconds of the
 * machine's clock; ends at a SIGTERM kube_watch events COUNT      as many equal events; prints what became of
 * them
 *
 * Ends with its standard input. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/event.h"
#include "kube/informer.h"
#include "kube/lease.h"
#include "kube/meta.h"
#include "kube/resource.h"

enum { LINE_MAX_BYTES = 256, POLL_MS = 3 };

static struct kube_config *config;
static struct kube_client *client;

static void check(int result, const struct err *err)
{
    if (result == 0)
        return;
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void begin(const char *agent)
{
    struct err err = {0};
    check(kube_config_load(NULL, NULL, &config, &err), &err);
    const struct kube_client_config settings = {.config = config, .thread_name = "kube", .user_agent = agent};
    check(kube_client_new(&settings, &client, &err), &err);
}

static void end(void)
{
    kube_client_free(client);
    kube_config_free(config);
    puts("ended");
}

/* ---- follow ---- */

struct map_object {
    struct kube_object head;
    char *value; /* data.value */
};

static struct kube_object *decode(const struct json *json, void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    struct map_object *object = xcalloc(1, sizeof(*object));
    object->value = xstrdup(json_string(json_get(json_get(json, "data"), "value")));
    return &object->head;
}

static void release(struct kube_object *object)
{
    struct map_object *map_object = (struct map_object *)object;
    free(map_object->value);
    free(map_object);
}

static void on_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    (void)ctx;
    const struct kube_object *object = new_object ? new_object : old_object;
    printf("%s%s %s=%s\n", is_initial ? "initial " : "",
        !old_object   ? "new"
        : !new_object ? "gone"
                      : "changed",
        object->name, ((const struct map_object *)object)->value);
}

static void on_problem(void *ctx, const struct err *problem)
{
    (void)ctx;
    printf("problem %s\n", problem ? problem->text : "over");
}

static void on_synced(void *ctx)
{
    (void)ctx;
    puts("synced");
}

static void print_state(struct kube_informer *informer)
{
    struct kube_objects objects = {0};
    struct str line = STR_INIT(1 << 20);
    str_appendf(&line, "state %llu", (unsigned long long)kube_informer_version(informer));
    kube_store_list(kube_informer_store(informer), &objects);
    vec_for_each (object, &objects.list)
        str_appendf(&line, " %s=%llu", (*object)->name, (unsigned long long)(*object)->resource_version);
    puts(str_text(&line));
    kube_objects_done(&objects);
    str_done(&line);
}

static void print_stats(struct kube_informer *informer)
{
    struct kube_informer_stats stats;
    kube_informer_stats(informer, &stats);
    printf("{\"lists\":%llu,\"watches\":%llu,\"events\":%llu,\"failures\":%llu,\"silences\":%llu,\"synced_"
           "ms\":%lld}\n",
        (unsigned long long)stats.lists, (unsigned long long)stats.watches, (unsigned long long)stats.events,
        (unsigned long long)stats.failures, (unsigned long long)stats.silences, (long long)stats.synced_ms);
}

static void follow(bool lists)
{
    begin("histrio-test-follow/1");
    const struct kube_informer_config informer_config = {.resource = &KUBE_CONFIG_MAPS,
        .namespace = kube_client_namespace(client),
        .label_selector = "watched",
        .lists = lists,
        .decode = decode,
        .release = release,
        .on_change = on_change,
        .on_problem = on_problem,
        .on_synced = on_synced};
    struct kube_informer *informer = NULL;
    struct err err = {0};
    char line[LINE_MAX_BYTES];
    check(kube_informer_start(client, clock_system(), &informer_config, &informer, &err), &err);
    while (fgets(line, sizeof(line), stdin)) { /* until the test closes it */
        unsigned long long version;
        if (strcmp(line, "state\n") == 0)
            print_state(informer);
        else if (strcmp(line, "stats\n") == 0)
            print_stats(informer);
        else if (sscanf(line, "require %llu", &version) == 1)
            kube_informer_require(informer, version);
    }
    kube_informer_free(informer);
    end();
}

/* ---- lead ---- */

static volatile sig_atomic_t must_end;

static void on_signal(int signal)
{
    (void)signal;
    must_end = 1;
}

static void on_started(void *ctx, uint64_t known_version)
{
    (void)ctx;
    printf("started %lld %llu\n", (long long)clock_now_ms(clock_system()), (unsigned long long)known_version);
}

static void on_stopped(void *ctx, const char *why)
{
    (void)ctx;
    printf("stopped %lld %s\n", (long long)clock_now_ms(clock_system()), why);
}

static uint64_t seen_version(void *ctx)
{
    (void)ctx;
    return (uint64_t)getpid();
}

/* Looks all the time, as somebody who is about to act. */
static void look(const struct kube_lease *lease)
{
    int64_t from_ms = 0;
    int64_t until_ms = 0;
    while (!must_end && poll(NULL, 0, POLL_MS) <= 0) { /* until the signal */
        bool is_held = kube_lease_is_held(lease);
        int64_t now_ms = clock_now_ms(clock_system());
        if (is_held) {
            until_ms = now_ms;
            from_ms = from_ms ? from_ms : now_ms;
        } else if (from_ms) {
            printf("led %lld %lld\n", (long long)from_ms, (long long)until_ms);
            from_ms = 0;
        }
    }
    if (from_ms)
        printf("led %lld %lld\n", (long long)from_ms, (long long)until_ms);
}

static void lead(const char *identity)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL); /* cannot fail for it */
    begin("histrio-test-lead/1");
    const struct kube_lease_config lease_config = {.namespace = kube_client_namespace(client),
        .name = "test",
        .identity = identity,
        .version_annotation = "example.dev/version",
        .version = seen_version,
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_problem = on_problem};
    struct kube_lease *lease = NULL;
    struct err err = {0};
    check(kube_lease_start(client, clock_system(), &lease_config, &lease, &err), &err);
    look(lease);
    kube_lease_free(lease);
    end();
}

/* ---- events ---- */

static void emit(int count)
{
    begin("histrio-test-events/1");
    const struct kube_recorder_config recorder_config = {
        .controller = "example.dev/test", .instance = "test-1", .on_problem = on_problem};
    const struct kube_event event = {.api_version = "v1",
        .kind = "ConfigMap",
        .namespace = kube_client_namespace(client),
        .name = "flaps",
        .uid = "a6f1b8ae-0000-4000-8000-000000000000",
        .is_warning = true,
        .reason = "Flapping",
        .action = "Restart",
        .note = "it went and came"};
    struct kube_recorder *recorder = NULL;
    struct err err = {0};
    check(kube_recorder_start(client, clock_system(), &recorder_config, &recorder, &err), &err);
    for (int i = 0; i < count; i++)
        kube_recorder_emit(recorder, &event);
    struct kube_recorder_stats stats = {0};
    while (stats.written + stats.failed + stats.suppressed < (uint64_t)count && poll(NULL, 0, POLL_MS) <= 0)
        kube_recorder_stats(recorder, &stats); /* each one ends as one of these */
    printf("{\"written\":%llu,\"suppressed\":%llu,\"failed\":%llu,\"dropped\":%llu}\n",
        (unsigned long long)stats.written, (unsigned long long)stats.suppressed,
        (unsigned long long)stats.failed, (unsigned long long)stats.dropped);
    kube_recorder_free(recorder);
    end();
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* lines of two threads do not mix */
    const char *verb = argc > 1 ? argv[1] : "";
    uint64_t count = 0;
    if (strcmp(verb, "follow") == 0)
        follow(argc > 2);
    else if (strcmp(verb, "lead") == 0 && argc == 3)
        lead(argv[2]);
    else if (strcmp(verb, "events") == 0 && argc == 3 && text_to_u64(argv[2], 900, &count, NULL) == 0)
        emit((int)count);
    else
        return 2;
    return 0;
}
