/* histrio_spawn(), which waits: what comes meanwhile is either done inside of it, or left for later. The
 * answers are on the socket before it asks; its first request has number 2^63 + 1. */
#include "harness.h"

#include "base/str.h"
#include "base/value.h"
#include "suites.h"

#include <string.h>

enum { REQUEST = 1 };

static int start(void **state)
{
    (void)state;
    harness_start();
    feed_start(1, 1);
    assert_true(step());
    (void)said(FRAME_DONE);
    (void)noted();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    harness_stop();
    return 0;
}

static void feed_answer(uint32_t slot, uint64_t request, uint64_t id)
{
    struct str reply = STR_INIT(256);
    value_put_map(&reply, 1);
    value_put_string(&reply, "ref");
    value_put_array(&reply, 2);
    value_put_uint(&reply, SELF.node);
    value_put_uint(&reply, id);
    feed((struct frame){.kind = FRAME_REPLY, .actor = slot, .number = UINT64_C(1) << 63 | request},
        reply.data, reply.size);
    str_done(&reply);
}

static void feed_refusal(uint64_t request, enum histrio_error error)
{
    feed_text(
        (struct frame){
            .kind = FRAME_ERROR, .actor = 1, .code = (uint8_t)error, .number = UINT64_C(1) << 63 | request},
        "no");
}

static void a_child_starts_inside(void **state)
{
    (void)state;
    feed_deed(FRAME_ASK, 1, 5, "spawn_plain", "subject");
    feed_deed(FRAME_TELL, 1, 6, "who", ""); /* comes after the handler that waits */
    feed_start(2, 7);
    feed_answer(1, REQUEST, 1001);
    assert_true(step());
    struct frame spawn = said(FRAME_SPAWN);
    struct value request = value_of(said_payload(), said_size()), root = value_find(request, "root");
    assert_int_equal(spawn.actor, 1);
    assert_true(value_is_string(value_find(value_find(root, "behavior"), "c"), "test.subject"));
    assert_true(value_is_string(value_find(root, "isolation"), "Spawner"));
    assert_true(value_is_string(value_find(root, "restart"), "Temporary"));
    assert_int_equal(value_type(value_find(request, "name")), VALUE_NONE);
    assert_int_equal(said(FRAME_DONE).number, 7);
    assert_int_equal(said(FRAME_REPLY).number, 5);
    assert_int_equal(said(FRAME_DONE).number, 6);
    const char *notes = noted();
    assert_true(text_starts_with(notes, "start:hi spawned:0:1001:0 unit/one "));
}

static void options_are_told(void **state)
{
    (void)state;
    feed_deed(FRAME_TELL, 1, 5, "spawn", "other.thing");
    feed_answer(1, REQUEST + 1, 1001); /* the monitor has the number before */
    assert_true(step());
    (void)said(FRAME_SPAWN);
    struct value request = value_of(said_payload(), said_size()), root = value_find(request, "root");
    bool link = false;
    uint64_t monitor = 0, capacity = 0;
    assert_true(value_is_string(value_find(value_find(root, "behavior"), "c"), "other.thing"));
    assert_true(value_is_string(value_find(request, "name"), "child"));
    assert_true(value_get_bool(value_find(request, "link"), &link) && link);
    assert_true(value_get_uint(value_find(request, "monitor"), &monitor) && monitor > 0);
    assert_true(value_get_uint(value_find(value_find(root, "mailbox"), "capacity"), &capacity));
    assert_int_equal(capacity, 9);
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "spawned:0:1001:1");
    feed_text((struct frame){.kind = FRAME_DOWN, .actor = 1, .number = 6, .ref_id = monitor}, "gone");
    assert_true(step());
    assert_string_equal(noted(), "down:1001:gone");
}

static void refusals_are_errors(void **state)
{
    (void)state;
    feed_deed(FRAME_TELL, 1, 5, "spawn_plain", "subject");
    feed_refusal(REQUEST, HISTRIO_APPLICATION);
    assert_true(step());
    assert_string_equal(noted(), "spawned:9:0:0");
    (void)said(FRAME_SPAWN);
    (void)said(FRAME_DONE);
    feed_deed(FRAME_TELL, 1, 6, "spawn_plain", "module:Class");
    assert_true(step());
    assert_string_equal(noted(), "spawned:1:0:0"); /* NotFound, and the node is not asked */
    (void)said(FRAME_DONE);
    feed_deed(FRAME_TELL, 1, 7, "spawn_unlisted", "");
    assert_true(step());
    assert_string_equal(noted(), "spawned:1");
    assert_int_equal(said(FRAME_LOG).code, HISTRIO_LOG_ERROR); /* says what to do */
}

static void bad_names_are_refused_here(void **state)
{
    (void)state;
    char name[100] = "";
    memset(name, 'x', 64);
    feed_deed(FRAME_TELL, 1, 5, "spawn_as", name);
    feed_deed(FRAME_TELL, 1, 6, "spawn_as", "Not_A_Label");
    feed_deed(FRAME_TELL, 1, 7, "spawn_as", "");
    feed_refusal(REQUEST, HISTRIO_APPLICATION); /* if it asked the node */
    feed_refusal(REQUEST + 1, HISTRIO_APPLICATION);
    feed_refusal(REQUEST + 2, HISTRIO_APPLICATION);
    assert_true(step());
    assert_string_equal(noted(), "spawned:8 spawned:8 spawned:8"); /* BadArgument */
}

static void starts_nest(void **state)
{
    (void)state;
    feed_start_of(2, 5, "test.spawning"); /* spawns another in its start */
    feed_deed(FRAME_TELL, 1, 6, "who", "");
    feed_start(3, 7);
    feed_answer(2, REQUEST, 1002);
    assert_true(step());
    (void)said(FRAME_SPAWN);
    assert_int_equal(said(FRAME_DONE).number, 7);
    assert_int_equal(said(FRAME_DONE).number, 5);
    assert_int_equal(said(FRAME_DONE).number, 6);
    assert_true(text_starts_with(noted(), "start:hi spawned:0:1002:0 unit/one "));
}

/* The message is still there, wherever the frames have gone meanwhile. */
static void spawn_inside(struct histrio_context *ctx)
{
    struct page_view page = page_now();
    assert_int_equal(page.executing, PAGE_ACTOR | 1);
    for (uint64_t i = 0; i < 3; i++) {
        feed_start((uint32_t)(2 + i), 10 + i);
        feed_answer(1, REQUEST + i, 2000 + i);
        feed_now();
        struct histrio_ref ref;
        assert_int_equal(histrio_spawn(ctx, "subject", (const uint8_t *)"\xa2hi", 3, NULL, &ref), HISTRIO_OK);
        assert_int_equal(ref.id, 2000 + i);
    }
    assert_int_equal(page_now().executing, PAGE_ACTOR | 1);
}

static void a_message_outlives_the_wait(void **state)
{
    (void)state;
    while_handling = spawn_inside;
    feed_deed(FRAME_TELL, 1, 5, "look", "precious");
    for (uint64_t i = 0; i < 50; i++)
        feed_deed(FRAME_TELL, 1, 20 + i, "who", "");
    assert_true(step());
    assert_true(text_starts_with(noted(), "start:hi start:hi start:hi looked:precious unit/one "));
}

/* Answers of starts fill the page up to its last entry, which is of one that has not ended: it starts
 * another, for which all answers are written, and entries below are free. */
enum { STARTS = PAGE_ENTRIES - 1 };

static void fill_page(struct histrio_context *ctx)
{
    for (uint32_t i = 0; i < STARTS - 1; i++)
        assert_int_equal(histrio_spawn(ctx, "subject", (const uint8_t *)"\xa2hi", 3, NULL, NULL), HISTRIO_OK);
    struct page_view page = page_now();
    assert_int_equal(page.entries[PAGE_ENTRIES - 1], (10 + STARTS - 2) | PAGE_OVER);
    assert_int_equal(page.entries[1], 5);
    assert_int_equal(page.entries[2], (10 + STARTS - 1) | PAGE_OVER); /* of the one inside */
}

static void a_full_page_has_room_for_a_start_inside(void **state)
{
    (void)state;
    while_handling = fill_page;
    feed_deed(FRAME_TELL, 1, 5, "look", "full");
    for (uint32_t i = 0; i < STARTS - 2; i++) {
        feed_start(2 + i, 10 + i);
        feed_answer(1, REQUEST + i, 2000 + i);
    }
    feed_start_of(STARTS, 10 + STARTS - 2, "test.spawning");
    feed_start(STARTS + 1, 10 + STARTS - 1);
    feed_answer(STARTS, REQUEST + STARTS - 1, 4000);
    feed_answer(1, REQUEST + STARTS - 2, 4001);
    assert_true(step());
    assert_int_equal(page_now().entries[PAGE_ENTRIES - 1], 0);
}

static void without_a_node_nothing_is_spawned(void **state)
{
    (void)state;
    feed_deed(FRAME_TELL, 1, 5, "spawn_plain", "subject");
    feed((struct frame){.kind = 200}, "", 0); /* ends the connection */
    assert_false(step());
    assert_string_equal(noted(), "spawned:2:0:0"); /* Unavailable */
}

#define WITH_SUBJECT(test) cmocka_unit_test_setup_teardown(test, start, stop)

const struct CMUnitTest spawns_tests[] = {
    WITH_SUBJECT(a_child_starts_inside),
    WITH_SUBJECT(options_are_told),
    WITH_SUBJECT(refusals_are_errors),
    WITH_SUBJECT(bad_names_are_refused_here),
    WITH_SUBJECT(starts_nest),
    WITH_SUBJECT(a_message_outlives_the_wait),
    WITH_SUBJECT(a_full_page_has_room_for_a_start_inside),
    WITH_SUBJECT(without_a_node_nothing_is_spawned),
};
const size_t spawns_test_count = sizeof(spawns_tests) / sizeof(spawns_tests[0]);
