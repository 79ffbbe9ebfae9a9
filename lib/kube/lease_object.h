/* A Lease of coordination.k8s.io/v1 as the record of an election, and back. Pure. */
#ifndef KUBE_LEASE_OBJECT_H
#define KUBE_LEASE_OBJECT_H

#include <stdint.h>

struct election_record;
struct election_request;
struct err;
struct json;
struct str;

/* annotation: the key of the known version, NULL for none; a value that is no number reads as 0. ERR_INVALID
 * when what is there has the wrong type. */
int lease_object_read(
    const struct json *json, const char *annotation, struct election_record *ret_record, struct err *err);

/* Appends the object that a CREATE or REPLACE sends. */
void lease_object_write(const struct election_request *request, const char *namespace, const char *name,
    const char *annotation, int64_t wall_ms, struct str *body);

#endif
