#include "host/frame.h"

#include "base/err.h"
#include "base/limits.h"

#include <string.h>

const char *frame_kind_name(unsigned kind)
{
    static const char *const names[FRAME_KIND_END] = {"?", "HELLO", "WELCOME", "INTERN", "START", "STOP",
        "DROP", "TELL", "ASK", "REPLY", "ERROR", "DONE", "FAILED", "CANCEL", "SPAWN", "MONITOR", "DEMONITOR",
        "DOWN", "LINK", "UNLINK", "EXIT", "TIMER_START", "TIMER_CANCEL", "TIMER", "LOG", "TRAP", "TAKEN",
        "SNAPSHOT"};
    return kind < FRAME_KIND_END ? names[kind] : "?";
}

int frame_parse(const uint8_t *data, size_t size, struct frame *ret_frame, struct err *err)
{
    ret_frame->size = 0;
    if (size < sizeof(ret_frame->size))
        return 0;
    uint32_t whole;
    memcpy(&whole, data, sizeof(whole));
    if (whole < FRAME_HEADER_BYTES || whole > LIMIT_HOST_FRAME_BYTES)
        return err_set(err, ERR_INVALID, "a frame of %u bytes", whole);
    ret_frame->size = whole;
    if (size < whole)
        return 0;
    memcpy(ret_frame, data, FRAME_HEADER_BYTES);
    if (ret_frame->kind == 0 || ret_frame->kind >= FRAME_KIND_END)
        return err_set(err, ERR_INVALID, "a frame of unknown kind %u", ret_frame->kind);
    return 1;
}
