/* base/role.h: the names by which the processes of a system prove to each other what they are: each
 * certificate carries one of them as its DNS name. Pure; thread: any. */
#pragma once

enum role { ROLE_NODE, ROLE_OPERATOR };

enum { ROLE_NAME_BYTES = 96 };

const char *role_text(enum role role); /* "node", "operator" */

/* "node.<system uid>.histrio.dev" into `buffer` of ROLE_NAME_BYTES. Returns buffer; "" for a uid that cannot
 * be a DNS label, which no certificate carries. */
const char *role_name(enum role role, const char *system_uid, char *buffer);
