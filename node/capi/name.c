#include "capi/name.h"

#include "base/limits.h"
#include "capi/intern.h"

#include <histrio/actor.h>
#include <stdio.h>
#include <string.h>

const char *histrio_error_name(enum histrio_error error)
{
    static const char *const names[] = {"OK", "NotFound", "Unavailable", "Uncertain", "Fenced", "MailboxFull",
        "Timeout", "Crashed", "BadArgument", "Application", "Denied"};
    return (unsigned)error < sizeof(names) / sizeof(names[0]) ? names[error] : "Unknown";
}

uint32_t histrio_type(const char *name)
{
    size_t size = strlen(name);
    return size <= LIMIT_MESSAGE_TYPE_BYTES ? intern(name, size) : 0;
}

const char *histrio_type_name(uint32_t type)
{
    return intern_text(type);
}

bool name_is_valid(const char *name, size_t size)
{
    if (size == 0 || size > LIMIT_ADDRESS_BYTES)
        return false;
    for (size_t i = 0; i < size; i++)
        if (name[i] <= ' ' || name[i] == 0x7f ||
            (name[i] == '/' && (i == 0 || i + 1 == size || name[i + 1] == '/')))
            return false;
    return true;
}

uint32_t name_lookup(const char *own, const char *name)
{
    char text[LIMIT_ADDRESS_BYTES + 1];
    size_t below = strlen(own);
    const char *last = name;
    bool is_relative = strncmp(name, "./", 2) == 0 || strncmp(name, "../", 3) == 0;
    if (is_relative) {
        last = strchr(name, '/') + 1;
        if (name[1] == '.') {
            const char *slash = strrchr(own, '/');
            below = slash ? (size_t)(slash - own) : 0;
        }
        if (below == 0)
            return 0;
    }
    int size = is_relative ? snprintf(text, sizeof(text), "%.*s/%s", (int)below, own, last)
                           : snprintf(text, sizeof(text), "%s", name);
    if (size < 0 || (size_t)size >= sizeof(text))
        return 0;
    return name_is_valid(text, (size_t)size) ? intern(text, (size_t)size) : 0;
}
