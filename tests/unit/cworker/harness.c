#include "harness.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "subject.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXTS_MAX = 64, BUFFER_BYTES = 256 * 1024 };

static struct {
    struct cworker *worker;
    int socket;
    struct page page;
    char *ours[TEXTS_MAX];
    uint32_t our_count;
    char *theirs[TEXTS_MAX];
    struct str fed;
    uint8_t in[BUFFER_BYTES];
    size_t in_begin, in_end;
    char payload[4096];
    size_t payload_size;
    char notes[4096], taken[4096];
} harness;

void (*while_handling)(struct histrio_context *ctx);

void harness_start(void)
{
    int ends[2];
    struct err err = {0};
    memset(&harness, 0, sizeof(harness));
    while_handling = NULL;
    str_init(&harness.fed, BUFFER_BYTES);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(page_init(&harness.page, &err), 0);
    harness.socket = ends[0];
    assert_int_equal(cworker_new(ends[1], harness.page.page_fd, &harness.worker, &err), 0);
    assert_int_equal(cworker_add_library(harness.worker, &subject_library, &err), 0);
    (void)said(FRAME_HELLO);
}

void harness_stop(void)
{
    cworker_free(harness.worker);
    page_done(&harness.page);
    str_done(&harness.fed);
    (void)close(harness.socket); /* only read and written here */
    for (size_t i = 0; i < TEXTS_MAX; i++) {
        free(harness.ours[i]);
        free(harness.theirs[i]);
    }
}

/* ---- in ---- */

void feed(struct frame frame, const void *payload, size_t size)
{
    frame.size = (uint32_t)(FRAME_HEADER_BYTES + size);
    str_append_bytes(&harness.fed, &frame, sizeof(frame));
    str_append_bytes(&harness.fed, payload, size);
}

void feed_text(struct frame frame, const char *text)
{
    feed(frame, text, strlen(text));
}

uint32_t feed_intern(const char *text)
{
    for (uint32_t i = 0; i < harness.our_count; i++)
        if (strcmp(harness.ours[i], text) == 0)
            return i + 1;
    assert_true(harness.our_count < TEXTS_MAX);
    harness.ours[harness.our_count++] = xstrdup(text);
    feed_text((struct frame){.kind = FRAME_INTERN, .method = harness.our_count}, text);
    return harness.our_count;
}

void feed_start_of(uint32_t slot, uint64_t number, const char *behavior)
{
    struct str start = STR_INIT(4096);
    value_put_map(&start, 8);
    value_put_string(&start, "behavior");
    value_put_string(&start, behavior);
    value_put_string(&start, "arguments");
    value_put_bytes(&start, "\xa2hi", 3);
    value_put_string(&start, "path");
    value_put_string(&start, "unit/one");
    value_put_string(&start, "unit");
    value_put_string(&start, "unit");
    value_put_string(&start, "epoch");
    value_put_string(&start, "18446744073709551615");
    value_put_string(&start, "incarnation");
    value_put_uint(&start, 4);
    value_put_string(&start, "library");
    value_put_string(&start, strncmp(behavior, "nowhere.", 8) == 0 ? "/nowhere/libnowhere.so" : "");
    value_put_string(&start, "parent");
    value_put_array(&start, 2);
    value_put_uint(&start, 77);
    value_put_uint(&start, 999);
    struct frame frame = {.kind = FRAME_START,
        .actor = slot,
        .number = number,
        .ref_node = SELF.node,
        .ref_id = SELF.id + slot - 1};
    feed(frame, start.data, start.size);
    str_done(&start);
}

void feed_start(uint32_t slot, uint64_t number)
{
    feed_start_of(slot, number, "test.subject");
}

void feed_deed(enum frame_kind kind, uint32_t slot, uint64_t number, const char *deed, const char *text)
{
    struct str value = STR_INIT(4096);
    value_put_string(&value, text);
    struct frame frame = {.kind = (uint8_t)kind,
        .actor = slot,
        .number = number,
        .method = feed_intern(deed),
        .timeout_ms = 1000,
        .ref_node = 55,
        .ref_id = 66};
    feed(frame, value.data, value.size);
    str_done(&value);
}

void feed_now(void)
{
    if (harness.fed.size > 0)
        assert_int_equal(send(harness.socket, harness.fed.data, harness.fed.size, 0), harness.fed.size);
    str_clear(&harness.fed);
}

bool step(void)
{
    return step_within(0);
}

bool step_within(int timeout_ms)
{
    feed_now();
    return cworker_step(harness.worker, timeout_ms);
}

/* ---- out ---- */

void hear(void)
{
    ssize_t got =
        recv(harness.socket, harness.in + harness.in_end, BUFFER_BYTES - harness.in_end, MSG_DONTWAIT);
    harness.in_end += got > 0 ? (size_t)got : 0;
}

static bool next(struct frame *ret_frame, const uint8_t **ret_payload)
{
    struct err err = {0};
    hear();
    if (harness.in_begin == harness.in_end)
        return false;
    assert_int_equal(
        frame_parse(harness.in + harness.in_begin, harness.in_end - harness.in_begin, ret_frame, &err), 1);
    *ret_payload = harness.in + harness.in_begin + FRAME_HEADER_BYTES;
    harness.in_begin += ret_frame->size;
    return true;
}

static bool next_but_texts(struct frame *ret_frame, const uint8_t **ret_payload)
{
    while (next(ret_frame, ret_payload)) {
        if (ret_frame->kind != FRAME_INTERN)
            return true;
        assert_in_range(ret_frame->method, 1, TEXTS_MAX - 1);
        free(harness.theirs[ret_frame->method]);
        harness.theirs[ret_frame->method] =
            xstrndup((const char *)*ret_payload, frame_payload_bytes(ret_frame));
    }
    return false;
}

struct frame said(enum frame_kind kind)
{
    struct frame frame;
    const uint8_t *payload;
    if (!next_but_texts(&frame, &payload))
        fail_msg("it did not say %s", frame_kind_name(kind));
    if (frame.kind != kind)
        fail_msg("it said %s, not %s", frame_kind_name(frame.kind), frame_kind_name(kind));
    size_t size = frame_payload_bytes(&frame);
    harness.payload_size = size;
    size = size < sizeof(harness.payload) ? size : sizeof(harness.payload) - 1;
    memcpy(harness.payload, payload, size);
    harness.payload[size] = 0;
    return frame;
}

const char *said_payload(void)
{
    return harness.payload;
}

size_t said_size(void)
{
    return harness.payload_size;
}

const char *said_text(uint32_t number)
{
    return number < TEXTS_MAX && harness.theirs[number] ? harness.theirs[number] : "";
}

void said_nothing(void)
{
    struct frame frame;
    const uint8_t *payload;
    if (next_but_texts(&frame, &payload))
        fail_msg("it said %s", frame_kind_name(frame.kind));
}

struct page_view page_now(void)
{
    struct page_view view;
    page_look(&harness.page, &view);
    return view;
}

/* ---- notes ---- */

void note(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    size_t used = strlen(harness.notes);
    (void)snprintf(harness.notes + used, sizeof(harness.notes) - used, "%s%s", used > 0 ? " " : "", line);
}

const char *noted(void)
{
    memcpy(harness.taken, harness.notes, sizeof(harness.taken));
    harness.notes[0] = 0;
    return harness.taken;
}
