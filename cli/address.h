/* cli/address.h: "bank/tellers.0/counter": a system and a path in it. Pure. */
#pragma once

struct err;

struct address {
    char *system;
    char *path; /* "tellers.0/counter"; "" when only a system was given */
};

/* ERR_INVALID: not of that form. Whether it exists is another matter. */
int address_parse(const char *text, struct address *ret_address, struct err *err);
void address_done(struct address *address);
