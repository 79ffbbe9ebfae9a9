/* certs/x509.h: what certs needs of OpenSSL, with our errors. Private to module certs. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/role.h"

struct err;

enum {
    X509_TEXT_BYTES_MAX = 64 * 1024, /* a longer PEM text is not ours */
    X509_ITEMS_MAX = 4,              /* certificates or keys that are read of one text */
};

DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* What OpenSSL complains about, as err; its own record is emptied. Returns -1. */
int x509_error(struct err *err, const char *what);

struct x509_list {
    X509 *items[X509_ITEMS_MAX];
    int count;
};

struct x509_keys {
    EVP_PKEY *items[X509_ITEMS_MAX];
    int count;
};

/* All of a text, at least one, in order. NULL is a text without any. ret_ is set on success only. */
int x509_read(const char *text, struct x509_list *ret_list, struct err *err);
int x509_read_keys(const char *text, struct x509_keys *ret_keys, struct err *err);
void x509_list_done(struct x509_list *list);
void x509_keys_done(struct x509_keys *keys);

/* Appended to *text, which is NULL or malloc'd. */
int x509_append(char **text, X509 *certificate, struct err *err);
int x509_append_key(char **text, EVP_PKEY *key, struct err *err);

/* When it was made (CERTS_SKEW_S after its beginning), and when it ends. */
int64_t x509_made_s(const X509 *certificate);
int64_t x509_end_s(const X509 *certificate);

EVP_PKEY *x509_new_key(struct err *err);
X509 *x509_new_authority(
    EVP_PKEY *key, const char *system, const char *system_uid, int64_t now_s, struct err *err);
X509 *x509_new_leaf(EVP_PKEY *key, X509 *authority, EVP_PKEY *authority_key, enum role role,
    const char *system_uid, int64_t now_s, int64_t life_s, struct err *err);

/* Is it an authority of that system? */
bool x509_is_authority_of(X509 *certificate, const char *system_uid);

/* As certs_verify(). */
int x509_verify(X509 *leaf, EVP_PKEY *key, const struct x509_list *authorities, enum role role,
    const char *system_uid, int64_t now_s, struct err *err);
