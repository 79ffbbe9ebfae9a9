#include "api/problems.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { PATH_BYTES_MAX = 512 };

void api_problems_init(struct api_problems *problems, const char *file)
{
    *problems = (struct api_problems){.file = file ? xstrdup(file) : NULL};
}

void api_problems_done(struct api_problems *problems)
{
    free(problems->file);
    vec_for_each (problem, &problems->items) {
        free(problem->path);
        free(problem->text);
    }
    vec_done(&problems->items);
    *problems = (struct api_problems){0};
}

__attribute__((format(printf, 4, 0))) static void add(
    struct api_problems *problems, unsigned line, const char *path, const char *fmt, va_list args)
{
    if (problems->items.count >= API_PROBLEMS_MAX) {
        problems->left_out++;
        return;
    }
    struct api_problem *problem = vec_push_new(&problems->items);
    problem->line = line;
    problem->path = xstrdup(path);
    problem->text = xvasprintf(fmt, args);
}

void api_problems_add(struct api_problems *problems, unsigned line, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(problems, line, path, fmt, args);
    va_end(args);
}

void api_problems_add_at(struct api_problems *problems, const struct json *node, const char *fmt, ...)
{
    struct str path = STR_INIT(PATH_BYTES_MAX);
    const struct json *with_line = node;
    va_list args;
    json_path(node, &path);
    while (with_line && json_line(with_line) == 0)
        with_line = json_parent(with_line);
    va_start(args, fmt);
    add(problems, json_line(with_line), str_text(&path), fmt, args);
    va_end(args);
    str_done(&path);
}

/* Problems of one line keep their order: they were found from left to right. */
void api_problems_sort(struct api_problems *problems)
{
    struct api_problem *items = problems->items.items;
    for (size_t i = 1; i < problems->items.count; i++) {
        struct api_problem moved = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].line > moved.line; at--)
            items[at] = items[at - 1];
        items[at] = moved;
    }
}

void api_problems_print(const struct api_problems *problems, struct str *out)
{
    vec_for_each (problem, &problems->items) {
        if (problems->file)
            str_appendf(out, "%s:", problems->file);
        if (problem->line)
            str_appendf(out, "%u:", problem->line);
        if (problems->file || problem->line)
            str_append_char(out, ' ');
        if (problem->path[0])
            str_appendf(out, "%s: ", problem->path);
        str_appendf(out, "%s\n", problem->text);
    }
    if (problems->left_out)
        str_appendf(out, "and %zu more mistakes\n", problems->left_out);
}
