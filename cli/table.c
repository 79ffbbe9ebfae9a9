#include "cli/table.h"

#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { GAP = 3 };

void table_init(struct table *table, const char *const *headings)
{
    *table = (struct table){0};
    for (size_t i = 0; headings[i]; i++)
        table_add(table, headings[i]);
    table->column_count = table->cells.count;
    assert(table->column_count > 0 && table->column_count <= TABLE_COLUMNS_MAX);
}

void table_done(struct table *table)
{
    vec_for_each (cell, &table->cells)
        free(*cell);
    vec_done(&table->cells);
}

/* Takes text. */
static void add_take(struct table *table, char *text)
{
    /* What a behavior wrote into its exit reason must not move the cursor of a terminal. */
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
    vec_push(&table->cells, text);
}

void table_add(struct table *table, const char *text)
{
    add_take(table, xstrdup(text ? text : ""));
}

void table_addf(struct table *table, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_take(table, xvasprintf(fmt, args));
    va_end(args);
}

void table_write(const struct table *table, struct str *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    size_t rows = table->cells.count / table->column_count;
    for (size_t i = 0; i < rows * table->column_count; i++) {
        size_t size = strlen(table->cells.items[i]);
        size_t *width = &widths[i % table->column_count];
        *width = size > *width ? size : *width;
    }
    for (size_t row = 0; row < rows; row++) {
        size_t owed = 0; /* blanks before the next text: none are written at the end of a line */
        for (size_t column = 0; column < table->column_count; column++) {
            const char *cell = table->cells.items[row * table->column_count + column];
            if (*cell) {
                str_appendf(out, "%*s%s", (int)owed, "", cell);
                owed = 0;
            }
            owed += widths[column] - strlen(cell) + GAP;
        }
        str_append_char(out, '\n');
    }
}
