#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/err.h"
#include "certs/certs.h"
#include "certs/x509.h"

enum { SERIAL_BYTES = 16, SAN_BYTES = ROLE_NAME_BYTES + 8, VERSION_3 = 2 };

EVP_PKEY *x509_new_key(struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        (void)x509_error(err, "make a key");
    return key;
}

/* Random, so that no number has to be remembered. */
static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of the same length each time */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return is_set;
}

static bool add_name(X509_NAME *name, int field, const char *text)
{
    return X509_NAME_add_entry_by_NID(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) ==
           1;
}

static bool add_extension(X509 *certificate, X509 *authority, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, authority, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool is_added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool set_times(X509 *certificate, int64_t begin_s, int64_t end_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)begin_s) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)end_s);
}

X509 *x509_new_authority(
    EVP_PKEY *key, const char *system, const char *system_uid, int64_t now_s, struct err *err)
{
    _cleanup_(X509_freep) X509 *made = X509_new();
    X509_NAME *name = made ? X509_get_subject_name(made) : NULL;
    bool is_made = made && X509_set_version(made, VERSION_3) == 1 && set_serial(made) &&
                   set_times(made, now_s - CERTS_SKEW_S, now_s + CERTS_AUTHORITY_S) &&
                   add_name(name, NID_organizationName, "histrio.dev") &&
                   add_name(name, NID_organizationalUnitName, system_uid) &&
                   add_name(name, NID_commonName, system) && X509_set_issuer_name(made, name) == 1 &&
                   X509_set_pubkey(made, key) == 1 &&
                   add_extension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                   add_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                   add_extension(made, made, NID_subject_key_identifier, "hash") &&
                   X509_sign(made, key, EVP_sha256()) > 0;
    if (!is_made)
        (void)x509_error(err, "make an authority");
    return is_made ? steal_ptr(&made) : NULL;
}

X509 *x509_new_leaf(EVP_PKEY *key, X509 *authority, EVP_PKEY *authority_key, enum role role,
    const char *system_uid, int64_t now_s, int64_t life_s, struct err *err)
{
    char name[ROLE_NAME_BYTES];
    char san[SAN_BYTES];
    const char *usage = role == ROLE_NODE ? "serverAuth,clientAuth" : "clientAuth";
    if (*role_name(role, system_uid, name) == 0) {
        (void)err_set(err, ERR_INVALID, "system uid '%.80s' is no DNS label", system_uid);
        return NULL;
    }
    (void)snprintf(san, sizeof(san), "DNS:%s", name);
    _cleanup_(X509_freep) X509 *made = X509_new();
    X509_NAME *subject = made ? X509_get_subject_name(made) : NULL;
    bool is_made = made && X509_set_version(made, VERSION_3) == 1 && set_serial(made) &&
                   set_times(made, now_s - CERTS_SKEW_S, now_s + life_s) &&
                   add_name(subject, NID_organizationName, "histrio.dev") &&
                   add_name(subject, NID_organizationalUnitName, system_uid) &&
                   add_name(subject, NID_commonName, role_text(role)) &&
                   X509_set_issuer_name(made, X509_get_subject_name(authority)) == 1 &&
                   X509_set_pubkey(made, key) == 1 &&
                   add_extension(made, authority, NID_basic_constraints, "critical,CA:FALSE") &&
                   add_extension(made, authority, NID_key_usage, "critical,digitalSignature") &&
                   add_extension(made, authority, NID_ext_key_usage, usage) &&
                   add_extension(made, authority, NID_subject_alt_name, san) &&
                   add_extension(made, authority, NID_subject_key_identifier, "hash") &&
                   add_extension(made, authority, NID_authority_key_identifier, "keyid:always") &&
                   X509_sign(made, authority_key, EVP_sha256()) > 0;
    if (!is_made)
        (void)x509_error(err, "make a certificate");
    return is_made ? steal_ptr(&made) : NULL;
}
