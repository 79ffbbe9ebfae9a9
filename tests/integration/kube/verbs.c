/* What each verb does, and each refusal. */
#include "integration/kube/requests.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "kube/http.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "kube/status.h"

enum { MAPS = 1203 };

static void assert_worked(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s: %s", err_kind_name(err->kind), err->text);
}

static void assert_reason(
    int result, struct kube_status *status, enum kube_reason reason, const struct err *err)
{
    assert_int_equal(result, -1);
    if (status->reason != reason)
        fail_msg("\"%s\": %s", kube_reason_name(status->reason), err->text);
    kube_status_done(status);
}

static void the_version_is_told(void **state)
{
    _cleanup_(json_freep) struct json *version = NULL;
    struct err err = {0};
    (void)state;
    assert_worked(kube_get_path(client, "/version", &version, NULL, &err), &err);
    assert_string_equal(json_string(json_get(version, "major")), "1");
}

static void objects_live(void **state)
{
    struct kube_target maps = map_target(NULL), one = map_target("one");
    struct kube_status status = {0};
    struct err err = {0};
    _cleanup_(json_freep) struct json *created = NULL, *got = NULL, *replaced = NULL;
    _cleanup_(cleanup_free) char *body = map_body("one", NULL, "a");
    (void)state;
    assert_worked(kube_create(client, &maps, body, NULL, &created, &status, &err), &err);
    assert_reason(kube_create(client, &maps, body, NULL, NULL, &status, &err), &status,
        KUBE_REASON_ALREADY_EXISTS, &err);
    assert_worked(kube_get(client, &one, NULL, &got, &status, &err), &err);
    assert_string_equal(kube_meta_uid(got), kube_meta_uid(created));
    assert_true(kube_meta_resource_version_number(got) > 0);
    _cleanup_(cleanup_free) char *second = map_body("one", kube_meta_resource_version(got), "b");
    assert_worked(kube_replace(client, &one, second, NULL, &replaced, &status, &err), &err);
    assert_true(kube_meta_resource_version_number(replaced) > kube_meta_resource_version_number(got));
    assert_reason(
        kube_replace(client, &one, second, NULL, NULL, &status, &err), &status, KUBE_REASON_CONFLICT, &err);
    struct kube_delete_options other = {.uid = "11111111-1111-1111-1111-111111111111"};
    struct kube_delete_options stale = {.resource_version = kube_meta_resource_version(got)};
    struct kube_delete_options right = {.uid = kube_meta_uid(got)};
    assert_reason(kube_delete(client, &one, &other, &status, &err), &status, KUBE_REASON_CONFLICT, &err);
    assert_reason(kube_delete(client, &one, &stale, &status, &err), &status, KUBE_REASON_CONFLICT, &err);
    assert_worked(kube_delete(client, &one, &right, &status, &err), &err);
    assert_reason(kube_get(client, &one, NULL, NULL, &status, &err), &status, KUBE_REASON_NOT_FOUND, &err);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void fields_have_managers(void **state)
{
    struct kube_target two = map_target("two");
    struct kube_options mine = {.field_manager = "mine"}, other = {.field_manager = "other"};
    struct kube_options forced = {.field_manager = "other", .is_forced = true};
    struct kube_status status = {0};
    struct err err = {0};
    _cleanup_(json_freep) struct json *applied = NULL, *again = NULL, *patched = NULL;
    _cleanup_(cleanup_free) char *first = map_body("two", NULL, "a");
    _cleanup_(cleanup_free) char *second = map_body("two", NULL, "b");
    (void)state;
    assert_worked(kube_apply(client, &two, first, &mine, &applied, &status, &err), &err);
    assert_worked(kube_apply(client, &two, first, &mine, &again, &status, &err), &err);
    assert_string_equal(kube_meta_resource_version(again), kube_meta_resource_version(applied));
    assert_reason(
        kube_apply(client, &two, second, &other, NULL, &status, &err), &status, KUBE_REASON_CONFLICT, &err);
    assert_worked(kube_apply(client, &two, second, &forced, NULL, &status, &err), &err);
    assert_worked(kube_merge_patch(client, &two, "{\"data\":{\"key\":null,\"more\":\"1\"}}", NULL, &patched,
                      &status, &err),
        &err);
    assert_null(json_get(json_get(patched, "data"), "key"));
    assert_string_equal(json_string(json_get(json_get(patched, "data"), "more")), "1");
}

#define UNKNOWN_FIELD "{\"metadata\":{\"name\":\"three\"},\"dta\":{}}"

static void unknown_fields_are_refused_or_warned_about(void **state)
{
    struct kube_target maps = map_target(NULL);
    struct kube_options strict = {.is_strict = true, .is_dry_run = true}, lax = {.is_dry_run = true};
    struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    assert_reason(kube_create(client, &maps, UNKNOWN_FIELD, &strict, NULL, &status, &err), &status,
        KUBE_REASON_BAD_REQUEST, &err);
    assert_worked(kube_create(client, &maps, UNKNOWN_FIELD, &lax, NULL, &status, &err), &err);
    assert_string_equal(last_warning, "unknown field \"dta\"");
    struct kube_target three = map_target("three"); /* it was a dry run */
    assert_reason(kube_get(client, &three, NULL, NULL, &status, &err), &status, KUBE_REASON_NOT_FOUND, &err);
}

static void mistakes_have_causes(void **state)
{
    struct kube_target pods = {&KUBE_PODS, "default", NULL, NULL};
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    assert_int_equal(
        kube_create(client, &pods, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}", NULL, NULL,
            &status, &err),
        -1);
    assert_int_equal(status.reason, KUBE_REASON_INVALID);
    assert_true(status.cause_count > 0);
    assert_string_equal(status.causes[0].field, "spec.containers");
    assert_int_equal(err.kind, ERR_INVALID);
}

static void subresources_are_apart(void **state)
{
    static const char body[] =
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
    struct kube_target pods = {&KUBE_PODS, "default", NULL, NULL}, pod = {&KUBE_PODS, "default", "p", NULL};
    struct kube_target pod_status = {&KUBE_PODS, "default", "p", "status"};
    struct kube_delete_options at_once = {.has_grace_period = true};
    struct err err = {0};
    _cleanup_(json_freep) struct json *got = NULL, *partial = NULL;
    struct kube_options only_metadata = {.is_metadata_only = true};
    (void)state;
    assert_worked(kube_create(client, &pods, body, NULL, NULL, NULL, &err), &err);
    assert_worked(
        kube_merge_patch(client, &pod_status, "{\"status\":{\"phase\":\"Running\"}}", NULL, NULL, NULL, &err),
        &err);
    assert_worked(kube_get(client, &pod, NULL, &got, NULL, &err), &err);
    assert_string_equal(json_string(json_get(json_get(got, "status"), "phase")), "Running");
    assert_worked(kube_get(client, &pod, &only_metadata, &partial, NULL, &err), &err);
    assert_string_equal(json_string(json_get(partial, "kind")), "PartialObjectMetadata");
    assert_null(json_get(partial, "spec"));
    assert_worked(kube_delete(client, &pod, &at_once, NULL, &err), &err);
}

static void a_namespace_that_ends_takes_nothing(void **state)
{
    struct kube_target spaces = {&KUBE_NAMESPACES, NULL, NULL, NULL},
                       space = {&KUBE_NAMESPACES, NULL, "ending", NULL};
    struct kube_target maps = {&KUBE_CONFIG_MAPS, "ending", NULL, NULL};
    struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    assert_worked(
        kube_create(client, &spaces, "{\"metadata\":{\"name\":\"ending\"}}", NULL, NULL, &status, &err),
        &err);
    assert_worked(kube_delete(client, &space, NULL, &status, &err), &err); /* no controller finishes it */
    assert_reason(kube_create(client, &maps, "{\"metadata\":{\"name\":\"a\"}}", NULL, NULL, &status, &err),
        &status, KUBE_REASON_NAMESPACE_TERMINATING, &err);
}

static void sizes_have_an_end(void **state)
{
    struct kube_target maps = map_target(NULL), large = map_target("large");
    struct kube_status status = {0};
    struct err err = {0};
    _cleanup_(json_freep) struct json *got = NULL;
    _cleanup_(cleanup_free) char *value = xcalloc(1, 4000001);
    (void)state;
    memset(value, 'x', 4000000);
    _cleanup_(cleanup_free) char *too_large = map_body("large", NULL, value);
    value[900000] = '\0';
    _cleanup_(cleanup_free) char *fits = map_body("large", NULL, value);
    assert_reason(kube_create(client, &maps, too_large, NULL, NULL, &status, &err), &status,
        KUBE_REASON_TOO_LARGE, &err);
    assert_worked(kube_create(client, &maps, fits, NULL, NULL, &status, &err), &err);
    assert_worked(kube_get(client, &large, NULL, &got, &status, &err), &err);
    assert_int_equal(json_string_size(json_get(json_get(got, "data"), "key")), 900000);
    assert_worked(kube_delete(client, &large, NULL, &status, &err), &err);
}

static void a_wrong_token_is_refused(void **state)
{
    struct kube_config stranger = *config;
    struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    stranger.token = (char[]){"nobody"};
    struct kube_client *other = new_client(&stranger);
    assert_reason(kube_get_path(other, "/api", NULL, &status, &err), &status, KUBE_REASON_UNAUTHORIZED, &err);
    kube_client_free(other);
}

static void somebody_else_may_less(void **state)
{
    struct kube_config somebody = *config;
    struct kube_target nodes = {&KUBE_NODES, NULL, "n", NULL};
    struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    somebody.impersonate_user = (char[]){"somebody"};
    struct kube_client *other = new_client(&somebody);
    assert_reason(kube_get(other, &nodes, NULL, NULL, &status, &err), &status, KUBE_REASON_FORBIDDEN, &err);
    assert_non_null(strstr(err.text, "somebody"));
    kube_client_free(other);
}

static int count_item(const struct json *object, void *ctx, struct err *err)
{
    unsigned *count = ctx;
    (void)err;
    *count += text_starts_with(kube_meta_name(object), "many-") && json_is_null(json_get(object, "data"));
    return 0;
}

static void no_restart(void *ctx)
{
    (void)ctx;
    fail_msg("the list began anew");
}

static void long_lists_come_in_pages(void **state)
{
    static const struct kube_list_events events = {count_item, no_restart};
    struct kube_target maps = map_target(NULL);
    struct err err = {0};
    unsigned count = 0, exact = 0;
    _cleanup_(cleanup_free) char *version = NULL;
    struct kube_list_request request = {.resource = &KUBE_CONFIG_MAPS,
        .namespace = "default",
        .label_selector = "many=yes",
        .is_metadata_only = true};
    (void)state;
    for (unsigned at = 0; at < MAPS; at++) {
        _cleanup_(cleanup_free) char *body = xasprintf(
            "{\"metadata\":{\"name\":\"many-%u\",\"labels\":{\"many\":\"yes\"}},\"data\":{\"a\":\"b\"}}", at);
        assert_worked(kube_create(client, &maps, body, NULL, NULL, NULL, &err), &err);
    }
    assert_worked(kube_list(client, &request, &events, &count, &version, NULL, &err), &err);
    assert_int_equal(count, MAPS);
    assert_true(strlen(version) > 0);
    request.resource_version = version;
    assert_worked(kube_list(client, &request, &events, &exact, NULL, NULL, &err), &err);
    assert_int_equal(exact, MAPS);
}

/* ---- a watch beside requests ---- */

struct follower {
    struct mutex lock;
    struct condition changed;
    struct kube_stream *stream;
    struct str seen GUARDED_BY(&lock);
};

static void on_data(const char *data, size_t size, void *ctx)
{
    struct follower *follower = ctx;
    mutex_lock(&follower->lock);
    str_append_bytes(&follower->seen, data, size);
    condition_broadcast(&follower->changed);
    mutex_unlock(&follower->lock);
}

static void on_ended(const struct kube_stream_end *end, void *ctx)
{
    on_data("ENDED", 5, ctx);
    (void)end;
}

static void start_watch(void *ctx)
{
    static const struct kube_stream_events events = {NULL, on_data, on_ended};
    struct follower *follower = ctx;
    struct kube_request request = {.method = "GET",
        .path = "/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Dseen"};
    follower->stream = kube_stream_start(client, &request, &events, follower);
}

static void cancel_watch(void *ctx)
{
    struct follower *follower = ctx;
    kube_stream_cancel(follower->stream);
    on_data("CANCELED", 8, ctx);
}

static void wait_seen(struct follower *follower, const char *text)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    mutex_lock(&follower->lock);
    while (!strstr(str_text(&follower->seen), text)) {
        if (!condition_wait_until(&follower->changed, &follower->lock, deadline_ns))
            fail_msg("no %s in %s", text, str_text(&follower->seen));
    }
    mutex_unlock(&follower->lock);
}

static void a_watch_shares_the_connection(void **state)
{
    struct kube_target maps = map_target(NULL), seen = map_target("seen");
    struct err err = {0};
    struct follower follower;
    (void)state;
    mutex_init(&follower.lock, LOCK_RANK, "test follower");
    condition_init(&follower.changed);
    mutex_lock(&follower.lock);
    str_init(&follower.seen, 1024 * 1024);
    mutex_unlock(&follower.lock);
    kube_http_post(kube_client_http(client), start_watch, &follower);
    _cleanup_(cleanup_free) char *body = map_body("seen", NULL, "a");
    assert_worked(kube_create(client, &maps, body, NULL, NULL, NULL, &err), &err);
    wait_seen(&follower, "\"ADDED\"");
    assert_worked(kube_delete(client, &seen, NULL, NULL, &err), &err);
    wait_seen(&follower, "\"DELETED\"");
    assert_int_equal(count_connections(), 1);
    kube_http_post(kube_client_http(client), cancel_watch, &follower);
    wait_seen(&follower, "CANCELED");
    mutex_lock(&follower.lock);
    assert_null(strstr(str_text(&follower.seen), "ENDED"));
    str_done(&follower.seen);
    mutex_unlock(&follower.lock);
    condition_done(&follower.changed);
    mutex_done(&follower.lock);
}

int verbs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(objects_live),
        cmocka_unit_test(fields_have_managers),
        cmocka_unit_test(unknown_fields_are_refused_or_warned_about),
        cmocka_unit_test(mistakes_have_causes),
        cmocka_unit_test(subresources_are_apart),
        cmocka_unit_test(a_namespace_that_ends_takes_nothing),
        cmocka_unit_test(sizes_have_an_end),
        cmocka_unit_test(a_wrong_token_is_refused),
        cmocka_unit_test(somebody_else_may_less),
        cmocka_unit_test(long_lists_come_in_pages),
        cmocka_unit_test(a_watch_shares_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
