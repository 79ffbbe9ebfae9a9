/* The schemas of charts/histrio-crds, for tests of what is read and written by them. */
#ifndef UNIT_API_SCHEMA_SUPPORT_H
#define UNIT_API_SCHEMA_SUPPORT_H

struct json;

/* openAPIV3Schema of "actorsystems" and its like; the caller frees it. */
struct json *schema_load(const char *plural);

/* Fails the test unless the schema has every field of the value with its type, and allows it. Rules and
 * patterns are left to API servers. */
void schema_expect(const struct json *schema, const struct json *value);

#endif
