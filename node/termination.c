#include "node/termination.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "node/report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define USUAL_PATH "/dev/termination-log"

static int replace(const char *path, const void *data, size_t size, struct err *err)
{
    const char *name = *path ? path : USUAL_PATH;
    _cleanup_(cleanup_close) int fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return err_set_errno(err, errno, "termination log '%s'", name);
    return 0;
}

int termination_clear(const char *path, struct err *err)
{
    return replace(path, "", 0, err);
}

/* False: it does not fit. */
static bool format(const struct life_end *end, struct str *text)
{
    _cleanup_(json_freep) struct json *document = report_end_document(end);
    str_clear(text);
    json_write(document, JSON_COMPACT, text);
    return !text->overflowed;
}

int termination_write(const char *path, const struct life_end *end, struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(TERMINATION_BYTES_MAX);
    struct life_end cut = *end;
    while (!format(&cut, &text)) /* ends: names alone fit; what is near the crash stays */
        cut.backtrace[strlen(cut.backtrace) / 2] = 0;
    return replace(path, text.data, text.size, err);
}
