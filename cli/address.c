#include "cli/address.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

int address_parse(const char *text, struct address *ret_address, struct err *err)
{
    size_t size = strcspn(text, "/");
    if (strlen(text) > LIMIT_ADDRESS_BYTES || size == 0 || size > LIMIT_SYSTEM_NAME_BYTES)
        return err_set(err, ERR_INVALID,
            "\"%.80s\" is no address: write SYSTEM or SYSTEM/ACTOR, like bank/ledger", text);
    char *system = xstrndup(text, size);
    const char *path = text[size] ? text + size + 1 : "";
    if (!text_is_dns_label(system) ||
        (text[size] && (!*path || *path == '/' || text_ends_with(path, "/") || strstr(path, "//")))) {
        free(system);
        return err_set(err, ERR_INVALID,
            "\"%.80s\" is no address: write SYSTEM or SYSTEM/ACTOR, like bank/ledger", text);
    }
    *ret_address = (struct address){system, xstrdup(path)};
    return 0;
}

void address_done(struct address *address)
{
    free(address->system);
    free(address->path);
    *address = (struct address){0};
}
