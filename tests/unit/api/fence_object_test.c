#include "unit/api/suites.h"

#include <string.h>

#include "api/fence_object.h"
#include "api/object_owner.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "types/fence_record.h"
#include "unit/api/object_support.h"

static const struct object_owner owner = {"ns", "bank", "u-1"};

static void fill(struct fence_record *ret_record)
{
    struct fence_record record = {.system = xstrdup("bank"),
        .system_uid = xstrdup("u-1"),
        .term = 7,
        .lease_ms = 3000,
        .next_serial = 12};
    struct roster_member member = {.uid = 0xc0ffee, .node = (char *)(uintptr_t) "bank-nodes-3"};
    record.current.version = 5;
    roster_add(&record.current, &member); /* without addresses: not known yet */
    (void)fence_record_add_dead(&record, UINT64_MAX);
    fence_record_add_quarantine(&record, "vandal", "it crashed", 17);
    vec_push(&record.cordons, xstrdup("bank-nodes-3"));
    *ret_record = record;
}

static void a_record_comes_back_from_its_object(void **state)
{
    (void)state;
    struct fence_record record;
    struct fence_record read;
    struct err err = {0};
    char *version = NULL;
    fill(&record);
    struct json *object = fence_object_new(&owner, &record, "41");
    if (fence_object_decode(object, &read, &version, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(version, "41");
    struct json *before = fence_record_to_json(&record);
    struct json *after = fence_record_to_json(&read);
    assert_true(json_equal(before, after));
    json_free(before);
    json_free(after);
    json_free(object);
    free(version);
    fence_record_done(&record);
    fence_record_done(&read);
}

static bool has_null(const struct json *node)
{
    if (json_is_null(node))
        return true;
    json_for_each(item, node)
    {
        if (has_null(item))
            return true;
    }
    return false;
}

static void an_object_is_owned_and_has_no_nulls(void **state)
{
    (void)state;
    struct fence_record record;
    fill(&record);
    struct json *object = fence_object_new(&owner, &record, NULL);
    const struct json *metadata = json_get(object, "metadata");
    const struct json *reference = json_at(json_get(metadata, "ownerReferences"), 0);
    assert_false(has_null(object)); /* an API server refuses null where a schema says string */
    assert_string_equal(json_string(json_get(object, "apiVersion")), "histrio.dev/v1alpha1");
    assert_string_equal(json_string(json_get(object, "kind")), "ActorFence");
    assert_string_equal(json_string(json_get(metadata, "name")), "bank");
    assert_string_equal(json_string(json_get(metadata, "namespace")), "ns");
    assert_null(json_get(metadata, "resourceVersion"));
    assert_string_equal(json_string(json_get(json_get(metadata, "labels"), "histrio.dev/system")), "bank");
    assert_string_equal(json_string(json_get(reference, "kind")), "ActorSystem");
    assert_string_equal(json_string(json_get(reference, "uid")), "u-1");
    assert_true(json_bool(json_get(reference, "controller")));
    assert_true(json_bool(json_get(reference, "blockOwnerDeletion")));
    json_free(object);
    fence_record_done(&record);
}

static void expect_refused(const char *text, const char *expected)
{
    struct json *object = object_parse(text);
    struct fence_record record;
    struct err err = {0};
    char *version = NULL;
    assert_int_equal(fence_object_decode(object, &record, &version, &err), -1);
    assert_string_equal(err.text, expected);
    json_free(object);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    expect_refused("{'record': {}}", "an ActorFence without metadata.resourceVersion");
    expect_refused("{'metadata': {'resourceVersion': '1'}}", "an ActorFence without record");
    expect_refused("{'metadata': {'resourceVersion': '1'}, 'record': {'format': 2}}",
        "the record of an ActorFence: line 1: format: must be from 1 to 1");
    expect_refused("{'metadata': {'resourceVersion': '1'}, 'record': {'format': 1, 'term': -1}}",
        "the record of an ActorFence: line 1: term: must be from 0 to 4294967295");
}

const struct CMUnitTest fence_object_tests[3] = {
    cmocka_unit_test(a_record_comes_back_from_its_object),
    cmocka_unit_test(an_object_is_owned_and_has_no_nulls),
    cmocka_unit_test(anything_else_is_refused),
};
