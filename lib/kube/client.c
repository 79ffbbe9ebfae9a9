#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/client_private.h"
#include "kube/config.h"

enum { LOCK_RANK = 956, TIMEOUT_MS = 30 * 1000, WARNINGS_MAX = 256 };

int kube_client_new(const struct kube_client_config *config, struct kube_client **ret_client, struct err *err)
{
    assert(config->config && config->thread_name && config->user_agent);
    _cleanup_(kube_client_freep) struct kube_client *client = xcalloc(1, sizeof(*client));
    mutex_init(&client->lock, LOCK_RANK, "kube client");
    condition_init(&client->stopped);
    client->config = config->config;
    client->settings = *config;
    client->settings.user_agent = xstrdup(config->user_agent);
    client->settings.thread_name = NULL; /* only needed here */
    if (client->settings.timeout_ms <= 0)
        client->settings.timeout_ms = TIMEOUT_MS;
    mutex_lock(&client->lock);
    client->tokens = config->burst;
    client->tokens_at_ms = clock_now_ms(clock_system());
    mutex_unlock(&client->lock);
    client->auth = kube_auth_new(config->config, config->clock ? config->clock : clock_system());
    if (kube_http_new(config->thread_name, &client->http, err) < 0)
        return -1;
    *ret_client = steal_ptr(&client);
    return 0;
}

void kube_client_stop(struct kube_client *client)
{
    mutex_lock(&client->lock);
    client->is_stopped = true;
    condition_broadcast(&client->stopped);
    mutex_unlock(&client->lock);
    kube_http_stop(client->http);
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    kube_http_free(client->http);
    kube_auth_free(client->auth);
    mutex_lock(&client->lock); /* nobody else is here; the compiler cannot know */
    map_done(&client->warnings, NULL);
    mutex_unlock(&client->lock);
    condition_done(&client->stopped);
    mutex_done(&client->lock);
    free((char *)client->settings.user_agent);
    free(client);
}

struct kube_http *kube_client_http(struct kube_client *client)
{
    return client->http;
}

const char *kube_client_namespace(const struct kube_client *client)
{
    return client->config->namespace;
}

/* ---- waiting ---- */

static int sleep_locked(struct kube_client *client, int64_t until_ms, struct err *err) REQUIRES(&client->lock)
{
    while (!client->is_stopped && clock_now_ms(clock_system()) < until_ms)
        (void)condition_wait_until(
            &client->stopped, &client->lock, until_ms * NS_PER_MS); /* time is looked at */
    return client->is_stopped ? err_set(err, ERR_CANCELED, "the client was stopped") : 0;
}

int kube_client_sleep(struct kube_client *client, int64_t until_ms, struct err *err)
{
    mutex_lock(&client->lock);
    int result = sleep_locked(client, until_ms, err);
    mutex_unlock(&client->lock);
    return result;
}

/* Takes a token, maybe one that is not there yet; the time when it will be. */
static int64_t take_token(struct kube_client *client, int64_t now_ms) REQUIRES(&client->lock)
{
    double rate_per_ms = client->settings.requests_per_s / 1000;
    double burst = client->settings.burst > 0 ? client->settings.burst : 1;
    client->tokens += (double)(now_ms - client->tokens_at_ms) * rate_per_ms;
    if (client->tokens > burst)
        client->tokens = burst;
    client->tokens_at_ms = now_ms;
    client->tokens -= 1;
    return client->tokens >= 0 ? now_ms : now_ms + (int64_t)(-client->tokens / rate_per_ms) + 1;
}

int kube_client_throttle(
    struct kube_client *client, int64_t deadline_ms, int64_t *ret_waited_ms, struct err *err)
{
    int64_t now_ms = clock_now_ms(clock_system());
    *ret_waited_ms = 0;
    if (client->settings.requests_per_s <= 0)
        return 0;
    mutex_lock(&client->lock);
    int64_t at_ms = take_token(client, now_ms);
    int result;
    if (at_ms > deadline_ms) {
        client->tokens += 1;
        result = err_set(err, ERR_TIMEOUT, "the client's own rate limit leaves no room before the deadline");
    } else {
        result = sleep_locked(client, at_ms, err);
    }
    mutex_unlock(&client->lock);
    *ret_waited_ms = clock_now_ms(clock_system()) - now_ms;
    return result;
}

/* ---- warnings ---- */

void kube_client_warn(struct kube_client *client, const char *const *texts)
{
    static char seen; /* only its address is used */
    if (!client->settings.on_warning)
        return;
    for (; *texts; texts++) {
        mutex_lock(&client->lock);
        bool is_new = !map_has(&client->warnings, *texts) && map_count(&client->warnings) < WARNINGS_MAX;
        if (is_new)
            (void)map_put(&client->warnings, *texts, &seen); /* there was none before */
        mutex_unlock(&client->lock);
        if (is_new)
            client->settings.on_warning(*texts, client->settings.ctx);
    }
}
