#include "kube/event_book.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/event.h"

enum { QUIET_MS = 10 * 60 * 1000, NOTES_MAX = 10 };
enum { BURST = 25, REFILL_MS = 5 * 60 * 1000 };
enum { SUBJECTS_MAX = 4096, WORD_BYTES_MAX = 128, NAME_BYTES_MAX = 200 };

/* Events of an object that differ only in their notes. */
struct event_group {
    struct map series;             /* note -> series, the combined one aside */
    struct event_series *combined; /* NULL: there are few */
};

struct event_subject {
    struct map groups; /* type, reason, action -> group */
    int tokens;
    int64_t tokens_ms; /* when the last token came */
    int64_t last_ms;
};

static void series_free(void *value)
{
    struct event_series *series = value;
    if (!series)
        return;
    free(series->event_name);
    free(series->api_version);
    free(series->kind);
    free(series->namespace);
    free(series->name);
    free(series->uid);
    free(series->reason);
    free(series->action);
    free(series->note);
    free(series);
}

static void group_free(void *value)
{
    struct event_group *group = value;
    map_done(&group->series, series_free);
    series_free(group->combined);
    free(group);
}

static void subject_free(void *value)
{
    struct event_subject *subject = value;
    map_done(&subject->groups, group_free);
    free(subject);
}

void event_book_done(struct event_book *book)
{
    map_done(&book->subjects, subject_free);
}

static char *dup_text(const char *text, size_t size_max)
{
    size_t size = text ? strnlen(text, size_max) : 0;
    while (
        size > 0 && !text_is_utf8(text, size)) /* a character that was cut; or a text that is none at all */
        size--;
    return xstrndup(text ? text : "", size);
}

/* Names are lower case and unlike each other: that of the object, and what tells this series from others. */
static char *make_event_name(const struct event_series *series)
{
    _cleanup_(str_done) struct str text = STR_INIT(4096);
    str_appendf(&text, "%s|%d|%s|%s|%s|%" PRId64, series->uid, series->is_warning, series->reason,
        series->action, series->note, series->first_wall_ms);
    return xasprintf("%.*s.%016" PRIx64, NAME_BYTES_MAX, series->name, hash_string(str_text(&text)));
}

static struct event_series *series_new(
    struct event_subject *subject, const struct kube_event *event, const char *note, int64_t wall_ms)
{
    struct event_series *series = xcalloc(1, sizeof(*series));
    *series = (struct event_series){.api_version = dup_text(event->api_version, WORD_BYTES_MAX),
        .kind = dup_text(event->kind, WORD_BYTES_MAX),
        .namespace = dup_text(event->namespace, WORD_BYTES_MAX),
        .name = dup_text(event->name, LIMIT_KEY_BYTES),
        .uid = dup_text(event->uid, WORD_BYTES_MAX),
        .reason = dup_text(event->reason, WORD_BYTES_MAX),
        .action = dup_text(event->action ? event->action : event->reason, WORD_BYTES_MAX),
        .note = dup_text(note, LIMIT_STATUS_TEXT_BYTES),
        .is_warning = event->is_warning,
        .first_wall_ms = wall_ms,
        .subject = subject};
    series->event_name = make_event_name(series);
    return series;
}

/* ---- who it is about ---- */

static struct event_subject *need_subject(
    struct event_book *book, int64_t now_ms, const struct kube_event *event)
{
    _cleanup_(cleanup_free) char *key = xasprintf("%s|%s|%s|%s", event->kind,
        event->namespace ? event->namespace : "", event->name, event->uid ? event->uid : "");
    struct event_subject *subject = map_get(&book->subjects, key);
    if (!subject) {
        struct map_item oldest = {0};
        if (map_count(&book->subjects) >= SUBJECTS_MAX && map_next(&book->subjects, &oldest))
            subject_free(map_remove(&book->subjects, oldest.key));
        subject = xcalloc(1, sizeof(*subject));
        subject->tokens = BURST;
        subject->tokens_ms = now_ms;
        (void)map_put(&book->subjects, key, subject); /* there was none */
    }
    subject->last_ms = now_ms;
    return subject;
}

static struct event_group *need_group(struct event_subject *subject, const struct kube_event *event)
{
    _cleanup_(cleanup_free) char *key = xasprintf(
        "%d|%s|%s", event->is_warning, event->reason, event->action ? event->action : event->reason);
    struct event_group *group = map_get(&subject->groups, key);
    if (!group) {
        group = xcalloc(1, sizeof(*group));
        (void)map_put(&subject->groups, key, group); /* there was none */
    }
    return group;
}

static bool take_token(struct event_subject *subject, int64_t now_ms)
{
    int64_t refills = (now_ms - subject->tokens_ms) / REFILL_MS;
    if (refills > 0) {
        subject->tokens_ms += refills * REFILL_MS;
        subject->tokens = subject->tokens + refills > BURST ? BURST : subject->tokens + (int)refills;
    }
    if (subject->tokens == 0)
        return false;
    if (subject->tokens == BURST)
        subject->tokens_ms = now_ms; /* a full bucket does not fill */
    subject->tokens--;
    return true;
}

/* What was kept back stays until it was written. */
static bool is_over(const struct event_series *series, int64_t now_ms)
{
    return now_ms - series->last_ms >= QUIET_MS && series->written == series->count;
}

static void forget_over(struct event_group *group, int64_t now_ms)
{
    map_for_each (item, &group->series) {
        if (is_over(item.value, now_ms))
            series_free(map_remove(&group->series, item.key));
    }
    if (group->combined && is_over(group->combined, now_ms)) {
        series_free(group->combined);
        group->combined = NULL;
    }
}

static struct event_series *need_series(
    struct event_subject *subject, struct event_group *group, const struct kube_event *event, int64_t wall_ms)
{
    const char *note = event->note ? event->note : "";
    struct event_series *series = map_get(&group->series, note);
    if (series)
        return series;
    if (map_count(&group->series) < NOTES_MAX) {
        series = series_new(subject, event, note, wall_ms);
        (void)map_put(&group->series, note, series); /* there was none */
        return series;
    }
    if (!group->combined) {
        _cleanup_(cleanup_free) char *combined = xasprintf("(combined from similar events): %s", note);
        group->combined = series_new(subject, event, combined, wall_ms);
    }
    return group->combined;
}

struct event_series *event_book_add(
    struct event_book *book, int64_t now_ms, int64_t wall_ms, const struct kube_event *event)
{
    struct event_subject *subject = need_subject(book, now_ms, event);
    struct event_group *group = need_group(subject, event);
    forget_over(group, now_ms);
    struct event_series *series = need_series(subject, group, event, wall_ms);
    series->count++;
    series->last_ms = now_ms;
    series->last_wall_ms = wall_ms;
    return take_token(subject, now_ms) ? series : NULL;
}

/* ---- later ---- */

static struct event_series *kept_back(struct event_subject *subject)
{
    map_for_each (group_item, &subject->groups) {
        struct event_group *group = group_item.value;
        map_for_each (item, &group->series) {
            struct event_series *series = item.value;
            if (series->count > series->written)
                return series;
        }
        if (group->combined && group->combined->count > group->combined->written)
            return group->combined;
    }
    return NULL;
}

struct event_series *event_book_next(struct event_book *book, int64_t now_ms)
{
    map_for_each (item, &book->subjects) {
        struct event_subject *subject = item.value;
        struct event_series *series = kept_back(subject);
        if (series && take_token(subject, now_ms))
            return series;
        /* Its budget is whole again by then. */
        if (now_ms - subject->last_ms >= (int64_t)BURST * REFILL_MS)
            subject_free(map_remove(&book->subjects, item.key));
    }
    return NULL;
}

void event_series_wrote(struct event_series *series, uint32_t count)
{
    series->written = count;
}

void event_series_lost(struct event_series *series)
{
    series->written = 0;
    series->first_wall_ms = series->last_wall_ms;
    free(series->event_name);
    series->event_name = make_event_name(series);
}
