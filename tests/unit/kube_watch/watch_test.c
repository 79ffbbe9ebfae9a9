#include "unit/kube_watch/suites.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "kube/frame.h"
#include "kube/meta.h"
#include "kube/watch.h"

/* ---- frames ---- */

struct lines {
    struct str text;
    int left; /* lines until one says stop; -1 for never */
};

static bool note_line(const char *text, size_t size, void *ctx)
{
    struct lines *lines = ctx;
    str_append_bytes(&lines->text, text, size);
    str_append_char(&lines->text, '|');
    return lines->left < 0 || --lines->left > 0;
}

static void lines_come_whole_however_they_were_cut(void **state)
{
    (void)state;
    const char text[] = "one\r\n\n{\"two\": 2}\nthree\nand a tail";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct kube_frame frame;
        struct lines lines = {STR_INIT(100), -1};
        kube_frame_init(&frame, 12);
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t size = sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece;
            assert_int_equal(kube_frame_feed(&frame, text + at, size, note_line, &lines, NULL), 0);
        }
        assert_string_equal(str_text(&lines.text), "one|{\"two\": 2}|three|");
        assert_string_equal(str_text(&frame.tail), "and a tail");
        kube_frame_done(&frame);
        str_done(&lines.text);
    }
}

static void long_lines_are_refused_and_readers_may_stop(void **state)
{
    (void)state;
    struct kube_frame frame;
    struct err err;
    struct lines lines = {STR_INIT(100), 2};
    kube_frame_init(&frame, 4);
    assert_int_equal(kube_frame_feed(&frame, "a\nb\nc\n", 6, note_line, &lines, &err), 0);
    assert_string_equal(str_text(&lines.text), "a|b|");
    kube_frame_clear(&frame);
    lines.left = -1;
    assert_int_equal(kube_frame_feed(&frame, "12", 2, note_line, &lines, &err), 0);
    assert_int_equal(kube_frame_feed(&frame, "345", 3, note_line, &lines, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    kube_frame_clear(&frame);
    assert_int_equal(kube_frame_feed(&frame, "12345\n", 6, note_line, &lines, &err), -1);
    assert_string_equal(err.text, "a line of more than 4 bytes in a watch");
    kube_frame_done(&frame);
    str_done(&lines.text);
}

/* ---- events ---- */

static void expect_no_event(const char *line, const char *text)
{
    struct kube_watch_event event = {0};
    struct err err = {0};
    assert_int_equal(kube_watch_event_read(line, strlen(line), &event, &err), -1);
    assert_string_equal(err.text, text);
}

static void events_are_read_or_refused(void **state)
{
    (void)state;
    struct kube_watch_event event;
    const char *bookmark = "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\","
                           "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}";
    assert_int_equal(kube_watch_event_read(bookmark, strlen(bookmark), &event, NULL), 0);
    assert_int_equal(event.type, KUBE_WATCH_BOOKMARK);
    assert_int_equal(event.version, 12);
    assert_true(event.ends_initial);
    kube_watch_event_done(&event);

    const char *error =
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
        "\"message\":\"too old\",\"reason\":\"Expired\",\"code\":410}}";
    assert_int_equal(kube_watch_event_read(error, strlen(error), &event, NULL), 0);
    assert_int_equal(event.type, KUBE_WATCH_ERROR);
    assert_int_equal(event.status.reason, KUBE_REASON_EXPIRED);
    kube_watch_event_done(&event);

    const char *table = "{\"type\":\"LATER\",\"object\":{\"kind\":\"Table\"}}";
    assert_int_equal(kube_watch_event_read(table, strlen(table), &event, NULL), 0);
    assert_int_equal(event.type, KUBE_WATCH_OTHER);
    kube_watch_event_done(&event);

    expect_no_event("nonsense", "a watch event: line 1 column 1: this is no JSON value");
    expect_no_event("[]", "a line of a watch that is no event with type and object");
    expect_no_event("{\"type\":\"ADDED\"}", "a line of a watch that is no event with type and object");
    expect_no_event(
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"x\"}}}",
        "a watch event whose metadata.resourceVersion \"x\" is not a number above 0");
    expect_no_event("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}",
        "a watch event whose object has no metadata.name");
    expect_no_event(
        "{\"type\":\"ERROR\",\"object\":{}}", "an ERROR event: not a Status of v1 but \"\" of \"\"");
}

static void managed_fields_are_left_out(void **state)
{
    (void)state;
    struct kube_watch_event event;
    const char *line = "{\"type\":\"ADDED\",\"object\":{\"managedFields\":1,\"metadata\":{\"name\":\"a\","
                       "\"managedFields\" : [{\"f:metadata\":{\"f:a\":{\"]\":\"\\\"]\"}}}, {}] ,"
                       "\"resourceVersion\":\"7\"},\"data\":{\"managedFields\":[2]}}}";
    assert_int_equal(kube_watch_event_read(line, strlen(line), &event, NULL), 0);
    assert_true(json_is_null(json_get(json_get(event.object, "metadata"), "managedFields")));
    assert_int_equal(event.version, 7);
    assert_string_equal(kube_meta_name(event.object), "a");
    assert_int_equal(json_int(json_get(event.object, "managedFields")), 1);
    assert_int_equal(json_int(json_at(json_get(json_get(event.object, "data"), "managedFields"), 0)), 2);
    kube_watch_event_done(&event);
}

/* One object that somebody nested too deeply must not stop the watch of all others. */
static void what_a_tree_cannot_hold_costs_its_part_only(void **state)
{
    (void)state;
    struct kube_watch_event event;
    struct str line = STR_INIT(10000);
    str_append(&line,
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Thing\",\"metadata\":{\"name\":\"a\",\"resourceVersion\":"
        "\"7\",\"managedFields\":[{\"f:\\u0000\":{}}]},\"spec\":");
    for (int i = 0; i < 100; i++)
        str_append(&line, "[");
    for (int i = 0; i < 100; i++)
        str_append(&line, "]");
    str_append(&line, ",\"status\":{\"a\":1},\"data\":{\"a\\u0000b\":1}}}");
    assert_int_equal(kube_watch_event_read(str_text(&line), line.size, &event, NULL), 0);
    assert_int_equal(event.type, KUBE_WATCH_ADDED);
    assert_int_equal(event.version, 7);
    assert_string_equal(kube_meta_name(event.object), "a");
    assert_true(json_is_null(json_get(json_get(event.object, "metadata"), "managedFields")));
    assert_string_equal(json_string(json_get(event.object, "spec")), "line 1: nested more than 64 deep");
    assert_int_equal(json_int(json_get(json_get(event.object, "status"), "a")), 1);
    assert_non_null(strstr(json_string(json_get(event.object, "data")), "NUL"));
    kube_watch_event_done(&event);
    str_done(&line);
    expect_no_event("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"},\"spec\":nonsense}}",
        "a watch event: object: spec: line 1 column 1: this is no JSON value");
}

static bool part_is(const struct kube_part *part, const char *text)
{
    return part->value && part->value_size == strlen(text) &&
           memcmp(part->value, text, part->value_size) == 0;
}

static void heads_are_read_without_the_rest(void **state)
{
    (void)state;
    struct kube_watch_head head;
    /* As Go writes a struct, and cut behind what counts. */
    const char pod[] =
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
        "\"uid\":\"u-1\",\"resourceVersion\":\"71\",\"labels\":{\"unfin";
    assert_true(kube_watch_head_read(pod, strlen(pod), &head));
    assert_true(part_is(&head.namespace, "n"));
    assert_true(part_is(&head.name, "a"));
    assert_true(part_is(&head.uid, "u-1"));
    assert_int_equal(head.version, 71);
    /* As it writes a map. */
    const char custom[] =
        "{\"type\":\"ADDED\",\"object\":{\"apiVersion\":\"x/v1\",\"metadata\":{\"labels\":{\"name\":\"no\"},"
        "\"name\":\"b\",\"resourceVersion\":\"5\",\"uid\":\"u\"},\"spec\":{}}}";
    assert_true(kube_watch_head_read(custom, strlen(custom), &head));
    assert_null(head.namespace.value);
    assert_true(part_is(&head.name, "b"));
    assert_int_equal(head.version, 5);

    static const char *const others[] = {"", "{}", "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":"
        "\"1\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":"
        "\"0\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":"
        "\"x\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":7,\"uid\":\"u\",\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\\u0061\",\"uid\":\"u\","
        "\"resourceVersion\":\"1\"}}}",
        "{\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"1\"}},\"type\":"
        "\"ADDED\"}",
        NULL};
    for (const char *const *text = others; *text; text++)
        if (kube_watch_head_read(*text, strlen(*text), &head))
            fail_msg("%s", *text);
}

int watch_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_however_they_were_cut),
        cmocka_unit_test(long_lines_are_refused_and_readers_may_stop),
        cmocka_unit_test(events_are_read_or_refused),
        cmocka_unit_test(managed_fields_are_left_out),
        cmocka_unit_test(what_a_tree_cannot_hold_costs_its_part_only),
        cmocka_unit_test(heads_are_read_without_the_rest),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
