/* What an API server says in lists and watches: the first byte chooses, the rest are pages (ended by a NUL)
 * or lines. The version of the store never goes back, and what changes tell agrees with the store. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "kube/follower.h"
#include "kube/object.h"
#include "kube/store.h"

enum { STEP_MS = 60 * 1000, ROUNDS_MAX = 64 };

static struct kube_object *decode(const struct json *json, void *ctx, struct err *err)
{
    (void)json;
    (void)ctx;
    (void)err;
    return xcalloc(1, sizeof(struct kube_object));
}

static void release(struct kube_object *object)
{
    free(object);
}

static void count_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    (void)is_initial;
    if (!old_object && !new_object)
        abort();
    *(int64_t *)ctx += (new_object != NULL) - (old_object != NULL);
}

/* Gives one request what is left of the data, up to a NUL; returns how much it took. */
static size_t answer(struct kube_follower *follower, const struct reflector_request *request, int64_t now_ms,
    const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, 0, size);
    size_t part = end ? (size_t)(end - data) : size;
    const char *text = (const char *)data;
    if (request->step == REFLECTOR_LIST) {
        _cleanup_(cleanup_free) char *page = xstrndup(text, part);
        const struct kube_follower_end ended = {.has_answer = true, .page = page, .page_size = part};
        kube_follower_ended(follower, now_ms, &ended);
    } else if (kube_follower_data(follower, now_ms, text, part / 2) &&
               kube_follower_data(follower, now_ms, text + part / 2, part - part / 2)) {
        kube_follower_ended(follower, now_ms, &(struct kube_follower_end){.has_answer = true});
    }
    return end ? part + 1 : part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int64_t count = 0;
    int64_t now_ms = 1;
    uint64_t version = 0;
    struct kube_store *store = kube_store_new(NULL, 0);
    const struct kube_follower_config config = {.store = store,
        .decode = decode,
        .release = release,
        .on_change = count_change,
        .ctx = &count,
        .can_stream = data[0] % 2,
        .seed = 1};
    struct kube_follower *follower = kube_follower_new(&config);
    size_t at = 1;
    for (int round = 0; at < size && round < ROUNDS_MAX; round++, now_ms += STEP_MS) {
        struct reflector_request request;
        kube_follower_next(follower, now_ms, &request);
        if (request.step != REFLECTOR_WAIT)
            at += answer(follower, &request, now_ms, data + at, size - at);
        if (kube_store_version(store) < version || (int64_t)kube_store_count(store) != count)
            abort();
        version = kube_store_version(store);
    }
    kube_follower_free(follower);
    kube_store_free(store);
    return 0;
}
