#include "cli/log_lines.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, OLD_FILES_MAX = 9, LINE_BYTES_MAX = 256 * 1024 };

static char *dup_or_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

void log_lines_init(struct log_lines *lines, const char *folder, const char *system, const char *node,
    const char *actor, bool is_raw)
{
    *lines = (struct log_lines){.folder = xstrdup(folder),
        .system = xstrdup(system),
        .node = dup_or_null(node),
        .actor = dup_or_null(actor),
        .is_raw = is_raw};
}

static void forget_found(struct log_lines *lines)
{
    vec_for_each (line, &lines->found) {
        free(line->time);
        free(line->text);
    }
    vec_clear(&lines->found);
}

void log_lines_done(struct log_lines *lines)
{
    forget_found(lines);
    vec_done(&lines->found);
    vec_for_each (source, &lines->sources) {
        cleanup_close(&source->fd);
        free(source->name);
        free(source->partial);
    }
    vec_done(&lines->sources);
    free(lines->folder);
    free(lines->system);
    free(lines->node);
    free(lines->actor);
}

/* Actors stand in logs with or without their system. */
static bool is_wanted(const struct log_lines *lines, const struct json *line)
{
    const char *actor = json_string(json_get(line, "actor"));
    size_t system = strlen(lines->system), size;
    if (!lines->actor)
        return true;
    if (strncmp(actor, lines->system, system) == 0 && actor[system] == '/')
        actor += system + 1;
    size = strlen(lines->actor);
    return strncmp(actor, lines->actor, size) == 0 && (actor[size] == '\0' || actor[size] == '/');
}

/* "13:00:00.123 warning tellers.0/counter: text (error: ...)" */
static char *for_people(const struct json *line)
{
    static const char *const shown[] = {"time", "level", "text", "actor", "system", "node"};
    struct str text = STR_INIT(LINE_BYTES_MAX);
    const char *actor = json_string(json_get(line, "actor"));
    str_appendf(&text, "%s %s %s%s%s", json_string(json_get(line, "time")),
        json_string(json_get(line, "level")), actor, *actor ? ": " : "", json_string(json_get(line, "text")));
    for (size_t i = 0; i < json_count(line); i++) {
        const char *key = json_key_at(line, i);
        bool is_shown = false;
        for (size_t j = 0; j < sizeof(shown) / sizeof(shown[0]); j++)
            is_shown |= text_equal(key, shown[j]);
        if (is_shown)
            continue;
        str_appendf(&text, " %s=", key);
        json_write(json_at(line, i), JSON_COMPACT, &text);
    }
    return str_steal(&text);
}

static void take_line(struct log_lines *lines, const char *text, size_t size)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    struct log_line line = {0};
    if (size == 0)
        return;
    if (json_parse(text, size, &tree, NULL) == 0 && json_type(tree) == JSON_OBJECT) {
        if (!is_wanted(lines, tree))
            return;
        line.time = xstrdup(json_string(json_get(tree, "time")));
        line.text = lines->is_raw ? xstrndup(text, size) : for_people(tree);
    } else if (lines->actor || lines->is_raw) {
        return; /* a library wrote to stderr: who, nobody knows */
    } else {
        const char *before = lines->found.count > 0 ? lines->found.items[lines->found.count - 1].time : "";
        line = (struct log_line){xstrdup(before), xstrndup(text, size)};
    }
    vec_push(&lines->found, line);
}

static void take_text(struct log_lines *lines, struct log_source *source, const char *text)
{
    char *joined = source->partial ? xasprintf("%s%s", source->partial, text) : xstrdup(text);
    const char *at = joined;
    for (const char *end; (end = strchr(at, '\n')); at = end + 1)
        take_line(lines, at, (size_t)(end - at));
    free(source->partial);
    source->partial = strlen(at) < LINE_BYTES_MAX ? xstrdup(at) : NULL;
    free(joined);
}

static void read_rest(struct log_lines *lines, struct log_source *source)
{
    char *data = xmalloc(READ_BYTES + 1);
    for (;;) {
        ssize_t size = read(source->fd, data, READ_BYTES);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break; /* a file on a broken disk ends where it breaks */
        for (ssize_t i = 0; i < size; i++)
            data[i] = data[i] ? data[i] : '?'; /* so that it is a text */
        data[size] = '\0';
        take_text(lines, source, data);
    }
    free(data);
}

static void read_old(struct log_lines *lines, struct log_source *source)
{
    for (int i = OLD_FILES_MAX; i > 0; i--) {
        _cleanup_(cleanup_free) char *path = xasprintf("%s/%s.%d", lines->folder, source->name, i);
        source->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (source->fd < 0)
            continue;
        read_rest(lines, source);
        (void)close(source->fd);
    }
    source->fd = -1;
}

/* After a rotation the rest of the old file is read before the new one. */
static void read_source(struct log_lines *lines, struct log_source *source, bool with_old)
{
    _cleanup_(cleanup_free) char *path = file_join(lines->folder, source->name);
    struct stat status;
    if (source->fd >= 0) {
        read_rest(lines, source);
        if (stat(path, &status) < 0 || status.st_ino == source->inode)
            return;
        (void)close(source->fd);
        source->fd = -1;
    } else if (with_old) {
        read_old(lines, source);
    }
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0)
        return;
    if (fstat(source->fd, &status) == 0)
        source->inode = status.st_ino;
    read_rest(lines, source);
}

static struct log_source *find_source(struct log_lines *lines, const char *name)
{
    vec_for_each (source, &lines->sources) {
        if (text_equal(source->name, name))
            return source;
    }
    struct log_source *source = vec_push_new(&lines->sources);
    source->name = xstrdup(name);
    source->fd = -1;
    return source;
}

void log_lines_add(struct log_lines *lines, const char *name, const char *data, size_t size)
{
    _cleanup_(cleanup_free) char *text = xstrndup(data, size); /* up to a NUL, which no log of ours has */
    take_text(lines, find_source(lines, name), text);
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(((const struct log_line *)left)->time, ((const struct log_line *)right)->time);
}

/* Stable, so that lines without a time stay where they are. */
static void sort_lines(struct log_line *lines, size_t count)
{
    if (count < 2)
        return;
    struct log_line *merged = xreallocarray(NULL, count, sizeof(*merged));
    size_t half = count / 2, left = 0, right = half, used = 0;
    sort_lines(lines, half); /* as deep as the logarithm of the count */
    sort_lines(lines + half, count - half);
    while (left < half || right < count) {
        bool is_left = right == count || (left < half && compare_lines(&lines[left], &lines[right]) <= 0);
        merged[used++] = is_left ? lines[left++] : lines[right++];
    }
    memcpy(lines, merged, count * sizeof(*merged));
    free(merged);
}

int log_lines_read(struct log_lines *lines, bool with_old, struct err *err)
{
    struct dirent *entry;
    DIR *folder = opendir(lines->folder);
    size_t files = 0;
    while (folder && (entry = readdir(folder))) {
        if (!text_ends_with(entry->d_name, ".log"))
            continue;
        if (lines->node && (strncmp(entry->d_name, lines->node, strlen(lines->node)) != 0 ||
                               !text_equal(entry->d_name + strlen(lines->node), ".log")))
            continue;
        read_source(lines, find_source(lines, entry->d_name), with_old);
        files++;
    }
    if (folder)
        (void)closedir(folder);
    if (files == 0)
        return err_set(err, ERR_NOT_FOUND, "no logs in \"%s\"%s%s", lines->folder,
            lines->node ? " of node " : "", lines->node ? lines->node : "");
    return 0;
}

void log_lines_take(struct log_lines *lines, uint64_t count, struct str *out)
{
    sort_lines(lines->found.items, lines->found.count);
    size_t first = lines->found.count > count ? lines->found.count - (size_t)count : 0;
    for (size_t i = first; i < lines->found.count; i++) {
        str_append(out, lines->found.items[i].text);
        str_append_char(out, '\n');
    }
    forget_found(lines);
}
