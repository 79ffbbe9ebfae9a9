/* lib/kube against the API server of $KUBECONFIG, or that of a pod whose service account is in the folder
 * $HISTRIO_TEST_ACCOUNT; test_requests.py starts both.
 *
 *     kube_requests verbs           what each verb does, and each refusal (cmocka)
 *     kube_requests many SECONDS    reads and writes from 4 threads for so long; prints counts as JSON
 *     kube_requests watches SECONDS 6 watches see all that 4 threads write; prints how late, as JSON
 *     kube_requests probe SECONDS   a read each 50 ms with 1 s of time, prints what became of each */
#include "integration/kube/requests.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "kube/meta.h"
#include "kube/resource.h"

struct kube_config *config;
struct kube_client *client;
char last_warning[256];

static void on_warning(const char *text, void *ctx)
{
    (void)ctx;
    (void)snprintf(last_warning, sizeof(last_warning), "%s", text); /* cut when long */
}

struct kube_client *new_client(const struct kube_config *of)
{
    struct kube_client *made = NULL;
    struct kube_client_config settings = {
        .config = of, .thread_name = "kube", .user_agent = "histrio-test/1", .on_warning = on_warning};
    struct err err = {0};
    if (kube_client_new(&settings, &made, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return made;
}

static void open_client(void)
{
    struct err err = {0};
    const char *account = getenv("HISTRIO_TEST_ACCOUNT");
    int result = account ? kube_config_in_cluster(account, &config, &err)
                         : kube_config_load(NULL, NULL, &config, &err);
    if (result < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    client = new_client(config);
}

static void close_client(void)
{
    kube_client_free(client);
    kube_config_free(config);
}

unsigned count_connections(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct sockaddr_in peer;
        socklen_t size = sizeof(peer);
        int fd = (int)strtol(entry->d_name, NULL, 10);
        count += getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET;
    }
    (void)closedir(folder);
    return count;
}

struct kube_target map_target(const char *name)
{
    return (struct kube_target){&KUBE_CONFIG_MAPS, "default", name, NULL};
}

char *map_body(const char *name, const char *version, const char *value)
{
    struct json *object = json_object_new();
    struct json *metadata = kube_meta_begin(object, &KUBE_CONFIG_MAPS, "default", name);
    if (version)
        json_set_string(metadata, "resourceVersion", version);
    json_set_string(json_set_object(object, "data"), "key", value);
    char *text = json_to_text(object, JSON_COMPACT);
    json_free(object);
    return text;
}

int main(int argument_count, char **arguments)
{
    int64_t seconds = argument_count > 2 ? strtol(arguments[2], NULL, 10) : 1;
    const char *mode = argument_count > 1 ? arguments[1] : "";
    open_client();
    int result = 2;
    if (text_equal(mode, "verbs"))
        result = verbs();
    else if (text_equal(mode, "many"))
        result = many(seconds);
    else if (text_equal(mode, "watches"))
        result = watches(seconds);
    else if (text_equal(mode, "probe"))
        result = probe(seconds);
    close_client();
    return result;
}
