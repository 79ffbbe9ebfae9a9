#include "host/reason.h"

#include "base/str.h"
#include "host/reason_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* A line of a stack: `  File "/app/bank.py", line 41 in add`. */
struct stack_line {
    const char *file; /* the whole path, not ended */
    size_t file_size;
    int line;
    const char *function;
    size_t function_size;
};

static bool parse_line(const char *text, struct stack_line *ret_line)
{
    static const char begin[] = "  File \"";
    if (!text_starts_with(text, begin))
        return false;
    const char *file = text + sizeof(begin) - 1;
    size_t all = strcspn(file, "\n");
    const char *quote = memchr(file, '"', all);
    if (!quote || sscanf(quote, "\", line %9d in ", &ret_line->line) != 1)
        return false;
    const char *function = strstr(quote, " in ");
    if (!function || function > file + all)
        return false;
    ret_line->file = file;
    ret_line->file_size = (size_t)(quote - file);
    ret_line->function = function + 4;
    ret_line->function_size = strcspn(ret_line->function, "\n");
    return true;
}

static bool has_part(const struct stack_line *line, const char *part)
{
    return memmem(line->file, line->file_size, part, strlen(part)) != NULL;
}

/* The SDK's files and the standard library are not where somebody's code went wrong. */
static bool is_ours(const struct stack_line *line)
{
    return has_part(line, "/histrio/_") || has_part(line, "<frozen ") ||
           (has_part(line, "/lib/python3") && !has_part(line, "-packages/"));
}

static void write_place(const struct stack_line *line, char *ret_place, size_t size)
{
    const char *slash = memrchr(line->file, '/', line->file_size);
    const char *name = slash ? slash + 1 : line->file;
    (void)snprintf(ret_place, size, "%.*s:%d in %.*s", (int)(line->file + line->file_size - name), name,
        line->line, (int)line->function_size, line->function); /* longer ones are cut */
}

/* The last stack that begins with marker; NULL: none. */
static const char *last_stack(const char *trace, const char *marker)
{
    const char *found = NULL;
    for (const char *next = strstr(trace, marker); next; next = strstr(next + 1, marker))
        found = next;
    return found;
}

/* The first frame of somebody's code from there on, of one stack or of all; *ret_first: the first of all. */
static bool find_place(const char *stack, bool all, struct stack_line *ret_line, struct stack_line *ret_first)
{
    for (const char *text = strchr(stack, '\n'); text && text[1] && (all || text[1] != '\n');
         text = strchr(text + 1, '\n')) {
        if (!parse_line(text + 1, ret_line))
            continue;
        if (!ret_first->file)
            *ret_first = *ret_line;
        if (!is_ours(ret_line))
            return true;
    }
    return false;
}

bool reason_place(const char *trace, char *ret_place, size_t size)
{
    const char *stack = last_stack(trace, "Current thread ");
    if (!stack)
        stack = last_stack(trace, "Stack (most recent call first)");
    if (!stack)
        return reason_place_of_c(trace, ret_place, size);
    struct stack_line line, first = {0};
    bool found = find_place(stack, false, &line, &first);
    /* A handler of the event loop's thread has its stack before that of the thread that got the signal. */
    if (!found)
        found = find_place(trace, true, &line, &first);
    if (found || first.file)
        write_place(found ? &line : &first, ret_place, size);
    return found || first.file != NULL;
}

char *reason_stack(char *trace, size_t size)
{
    const char *stack = last_stack(trace, "Current thread ");
    const char *line = stack ? strchr(stack, '\n') : NULL;
    char *of_c = stack ? NULL : reason_frames_of_c(trace);
    if (of_c)
        line = of_c - 1;
    char *begin = trace + (line ? (size_t)(line + 1 - trace) : strlen(trace));
    char *end = strstr(begin, "\n\n");
    if (end)
        *end = 0;
    if (strlen(begin) > size)
        begin[size] = 0;
    return begin;
}

static void write_end(const struct reason_facts *facts, char *ret_end, size_t size)
{
    if (facts->killed) {
        (void)snprintf(ret_end, size, "%s", facts->killed);
    } else if (!facts->has_status) {
        (void)snprintf(ret_end, size, "connection closed");
    } else if (WIFSIGNALED(facts->status)) {
        const char *name = sigabbrev_np(WTERMSIG(facts->status));
        if (name)
            (void)snprintf(ret_end, size, "SIG%s", name);
        else
            (void)snprintf(ret_end, size, "signal %d", WTERMSIG(facts->status));
        if (WTERMSIG(facts->status) == SIGKILL && facts->is_out_of_memory)
            (void)snprintf(ret_end, size, "SIGKILL (out of memory)");
    } else {
        (void)snprintf(ret_end, size, "exit code %d", WEXITSTATUS(facts->status));
    }
}

void reason_write(const struct reason_facts *facts, char *ret_reason, size_t size)
{
    char end[REASON_BYTES], place[REASON_PLACE_BYTES];
    write_end(facts, end, sizeof(end));
    if (reason_place(facts->trace, place, sizeof(place)))
        (void)snprintf(ret_reason, size, "%s %s", end, place);
    else
        (void)snprintf(ret_reason, size, "%s", end);
}
