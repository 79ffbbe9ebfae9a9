/* cli/run_view.h: what `histrio run` shows: on a terminal a tree that is redrawn in place, below it the last
 * events; else one plain line an event. Thread: one, the run's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/vec.h"

struct run_event;
struct status;
struct str;

enum { RUN_VIEW_EVENTS_MAX = 8 };

struct run_view {
    FILE *out;
    bool is_live;
    size_t lines_drawn;                /* of the live view, above the cursor */
    char *events[RUN_VIEW_EVENTS_MAX]; /* the last ones, oldest first */
    size_t event_count;
    bool was_ready;
};

void run_view_init(struct run_view *view, FILE *out, bool is_live);
void run_view_done(struct run_view *view);
void run_view_event(struct run_view *view, const struct run_event *event);
void run_view_status(struct run_view *view, const struct status *status);

/* The tree as text, at most `lines_max` lines of at most `columns` characters. Pure; for the live view and
 * its tests. */
void run_view_tree(
    const struct status *status, int64_t now_wall_ms, size_t lines_max, size_t columns, struct str *out);
