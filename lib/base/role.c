#include "base/role.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

const char *role_text(enum role role)
{
    return role == ROLE_NODE ? "node" : "operator";
}

const char *role_name(enum role role, const char *system_uid, char *buffer)
{
    buffer[0] = 0;
    if (text_is_dns_label(system_uid)) /* so it fits */
        (void)snprintf(buffer, ROLE_NAME_BYTES, "%s.%s.histrio.dev", role_text(role), system_uid);
    return buffer;
}
