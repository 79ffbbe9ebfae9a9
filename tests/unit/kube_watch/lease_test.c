#include "unit/kube_watch/suites.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/lease.h"
#include "kube/meta.h"
#include "unit/kube_watch/notes.h"

static void answer_lease(struct notes *notes, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *text = json_to_text(notes->lease, JSON_COMPACT);
    http_exchange_answer(exchange, 200, "", text);
}

static void put_lease(struct notes *notes, struct json *lease_take)
{
    json_free(notes->lease);
    notes->lease = lease_take;
    json_set_stringf(json_get(notes->lease, "metadata"), "resourceVersion", "%llu",
        (unsigned long long)++notes->lease_version);
}

static void serve_lease_locked(struct notes *notes, struct http_exchange *exchange)
{
    struct json *body = NULL;
    if (exchange->body_size > 0)
        assert_int_equal(json_parse(exchange->body, exchange->body_size, &body, NULL), 0);
    bool is_put = strcmp(exchange->method, "PUT") == 0;
    bool is_same = body && notes->lease &&
                   strcmp(kube_meta_resource_version(body), kube_meta_resource_version(notes->lease)) == 0;
    if (notes->refuses)
        http_exchange_refuse(exchange, 500, "InternalError", "", "no");
    else if (!notes->lease && strcmp(exchange->method, "POST") != 0)
        http_exchange_refuse(exchange, 404, "NotFound", "", "no such lease");
    else if (is_put && !is_same)
        http_exchange_refuse(exchange, 409, "Conflict", "", "changed");
    else if (body)
        put_lease(notes, steal_ptr(&body));
    if (notes->lease && !notes->refuses && (!is_put || is_same))
        answer_lease(notes, exchange);
    json_free(body);
}

static void serve_lease(struct stage *stage, struct http_exchange *exchange)
{
    struct notes *notes = stage->ctx;
    /* First, as what the answer leads to is noted by another thread. */
    note(notes, "%s %.*s|", exchange->method, (int)strcspn(exchange->target, "?"), exchange->target);
    mutex_lock(&stage->lock);
    serve_lease_locked(notes, exchange);
    mutex_unlock(&stage->lock);
}

static void on_started(void *ctx, uint64_t known_version)
{
    note(ctx, "started %d|", (int)known_version);
}

static void on_stopped(void *ctx, const char *why)
{
    note(ctx, "stopped: %s|", why);
}

static void on_leader(void *ctx, const char *identity)
{
    note(ctx, "leader %s|", identity);
}

static uint64_t seen_version(void *ctx)
{
    (void)ctx;
    return 77;
}

static struct kube_lease *begin_lease(struct stage *stage)
{
    const struct kube_lease_config config = {.namespace = "x",
        .name = "operator",
        .identity = "me",
        .duration_ms = 2000,
        .renew_deadline_ms = 1700,
        .retry_ms = 50,
        .version_annotation = "example.dev/version",
        .version = seen_version,
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_problem = note_problem_text,
        .ctx = stage->ctx};
    struct kube_lease *lease = NULL;
    atomic_store(&stage->handler, serve_lease);
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, NULL), 0);
    return lease;
}

/* What the server has at key of spec; the caller frees it. */
static char *lease_text(struct notes *notes, const char *key)
{
    mutex_lock(&notes->stage->lock);
    char *text = xstrdup(json_string(json_get(json_get(notes->lease, "spec"), key)));
    mutex_unlock(&notes->stage->lock);
    return text;
}

static void a_lease_is_made_renewed_lost_and_given_up(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_lease *lease = begin_lease(stage);
    expect_noted(notes, "GET /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    expect_noted(notes, "POST /apis/coordination.k8s.io/v1/namespaces/x/leases|");
    assert_int_equal(kube_lease_held_until_ms(lease), 0);
    expect_noted(notes, "PUT /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    expect_noted(notes, "started 77|leader me|");
    int64_t held_ms = kube_lease_held_until_ms(lease) - clock_now_ms(clock_system());
    assert_true(held_ms <= 1700);
    for (int i = 0; i < 3; i++)
        expect_noted(notes, "PUT /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    _cleanup_(cleanup_free) char *holder = lease_text(notes, "holderIdentity");
    assert_string_equal(holder, "me");
    _cleanup_(cleanup_free) char *renewed = lease_text(notes, "renewTime");
    assert_int_equal(strlen(renewed), strlen("2026-11-23T12:00:00.000000Z"));

    mutex_lock(&stage->lock);
    notes->refuses = true;
    mutex_unlock(&stage->lock);
    expect_noted(notes, "problem ");
    expect_noted(notes, "stopped: it was not renewed in time|");
    assert_false(kube_lease_is_held(lease));
    mutex_lock(&stage->lock);
    notes->refuses = false;
    mutex_unlock(&stage->lock);
    expect_noted(notes, "started 77|"); /* it is still ours */
    assert_true(kube_lease_held_until_ms(lease) > 0);
    kube_lease_free(lease);
    expect_noted(notes, "stopped: this replica ends|");
    _cleanup_(cleanup_free) char *nobody = lease_text(notes, "holderIdentity");
    assert_string_equal(nobody, "");
}

static void a_lease_of_others_is_left_alone(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    const char *text = "{\"metadata\":{\"name\":\"operator\"},\"spec\":{\"holderIdentity\":\"other\","
                       "\"leaseDurationSeconds\":60,\"leaseTransitions\":3}}";
    assert_int_equal(json_parse(text, strlen(text), &notes->lease, NULL), 0);
    put_lease(notes, steal_ptr(&notes->lease));
    struct kube_lease *lease = begin_lease(stage);
    expect_noted(notes, "leader other|");
    for (int i = 0; i < 3; i++)
        expect_noted(notes, "GET /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    kube_lease_free(lease);
    mutex_lock(&stage->lock);
    bool has_started = strstr(str_text(&notes->text), "started") != NULL;
    uint64_t version = notes->lease_version;
    mutex_unlock(&stage->lock);
    assert_false(has_started);
    assert_int_equal(version, 1);
}

static void leases_that_make_no_sense_are_refused(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    struct kube_lease *lease = NULL;
    struct kube_lease_config config = {.namespace = "x", .name = "operator", .identity = ""};
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_string_equal(err.text, "a lease needs an identity");
    config.identity = "me";
    config.retry_ms = 5000;
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_string_equal(err.text, "the lease's retry period must be above 0 and below its renew deadline");
    config.retry_ms = 0;
    config.renew_deadline_ms = 5900;
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_true(text_starts_with(err.text, "the lease's duration must be at least 2 s"));
    assert_null(lease);
}

int lease_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_lease_is_made_renewed_lost_and_given_up, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(a_lease_of_others_is_left_alone, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(leases_that_make_no_sense_are_refused, notes_setup, notes_teardown),
    };
    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
