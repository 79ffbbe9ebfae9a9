/* cli/rows.h: a status document (docs/status.md) as tables. Pure. */
#pragma once

#include "cli/table.h"

#include <stdbool.h>
#include <stdint.h>

struct json;

/* Rows of `now_ms` for ages. Each inits `ret_table`; table_done() it. */
void rows_of_nodes(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table);
void rows_of_units(const struct json *status, bool is_wide, struct table *ret_table);
void rows_of_actors(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table);
void rows_of_exits(const struct json *status, bool is_wide, int64_t now_ms, struct table *ret_table);
/* A table of systems, and one row. */
void rows_begin_systems(struct table *ret_table);
void rows_add_system(const struct json *status, int64_t now_ms, struct table *table);

/* The condition of that type, or NULL. */
const struct json *rows_condition(const struct json *status, const char *type);
/* "Ready", or why not. */
const char *rows_reason(const struct json *status);
/* The row under that name in a list, by that member; NULL. */
const struct json *rows_find(const struct json *list, const char *member, const char *name);
