/* cli/table.h: rows of texts in columns as kubectl prints them: three blanks between, no trailing blanks.
 * Wide characters count as one: names are ASCII, texts of exits stand last. Pure. */
#pragma once

#include "base/vec.h"

#include <stddef.h>

struct str;

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    size_t column_count;
    VEC(char *) cells; /* rows one after the other; the first row is the heading */
};

/* Headings, ended by NULL. */
void table_init(struct table *table, const char *const *headings);
void table_done(struct table *table);
/* The next cell; the text is copied, control characters become blanks; "" and NULL are shown as nothing. */
void table_add(struct table *table, const char *text);
__attribute__((format(printf, 2, 3))) void table_addf(struct table *table, const char *fmt, ...);
void table_write(const struct table *table, struct str *out);
