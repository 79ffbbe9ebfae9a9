#include "cli/run_view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/age.h"
#include "operator/run.h"
#include "types/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINES_DEFAULT = 24, COLUMNS_DEFAULT = 80, TEXT_BYTES = 1024 * 1024 };

void run_view_init(struct run_view *view, FILE *out, bool is_live)
{
    *view = (struct run_view){.out = out, .is_live = is_live};
}

void run_view_done(struct run_view *view)
{
    for (size_t i = 0; i < view->event_count; i++)
        free(view->events[i]);
    view->event_count = 0;
}

/* A line of at most `columns` bytes; what behaviors wrote must not move the cursor. */
static void add_line(struct str *out, size_t columns, const char *line)
{
    for (size_t i = 0; line[i] && i < columns; i++)
        str_append_char(out, (unsigned char)line[i] < 0x20 || line[i] == 0x7f ? ' ' : line[i]);
    str_append_char(out, '\n');
}

static void add_unit(const struct status *status, const struct status_unit *unit, int64_t now_wall_ms,
    size_t columns, struct str *out)
{
    char epoch[EPOCH_TEXT_BYTES], age[AGE_TEXT_BYTES];
    _cleanup_(cleanup_free) char *line = xasprintf("    %-20s %-12s %s%s%s", unit->unit, unit->state,
        unit->epoch ? epoch_format(unit->epoch, epoch) : "-",
        *unit->reason && !text_equal(unit->state, "Running") ? "  " : "",
        text_equal(unit->state, "Running") ? "" : unit->reason);
    add_line(out, columns, line);
    vec_for_each (actor, &status->actor_rows) {
        if (!text_equal(actor->unit, unit->unit) || text_equal(actor->path, unit->unit))
            continue;
        /* 0: its node has not told yet. */
        _cleanup_(cleanup_free) char *incarnation =
            actor->incarnation ? xasprintf("#%llu", (unsigned long long)actor->incarnation) : xstrdup("");
        _cleanup_(cleanup_free) char *row = xasprintf("        %-16s %-12s %s%s%s%s%s",
            actor->path + strlen(unit->unit) + 1, actor->state, incarnation,
            *actor->last_exit ? "  last exit: " : "", actor->last_exit, *actor->last_exit ? ", " : "",
            *actor->last_exit ? age_format(now_wall_ms - actor->last_exit_wall_ms, age) : "");
        add_line(out, columns, row);
    }
}

static void add_units_of(
    const struct status *status, const char *node, int64_t now_wall_ms, size_t columns, struct str *out)
{
    vec_for_each (unit, &status->units) {
        if (text_equal(unit->node, node))
            add_unit(status, unit, now_wall_ms, columns, out);
    }
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* What does not fit is counted in the last line. */
static void cut_lines(struct str *out, size_t lines_max)
{
    size_t lines = count_lines(str_text(out)), kept = 0;
    if (lines <= lines_max || lines_max < 2)
        return;
    for (size_t i = 0; i < out->size; i++) {
        kept += out->data[i] == '\n';
        if (kept == lines_max - 1) {
            str_truncate(out, i + 1);
            break;
        }
    }
    str_appendf(out, "... %zu more lines: `histrio get actors`\n", lines - lines_max + 1);
}

void run_view_tree(
    const struct status *status, int64_t now_wall_ms, size_t lines_max, size_t columns, struct str *out)
{
    const struct status_condition *ready = &status->conditions[CONDITION_READY];
    char age[AGE_TEXT_BYTES];
    _cleanup_(cleanup_free) char *head = xasprintf("%s  %s%s%s  units %u/%u  nodes %u/%u  restarts %llu  %s",
        status->system, ready->is_true ? "Ready" : "not Ready", ready->is_true ? "" : ": ",
        ready->is_true ? "" : ready->reason, status->units_running, status->units_desired,
        status->nodes_ready, status->nodes_desired, (unsigned long long)status->restarts,
        age_format(now_wall_ms - status->started_wall_ms, age));
    add_line(out, columns, head);
    vec_for_each (node, &status->nodes) {
        _cleanup_(cleanup_free) char *line =
            xasprintf("  %-20s %-12s pid %lld", node->node, node->state, (long long)node->pid);
        add_line(out, columns, line);
        add_units_of(status, node->node, now_wall_ms, columns, out);
    }
    bool has_nowhere = false;
    vec_for_each (unit, &status->units)
        has_nowhere |= !*unit->node;
    if (has_nowhere) {
        add_line(out, columns, "  (nowhere)");
        add_units_of(status, "", now_wall_ms, columns, out);
    }
    cut_lines(out, lines_max);
}

static void erase(struct run_view *view)
{
    /* Up to the first line of what was drawn, and clear from there. Nothing to do about a terminal that is
     * gone. */
    if (view->lines_drawn > 0)
        (void)fprintf(view->out, "\x1b[%zuA\r\x1b[J", view->lines_drawn);
    view->lines_drawn = 0;
}

static void draw(struct run_view *view, const struct status *status)
{
    struct winsize size = {0};
    _cleanup_(str_done) struct str text = STR_INIT(TEXT_BYTES);
    (void)ioctl(fileno(view->out), TIOCGWINSZ, &size); /* else the defaults */
    if (size.ws_row == 0)
        size.ws_row = LINES_DEFAULT;
    size_t rows = size.ws_row > RUN_VIEW_EVENTS_MAX + 6 ? size.ws_row - RUN_VIEW_EVENTS_MAX - 2u : 4;
    size_t columns = size.ws_col > 20 ? size.ws_col - 1u : COLUMNS_DEFAULT;
    run_view_tree(status, clock_wall_ms(clock_system()), rows, columns, &text);
    for (size_t i = 0; i < view->event_count; i++)
        add_line(&text, columns, view->events[i]);
    erase(view);
    (void)fwrite(str_text(&text), 1, text.size, view->out); /* see erase() */
    view->lines_drawn = count_lines(str_text(&text));
    (void)fflush(view->out);
}

/* Many texts begin with what they are about, or name it. */
static bool names_it(const struct run_event *event)
{
    return strstr(event->text, event->about) != NULL;
}

static char *event_text(const struct run_event *event)
{
    char time[CLOCK_TEXT_BYTES];
    const char *about = names_it(event) ? "" : event->about;
    (void)clock_format_wall(event->at_wall_ms, time); /* returns its buffer */
    return xasprintf("%.8s %s%s%s%s%s%s", time + strlen("2026-11-23T"), event->is_warning ? "! " : "",
        event->reason, *about ? " " : "", about, *event->text ? ": " : "", event->text);
}

void run_view_event(struct run_view *view, const struct run_event *event)
{
    char *text = event_text(event);
    if (!view->is_live) {
        (void)fprintf(view->out, "%s\n", text); /* a closed pipe does not stop the system */
        (void)fflush(view->out);
        free(text);
        return;
    }
    if (view->event_count == RUN_VIEW_EVENTS_MAX) {
        free(view->events[0]);
        memmove(view->events, view->events + 1, sizeof(view->events) - sizeof(view->events[0]));
        view->event_count--;
    }
    view->events[view->event_count++] = text;
}

/* Without a terminal the tree is printed once, when everything runs for the first time. */
void run_view_status(struct run_view *view, const struct status *status)
{
    bool is_ready = status->conditions[CONDITION_READY].is_true;
    if (view->is_live) {
        draw(view, status);
    } else if (is_ready && !view->was_ready) {
        _cleanup_(str_done) struct str text = STR_INIT(TEXT_BYTES);
        run_view_tree(status, clock_wall_ms(clock_system()), SIZE_MAX, LIMIT_ADDRESS_BYTES, &text);
        (void)fwrite(str_text(&text), 1, text.size, view->out); /* see run_view_event() */
        (void)fflush(view->out);
    }
    view->was_ready |= is_ready;
}
