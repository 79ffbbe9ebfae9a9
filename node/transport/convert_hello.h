/* transport/convert_hello.h: hellos, which both streams begin with. Private to convert. */
#pragma once

#include "transport/convert.h"

#include <histrio/v1/link.pb-c.h>

void convert_hello_out(const struct link_hello *hello, Histrio__V1__Hello *ret_hello); /* borrows */
void convert_hello_in(const Histrio__V1__Hello *hello, struct link_hello *ret_hello);
/* Of any message of ours, which are far below the limit. */
uint8_t *convert_pack(const void *message, size_t *ret_size);
