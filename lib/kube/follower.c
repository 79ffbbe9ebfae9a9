#include "kube/follower.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/frame.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/watch.h"

struct kube_follower {
    struct kube_follower_config config;
    struct reflector reflector;
    struct kube_frame frame;
    struct kube_replacement *staged; /* NULL when nothing is gathered */
    bool has_synced;
    bool has_problem; /* problem was told and is not over */
    struct err problem;
    struct err refusal; /* of the last object that could not be read */
    struct kube_follower_counts counts;
    /* Of the line or page at hand. */
    int64_t now_ms;
    bool is_over; /* the open request ended by what it said */
};

struct kube_follower *kube_follower_new(const struct kube_follower_config *config)
{
    struct kube_follower *follower = xcalloc(1, sizeof(*follower));
    follower->config = *config;
    reflector_init(&follower->reflector, config->can_stream, config->version, config->seed);
    kube_frame_init(&follower->frame, LIMIT_JSON_BYTES);
    return follower;
}

void kube_follower_free(struct kube_follower *follower)
{
    if (!follower)
        return;
    kube_replacement_free(follower->staged);
    kube_frame_done(&follower->frame);
    reflector_done(&follower->reflector);
    free(follower);
}

/* ---- problems ---- */

static void tell_problem(struct kube_follower *follower, const struct err *problem)
{
    follower->counts.failures++;
    if (follower->has_problem && text_equal(follower->problem.text, problem->text))
        return;
    follower->has_problem = true;
    follower->problem = *problem;
    if (follower->config.on_problem)
        follower->config.on_problem(follower->config.ctx, problem);
}

static void end_problem(struct kube_follower *follower)
{
    if (!follower->has_problem)
        return;
    follower->has_problem = false;
    if (follower->config.on_problem)
        follower->config.on_problem(follower->config.ctx, NULL);
}

static void tell_refusal(struct kube_follower *follower, const struct err *refusal)
{
    follower->counts.refused++;
    if (text_equal(follower->refusal.text, refusal->text))
        return;
    follower->refusal = *refusal;
    if (follower->config.on_problem)
        follower->config.on_problem(follower->config.ctx, refusal);
}

/* What the outcomes mean that we see ourselves. */
static int outcome_error(
    const struct kube_follower *follower, enum reflector_outcome outcome, uint64_t version, struct err *err)
{
    const struct reflector *reflector = &follower->reflector;
    uint64_t known = reflector->version > reflector->floor ? reflector->version : reflector->floor;
    if (outcome == REFLECTOR_STALE)
        return err_set(err, ERR_CONFLICT,
            "the API server is at version %" PRIu64 " and %" PRIu64
            " is known to exist: it lags behind, or its data came from a backup (then remove the mark of the "
            "known version and restart)",
            version, known);
    return err_set(err, ERR_INVALID, "version %" PRIu64 " came after version %" PRIu64, version, known);
}

/* ---- requests ---- */

void kube_follower_next(struct kube_follower *follower, int64_t now_ms, struct reflector_request *ret_request)
{
    reflector_next(&follower->reflector, now_ms, ret_request);
    switch (ret_request->step) {
    case REFLECTOR_WAIT: return;
    case REFLECTOR_LIST:
        follower->counts.lists++;
        if (*ret_request->continue_token)
            return;
        break;
    case REFLECTOR_STREAM:
    case REFLECTOR_WATCH: follower->counts.watches++; break;
    }
    kube_frame_clear(&follower->frame);
    kube_replacement_free(follower->staged);
    follower->staged = ret_request->step == REFLECTOR_WATCH ? NULL : kube_replacement_new();
}

/* The request is over by what we know; nothing of it is wanted any more. */
static void give_up(struct kube_follower *follower, enum reflector_outcome outcome, int64_t retry_after_ms)
{
    follower->is_over = true;
    reflector_ended(&follower->reflector, follower->now_ms, outcome, retry_after_ms);
}

/* Versions expire and servers do not know each way of asking: what follows is another request, and no
 * problem. */
static void fail(
    struct kube_follower *follower, const struct err *err, const struct kube_status *status, bool has_answer)
{
    enum reflector_outcome outcome = reflector_outcome_of(err, status, has_answer);
    bool is_usual = outcome == REFLECTOR_EXPIRED || outcome == REFLECTOR_VERSION_TOO_LARGE ||
                    (outcome == REFLECTOR_UNSUPPORTED && follower->reflector.open == REFLECTOR_STREAM);
    if (err && is_usual)
        follower->counts.failures++;
    else if (err)
        tell_problem(follower, err);
    give_up(follower, outcome, status ? status->retry_after_ms : 0);
}

static void commit(struct kube_follower *follower)
{
    kube_store_replace_take(follower->config.store, steal_ptr(&follower->staged), follower->reflector.version,
        follower->config.on_change, follower->config.ctx);
    follower->has_synced = true;
    end_problem(follower);
}

/* ---- lists ---- */

static void stage(struct kube_follower *follower, const struct json *json)
{
    struct err err = {0};
    struct kube_object *object = NULL;
    if (kube_object_read(json, follower->config.decode, follower->config.release, follower->config.ctx,
            &object, &err) == 0) {
        kube_replacement_put_take(follower->staged, object);
        return;
    }
    char key[KUBE_KEY_BYTES];
    kube_replacement_keep(
        follower->staged, kube_key_format(kube_meta_namespace(json), kube_meta_name(json), key));
    tell_refusal(follower, &err);
}

static int stage_item(const struct json *json, void *ctx, struct err *err)
{
    (void)err;
    stage(ctx, json);
    return 0;
}

static void take_page(struct kube_follower *follower, const char *page, size_t size)
{
    struct err err = {0};
    _cleanup_(cleanup_free) char *version_text = NULL;
    _cleanup_(cleanup_free) char *continue_token = NULL;
    if (kube_list_page(page, size, stage_item, follower, &version_text, &continue_token, &err) < 0) {
        tell_problem(follower, &err);
        give_up(follower, reflector_outcome_of(&err, NULL, true), 0);
        return;
    }
    uint64_t version = 0;
    (void)text_to_u64(version_text, UINT64_MAX, &version, NULL); /* 0 is refused below */
    enum reflector_outcome outcome;
    enum reflector_verdict verdict = reflector_page(&follower->reflector, version, continue_token, &outcome);
    if (verdict == REFLECTOR_COMMIT)
        commit(follower);
    if (verdict != REFLECTOR_BREAK)
        return;
    (void)outcome_error(follower, outcome, version, &err);
    tell_problem(follower, &err);
    give_up(follower, outcome, 0);
}

/* ---- watches ---- */

static void apply(struct kube_follower *follower, const struct kube_watch_event *event, const char *key)
{
    const struct kube_follower_config *config = &follower->config;
    uint64_t version = follower->reflector.version;
    follower->counts.events++;
    if (event->type == KUBE_WATCH_DELETED) {
        kube_store_remove(config->store, key, version, config->on_change, config->ctx);
        return;
    }
    struct err err = {0};
    struct kube_object *object = NULL;
    if (kube_object_read(event->object, config->decode, config->release, config->ctx, &object, &err) == 0) {
        kube_store_put_take(config->store, object, version, config->on_change, config->ctx);
        return;
    }
    kube_store_set_version(config->store, version); /* the last good state stays */
    tell_refusal(follower, &err);
}

static void judge(struct kube_follower *follower, const struct kube_watch_event *event)
{
    char key[KUBE_KEY_BYTES];
    kube_key_format(kube_meta_namespace(event->object), kube_meta_name(event->object), key);
    const struct kube_object *known = kube_store_peek(follower->config.store, key);
    uint64_t known_version = known ? known->resource_version : 0;
    enum reflector_outcome outcome;
    switch (reflector_event(&follower->reflector, event, known_version, &outcome)) {
    case REFLECTOR_IGNORE: return;
    case REFLECTOR_STAGE:
        if (event->type == KUBE_WATCH_DELETED)
            kube_replacement_remove(follower->staged, key);
        else
            stage(follower, event->object);
        return;
    case REFLECTOR_COMMIT: commit(follower); return;
    case REFLECTOR_APPLY: apply(follower, event, key); break;
    case REFLECTOR_MARK: kube_store_set_version(follower->config.store, follower->reflector.version); break;
    case REFLECTOR_BREAK: {
        struct err err = {0};
        (void)outcome_error(follower, outcome, event->version, &err);
        tell_problem(follower, &err);
        give_up(follower, outcome, 0);
        return;
    }
    }
    end_problem(follower);
}

/* Cut as a key is, and then of no object that is known. */
static void copy_part(const struct kube_part *part, char *text)
{
    size_t size = part->value_size < KUBE_KEY_BYTES ? part->value_size : KUBE_KEY_BYTES - 1;
    if (size > 0)
        memcpy(text, part->value, size);
    text[size] = '\0';
}

/* A stream tells everything once more to who only wants to know what is new: trees of 10,000 Pods take a
 * second, and a new leader waits for that. */
static bool is_known(struct kube_follower *follower, const char *text, size_t size)
{
    struct kube_watch_head head;
    char namespace[KUBE_KEY_BYTES], name[KUBE_KEY_BYTES], key[KUBE_KEY_BYTES];
    if (!follower->staged || !follower->has_synced || !kube_watch_head_read(text, size, &head))
        return false;
    copy_part(&head.namespace, namespace);
    copy_part(&head.name, name);
    kube_key_format(namespace, name, key);
    const struct kube_object *known = kube_store_peek(follower->config.store, key);
    if (!known || known->resource_version != head.version || strlen(known->uid) != head.uid.value_size ||
        memcmp(known->uid, head.uid.value, head.uid.value_size) != 0)
        return false;
    kube_replacement_keep(follower->staged, key);
    return true;
}

static bool take_line(const char *text, size_t size, void *ctx)
{
    struct kube_follower *follower = ctx;
    struct kube_watch_event event = {0};
    struct err err = {0};
    if (size > follower->counts.largest_bytes)
        follower->counts.largest_bytes = size;
    if (is_known(follower, text, size))
        return true;
    if (kube_watch_event_read(text, size, &event, &err) < 0) {
        tell_problem(follower, &err);
        give_up(follower, REFLECTOR_SENSELESS, 0);
        return false;
    }
    follower->counts.bookmarks += event.type == KUBE_WATCH_BOOKMARK;
    if (event.type == KUBE_WATCH_ERROR) {
        (void)kube_status_error(&event.status, &err);
        fail(follower, &err, &event.status, true);
    } else {
        judge(follower, &event);
    }
    kube_watch_event_done(&event);
    return !follower->is_over;
}

bool kube_follower_data(struct kube_follower *follower, int64_t now_ms, const char *data, size_t size)
{
    struct err err = {0};
    follower->now_ms = now_ms;
    follower->is_over = false;
    reflector_heard(&follower->reflector, now_ms);
    if (kube_frame_feed(&follower->frame, data, size, take_line, follower, &err) < 0) {
        tell_problem(follower, &err);
        give_up(follower, REFLECTOR_TOO_BIG, 0);
    }
    return !follower->is_over;
}

/* ---- ends ---- */

void kube_follower_ended(struct kube_follower *follower, int64_t now_ms, const struct kube_follower_end *end)
{
    follower->now_ms = now_ms;
    follower->is_over = false;
    if (!end->err && end->page) {
        if (end->page_size > follower->counts.largest_bytes)
            follower->counts.largest_bytes = end->page_size;
        take_page(follower, end->page, end->page_size);
        return;
    }
    fail(follower, end->err, end->status, end->has_answer);
}

bool kube_follower_gives_up(struct kube_follower *follower, int64_t now_ms)
{
    if (!reflector_is_silent(&follower->reflector, now_ms))
        return false;
    follower->now_ms = now_ms;
    follower->counts.silences++;
    give_up(follower, REFLECTOR_SILENT, 0);
    return true;
}

bool kube_follower_require(struct kube_follower *follower, int64_t now_ms, uint64_t version)
{
    if (!reflector_require(&follower->reflector, version))
        return false;
    follower->now_ms = now_ms;
    give_up(follower, REFLECTOR_STALE, 0);
    return true;
}

bool kube_follower_has_synced(const struct kube_follower *follower)
{
    return follower->has_synced;
}

void kube_follower_counts(const struct kube_follower *follower, struct kube_follower_counts *ret_counts)
{
    *ret_counts = follower->counts;
}
