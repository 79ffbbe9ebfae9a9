/* What is pure: paths, metadata, refusals, and pages cut apart. */
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/path.h"
#include "kube/resource.h"
#include "kube/split.h"
#include "kube/status.h"
#include "unit/kube/suites.h"

static const struct kube_resource WIDGETS = {"example.org", "v1beta1", "widgets", "Widget", true};

static struct json *tree(const char *text)
{
    struct json *root = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &root, &err) < 0)
        fail_msg("%s", err.text);
    return root;
}

static void assert_path(const struct kube_resource *resource, const char *namespace, const char *name,
    const char *subresource, const char *expected)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    assert_int_equal(kube_path(resource, namespace, name, subresource, &path, NULL), 0);
    assert_string_equal(str_text(&path), expected);
}

static void assert_no_path(
    const struct kube_resource *resource, const char *namespace, const char *name, const char *expected)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    struct err err = {0};
    assert_int_equal(kube_path(resource, namespace, name, NULL, &path, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, expected));
}

static void paths_are_built(void **state)
{
    (void)state;
    assert_path(&KUBE_NODES, NULL, NULL, NULL, "/api/v1/nodes");
    assert_path(&KUBE_NODES, "ignored", "a", "status", "/api/v1/nodes/a/status");
    assert_path(&KUBE_PODS, NULL, NULL, NULL, "/api/v1/pods");
    assert_path(&KUBE_PODS, "n", "p", NULL, "/api/v1/namespaces/n/pods/p");
    assert_path(&WIDGETS, "n", "w", "scale", "/apis/example.org/v1beta1/namespaces/n/widgets/w/scale");
    assert_path(&WIDGETS, "n", "a b:c\xc3\xa9", NULL,
        "/apis/example.org/v1beta1/namespaces/n/widgets/a%20b%3Ac%C3%A9");
    assert_no_path(&KUBE_PODS, NULL, "p", "needs a namespace");
    assert_no_path(&KUBE_PODS, "", "p", "namespace is empty");
    assert_no_path(&KUBE_PODS, "n", "", "name is empty");
    assert_no_path(&KUBE_PODS, "n", "..", "cannot be a name");
    assert_no_path(&KUBE_PODS, "a/b", "x", "cannot be a namespace");
    assert_no_path(&KUBE_PODS, "n", "50%", "cannot be a name");
}

static void queries_are_escaped(void **state)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    (void)state;
    str_append(&path, "/api/v1/pods");
    kube_path_query(&path, "labelSelector", "app=a,tier in (x,y)");
    kube_path_query(&path, "fieldSelector", NULL);
    kube_path_query(&path, "empty", "");
    kube_path_query_number(&path, "limit", 500);
    assert_string_equal(
        str_text(&path), "/api/v1/pods?labelSelector=app%3Da%2Ctier%20in%20%28x%2Cy%29&limit=500");
}

static void metadata_is_read(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *pod =
        tree("{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":"
             "\"18446744073709551615\","
             "\"generation\":3,\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":{\"a\":\"b\"},"
             "\"annotations\":{\"c\":\"\",\"d\":7},\"ownerReferences\":[{\"uid\":\"o1\"},{\"uid\":\"o2\","
             "\"controller\":true}]}}");
    assert_string_equal(kube_meta_name(pod), "p");
    assert_string_equal(kube_meta_namespace(pod), "n");
    assert_string_equal(kube_meta_uid(pod), "u");
    assert_string_equal(kube_meta_resource_version(pod), "18446744073709551615");
    assert_true(kube_meta_resource_version_number(pod) == UINT64_MAX);
    assert_int_equal(kube_meta_generation(pod), 3);
    assert_true(kube_meta_is_deleted(pod));
    assert_string_equal(kube_meta_label(pod, "a"), "b");
    assert_null(kube_meta_label(pod, "b"));
    assert_string_equal(kube_meta_annotation(pod, "c"), "");
    assert_null(kube_meta_annotation(pod, "d"));
    assert_string_equal(kube_meta_controller_uid(pod), "o2");
    assert_string_equal(kube_meta_name(NULL), "");
    assert_false(kube_meta_is_deleted(NULL));
    assert_null(kube_meta_controller(NULL));
    assert_true(kube_meta_resource_version_number(NULL) == 0);
}

static void metadata_is_written(void **state)
{
    (void)state;
    _cleanup_(json_freep) struct json *object = json_object_new();
    struct json *metadata = kube_meta_begin(object, &KUBE_PODS, "n", "p");
    kube_meta_add_controller(metadata, &WIDGETS, "w", "u");
    _cleanup_(cleanup_free) char *text = json_to_text(object, JSON_COMPACT);
    assert_string_equal(text,
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\","
        "\"ownerReferences\":["
        "{\"apiVersion\":\"example.org/"
        "v1beta1\",\"kind\":\"Widget\",\"name\":\"w\",\"uid\":\"u\",\"controller\":true,"
        "\"blockOwnerDeletion\":true}]}}");
}

#define STATUS(rest) "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"," rest "}"

static const struct {
    const char *body;
    int code;
    enum kube_reason reason;
    enum err_kind kind;
} REFUSALS[] = {
    {STATUS("\"reason\":\"NotFound\",\"code\":404"), 404, KUBE_REASON_NOT_FOUND, ERR_NOT_FOUND},
    {STATUS("\"reason\":\"AlreadyExists\",\"code\":409"), 409, KUBE_REASON_ALREADY_EXISTS, ERR_CONFLICT},
    {STATUS("\"reason\":\"Conflict\",\"code\":409"), 409, KUBE_REASON_CONFLICT, ERR_CONFLICT},
    {STATUS("\"reason\":\"Gone\",\"code\":410"), 410, KUBE_REASON_GONE, ERR_EXPIRED},
    {STATUS("\"reason\":\"Expired\",\"code\":410"), 410, KUBE_REASON_EXPIRED, ERR_EXPIRED},
    {STATUS("\"reason\":\"Invalid\",\"code\":422"), 422, KUBE_REASON_INVALID, ERR_INVALID},
    {STATUS("\"reason\":\"Forbidden\",\"code\":403"), 403, KUBE_REASON_FORBIDDEN, ERR_DENIED},
    {STATUS("\"reason\":\"Unauthorized\",\"code\":401"), 401, KUBE_REASON_UNAUTHORIZED, ERR_DENIED},
    {STATUS("\"reason\":\"Timeout\",\"code\":504"), 504, KUBE_REASON_TIMEOUT, ERR_TIMEOUT},
    {STATUS("\"reason\":\"ServerTimeout\",\"code\":500"), 500, KUBE_REASON_SERVER_TIMEOUT, ERR_UNAVAILABLE},
    {STATUS("\"reason\":\"TooManyRequests\",\"code\":429"), 429, KUBE_REASON_TOO_MANY_REQUESTS, ERR_BUSY},
    {STATUS("\"reason\":\"InternalError\",\"code\":500"), 500, KUBE_REASON_INTERNAL_ERROR, ERR_UNAVAILABLE},
    {STATUS("\"reason\":\"ServiceUnavailable\",\"code\":503"), 503, KUBE_REASON_SERVICE_UNAVAILABLE,
        ERR_UNAVAILABLE},
    {STATUS("\"reason\":\"MethodNotSupported\",\"code\":405"), 405, KUBE_REASON_METHOD_NOT_ALLOWED,
        ERR_INVALID},
    {STATUS("\"reason\":\"RequestEntityTooLarge\",\"code\":413"), 413, KUBE_REASON_TOO_LARGE, ERR_LIMIT},
    {STATUS("\"reason\":\"Teapot\",\"code\":418"), 418, KUBE_REASON_UNKNOWN, ERR_INVALID},
    {STATUS("\"reason\":\"Broken\",\"code\":599"), 599, KUBE_REASON_UNKNOWN, ERR_UNAVAILABLE},
    {STATUS("\"reason\":\"Forbidden\",\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}"), 403,
        KUBE_REASON_NAMESPACE_TERMINATING, ERR_DENIED},
    {STATUS("\"reason\":\"Timeout\",\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}"),
        504, KUBE_REASON_RESOURCE_VERSION_TOO_LARGE, ERR_EXPIRED},
    {"<html>Bad Gateway</html>", 502, KUBE_REASON_SERVICE_UNAVAILABLE, ERR_UNAVAILABLE},
    {"", 404, KUBE_REASON_NOT_FOUND, ERR_NOT_FOUND},
    {"moved", 301, KUBE_REASON_UNKNOWN, ERR_INVALID},
};

static void refusals_have_reasons(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof(REFUSALS) / sizeof(REFUSALS[0]); at++) {
        struct kube_status status = {0};
        struct err err = {0};
        kube_status_from_answer(REFUSALS[at].code, REFUSALS[at].body, strlen(REFUSALS[at].body), 0, &status);
        assert_int_equal(kube_status_error(&status, &err), -1);
        if (status.reason != REFUSALS[at].reason || err.kind != REFUSALS[at].kind)
            fail_msg("row %zu: %s, %s", at, kube_reason_name(status.reason), err_kind_name(err.kind));
        assert_int_equal(status.code, REFUSALS[at].code);
        kube_status_done(&status);
    }
}

static void refusals_have_details(void **state)
{
    static const char body[] =
        STATUS("\"reason\":\"Invalid\",\"code\":422,\"message\":\"Pod \\\"a\\\" is\\ninvalid\","
               "\"metadata\":{\"continue\":\"next\"},\"details\":{\"retryAfterSeconds\":7,\"causes\":["
               "{\"reason\":\"FieldValueInvalid\",\"message\":\"no\",\"field\":\"spec.x\"},{}]}");
    struct kube_status status = {0};
    struct err err = {0};
    (void)state;
    kube_status_from_answer(422, body, strlen(body), 2000, &status);
    assert_string_equal(status.message, "Pod \"a\" is invalid");
    assert_string_equal(status.continue_token, "next");
    assert_int_equal(status.retry_after_ms, 7000);
    assert_int_equal(status.cause_count, 2);
    assert_string_equal(status.causes[0].field, "spec.x");
    assert_string_equal(status.causes[0].message, "no");
    assert_string_equal(status.causes[1].field, "");
    (void)kube_status_error(&status, &err);
    assert_string_equal(err.text, "Invalid: Pod \"a\" is invalid");
    assert_int_equal(err.retry_after_ms, 7000);
    kube_status_done(&status);
    kube_status_from_answer(503, "<a\n\xff>", 6, 3000, &status);
    assert_int_equal(status.retry_after_ms, 3000);
    assert_null(strchr(status.message, '\n'));
    kube_status_done(&status);
    _cleanup_(json_freep) struct json *success =
        tree("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}");
    assert_int_equal(kube_status_decode(success, &status, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

/* ---- pages ---- */

static int collect(const struct json *object, void *ctx, struct err *err)
{
    (void)err;
    str_appendf(ctx, "%s ", kube_meta_name(object));
    return 0;
}

static int read_page(const char *text, struct str *names, char **version, char **token, struct err *err)
{
    return kube_list_page(text, strlen(text), collect, names, version, token, err);
}

static void pages_are_cut(void **state)
{
    _cleanup_(str_done) struct str names = STR_INIT(1024);
    _cleanup_(cleanup_free) char *version = NULL, *token = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(
        read_page(
            " {\"kind\":\"PodList\", \"items\" : [ {\"metadata\":{\"name\":\"a]}\\\"\"},\"x\":[[]]} ,\n"
            "{\"metadata\":{\"name\":\"b\"}}],\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"c\"} } ",
            &names, &version, &token, &err),
        0);
    assert_string_equal(str_text(&names), "a]}\" b ");
    assert_string_equal(version, "7");
    assert_string_equal(token, "c");
    free(version);
    free(token);
    assert_int_equal(
        read_page("{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"8\"},\"items\":null}", &names,
            &version, &token, &err),
        0);
    assert_string_equal(token, "");
}

static void broken_pages_are_refused(void **state)
{
    static const char *const BROKEN[] = {"", "[]", "{", "{\"kind\":\"PodList\"}",
        "{\"kind\":\"Pod\",\"metadata\":{},\"items\":[]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":{}}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[]",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[}]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{}{}]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{},]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[1]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{\"a\":01}]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[]} x",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[],\"items\":[]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"metadata\":{},\"items\":[]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[\"\\", "{\"kind\":\"PodList\",,\"items\":[]}",
        "{kind:\"PodList\",\"metadata\":{},\"items\":[]}", NULL};
    (void)state;
    for (const char *const *text = BROKEN; *text; text++) {
        _cleanup_(str_done) struct str names = STR_INIT(1024);
        char *version = NULL, *token = NULL;
        struct err err = {0};
        if (read_page(*text, &names, &version, &token, &err) == 0 || err.kind != ERR_INVALID)
            fail_msg("%s: %s", *text, err.text);
    }
}

static void an_object_inside_is_entered(void **state)
{
    (void)state;
    const char text[] = " {\"a\" : [1,{}], \"b\":{\"c\":\"x\", \"d\":{}} , and more";
    struct kube_split split;
    struct kube_part part;
    struct err err = {0};
    assert_int_equal(kube_split_begin(text, strlen(text), '{', &split, NULL), 0);
    assert_int_equal(kube_split_enter(&split, "b", NULL), 1);
    assert_int_equal(kube_split_next(&split, &part, NULL), 1);
    assert_true(kube_part_is(&part, "c"));
    assert_int_equal(kube_split_next(&split, &part, NULL), 1);
    assert_true(kube_part_is(&part, "d"));
    assert_int_equal(kube_split_next(&split, &part, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);

    const char other[] = "{\"b\":[1], \"a\":2}"; /* b is no object */
    assert_int_equal(kube_split_begin(other, strlen(other), '{', &split, NULL), 0);
    assert_int_equal(kube_split_enter(&split, "b", NULL), 0);
    const char broken[] = "{\"a\":[1, \"b\":{}";
    assert_int_equal(kube_split_begin(broken, strlen(broken), '{', &split, NULL), 0);
    assert_int_equal(kube_split_enter(&split, "b", &err), -1);
}

const struct CMUnitTest text_tests[9] = {
    cmocka_unit_test(paths_are_built),
    cmocka_unit_test(queries_are_escaped),
    cmocka_unit_test(metadata_is_read),
    cmocka_unit_test(metadata_is_written),
    cmocka_unit_test(refusals_have_reasons),
    cmocka_unit_test(refusals_have_details),
    cmocka_unit_test(pages_are_cut),
    cmocka_unit_test(broken_pages_are_refused),
    cmocka_unit_test(an_object_inside_is_entered),
};
