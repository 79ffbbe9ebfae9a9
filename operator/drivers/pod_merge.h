/* drivers/pod_merge.h: JSON trees laid over each other, as a user's podTemplate over our defaults. Pure. */
#pragma once

struct json;

/* Objects are merged member by member, a null removes what was there. Lists whose items have names
 * (containers, volumes, env, ports, volumeMounts, ...) are merged item by item: items of the same name are
 * merged, others added at the end. Everything else is replaced. `base` is changed, `over` copied; a NULL over
 * changes nothing. */
void pod_merge(struct json *base, const struct json *over);
