/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/crypto/x509.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "ground/crypto/crypto.h"

enum { DAY_S = 86400, BACKDATE_S = 3600, DNS_NAME_MAX = 253, SERIAL_BYTES = 16 };

#define DESTRUCTOR(name, type, call)                                                               \
    static void name(type **p)                                                                     \
    {                                                                                              \
        call(*p);                                                                                  \
    }
DESTRUCTOR(bio_done, BIO, BIO_free_all)
DESTRUCTOR(cert_done, X509, X509_free)
DESTRUCTOR(key_done, EVP_PKEY, EVP_PKEY_free)
DESTRUCTOR(store_done, X509_STORE, X509_STORE_free)
DESTRUCTOR(check_done, X509_STORE_CTX, X509_STORE_CTX_free)
DESTRUCTOR(extension_done, X509_EXTENSION, X509_EXTENSION_free)
DESTRUCTOR(names_done, GENERAL_NAMES, GENERAL_NAMES_free)

/* For steps that fail only when memory is short. */
#define BUILT(condition)                                                                           \
    ENSURE(condition, ERR_NOMEM, "x509_failed", "A certificate could not be built.")

/* A key or password is never asked for on a terminal. */
static int no_password(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

static enum err read_cert(struct span pem, X509 **ret_cert)
{
    ENSURE(pem.len > 0 && pem.len <= X509_PEM_MAX, ERR_INVALID, "bad_certificate",
           "Not a certificate in PEM form.");
    AUTO(bio_done) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

    ENSURE(cert, ERR_INVALID, "bad_certificate", "Not a certificate in PEM form.");
    *ret_cert = cert;
    return OK;
}

static enum err read_key(struct span pem, EVP_PKEY **ret_key)
{
    ENSURE(pem.len > 0 && pem.len <= X509_PEM_MAX, ERR_CORRUPT, "bad_ca",
           "The authority's key is not readable.");
    AUTO(bio_done) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    ENSURE(key, ERR_CORRUPT, "bad_ca", "The authority's key is not readable.");
    *ret_key = key;
    return OK;
}

static enum err bio_to_buf(BIO *bio, struct buf *out)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);

    BUILT(len > 0);
    buf_put(out, data, (size_t)len);
    return buf_check(out);
}

static enum err write_pems(X509 *cert, EVP_PKEY *key, struct buf *cert_pem, struct buf *key_pem)
{
    AUTO(bio_done) BIO *cert_bio = BIO_new(BIO_s_mem());
    AUTO(bio_done) BIO *key_bio = BIO_new(BIO_s_secmem());

    BUILT(cert_bio && PEM_write_bio_X509(cert_bio, cert) == 1);
    BUILT(key_bio && PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    TRY(bio_to_buf(cert_bio, cert_pem));
    return bio_to_buf(key_bio, key_pem);
}

static enum err add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    AUTO(extension_done) X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    BUILT(e && X509_add_ext(cert, e, -1) == 1);
    return OK;
}

static enum err set_serial(X509 *cert)
{
    uint8_t serial[SERIAL_BYTES];

    rng_fill(rng_system(), serial, sizeof serial);
    serial[0] =
        (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, full length (RFC 5280, 4.1.2.2) */
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    BUILT(set);
    return OK;
}

static enum err begin_cert(const struct clock *clock, const char *common_name, int64_t lifetime_s,
                           EVP_PKEY *key, X509 *cert)
{
    time_t now_s = (time_t)(clock_now_ms(clock) / 1000);
    X509_NAME *subject = X509_get_subject_name(cert);

    TRY(set_serial(cert));
    BUILT(X509_set_version(cert, X509_VERSION_3) == 1 && X509_set_pubkey(cert, key) == 1 &&
          X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATE_S, &now_s) &&
          X509_time_adj_ex(X509_getm_notAfter(cert), 0, (long)lifetime_s, &now_s) &&
          X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     (const unsigned char *)common_name, -1, -1, 0) == 1);
    return OK;
}

enum err x509_ca_create(const struct clock *clock, const char *common_name,
                        struct buf *ret_cert_pem, struct buf *ret_key_pem)
{
    size_t name_len = strlen(common_name);

    ENSURE(name_len >= 1 && name_len <= 64, ERR_INVALID, "bad_name",
           "An authority's name has 1 to 64 bytes.");
    AUTO(key_done) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(cert_done) X509 *cert = X509_new();
    BUILT(key && cert);
    TRY(begin_cert(clock, common_name, (int64_t)X509_CA_DAYS * DAY_S, key, cert));
    BUILT(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
    TRY(add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    TRY(add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign"));
    TRY(add_extension(cert, cert, NID_subject_key_identifier, "hash"));
    BUILT(X509_sign(cert, key, EVP_sha256()) > 0);
    return write_pems(cert, key, ret_cert_pem, ret_key_pem);
}

static bool is_dns_name(const char *name)
{
    size_t len = strlen(name), label = 0;
    const char *p = name;

    if (len == 0 || len > DNS_NAME_MAX)
        return false;
    if (p[0] == '*' && p[1] == '.')
        p += 2;
    for (; *p; p++) {
        bool word =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (*p == '.' ? label == 0 : !(word || (*p == '-' && label > 0)))
            return false;
        label = *p == '.' ? 0 : label + 1;
        if (label > 63 || (*p == '-' && (p[1] == '.' || p[1] == '\0')))
            return false;
    }
    return label > 0;
}

/* Bytes of an IP address, or 0. */
static size_t ip_bytes(const char *name, uint8_t out[16])
{
    if (inet_pton(AF_INET, name, out) == 1)
        return 4;
    if (inet_pton(AF_INET6, name, out) == 1)
        return 16;
    return 0;
}

static enum err add_name(GENERAL_NAMES *names, const char *name)
{
    uint8_t ip[16];
    size_t ip_len = ip_bytes(name, ip);

    ENSURE(ip_len > 0 || is_dns_name(name), ERR_INVALID, "bad_name",
           "A certificate name is neither a DNS name nor an IP address.");
    GENERAL_NAME *entry = GENERAL_NAME_new();
    ASN1_STRING *text = ip_len ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool set = entry && text &&
               ASN1_STRING_set(text, ip_len ? (const void *)ip : (const void *)name,
                               ip_len ? (int)ip_len : (int)strlen(name)) == 1;
    if (set) {
        GENERAL_NAME_set0_value(entry, ip_len ? GEN_IPADD : GEN_DNS, text);
        text = NULL;
        if (sk_GENERAL_NAME_push(names, entry) > 0)
            return OK;
    }
    ASN1_STRING_free(text);
    GENERAL_NAME_free(entry);
    FAIL(ERR_NOMEM, "x509_failed", "A certificate could not be built.");
}

static enum err add_names(X509 *cert, const struct x509_request *request)
{
    AUTO(names_done) GENERAL_NAMES *names = GENERAL_NAMES_new();

    BUILT(names);
    ENSURE(request->name_count >= 1 && request->name_count <= X509_NAMES_MAX, ERR_INVALID,
           "bad_name", "A certificate has 1 to %d names.", X509_NAMES_MAX);
    for (size_t i = 0; i < request->name_count; i++)
        TRY(add_name(names, request->names[i]));
    BUILT(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);
    return OK;
}

static enum err asn1_ms(const ASN1_TIME *t, int64_t *ret_ms)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool known = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

    ASN1_TIME_free(epoch);
    ENSURE(known, ERR_INVALID, "bad_certificate", "A certificate has an unreadable date.");
    *ret_ms = ((int64_t)days * DAY_S + seconds) * 1000;
    return OK;
}

enum err x509_issue(const struct clock *clock, struct span ca_cert_pem, struct span ca_key_pem,
                    const struct x509_request *request, struct buf *ret_cert_pem,
                    struct buf *ret_key_pem)
{
    AUTO(cert_done) X509 *ca = NULL;
    AUTO(key_done) EVP_PKEY *ca_key = NULL;
    int64_t ca_end_ms;

    ENSURE(request->days >= 1 && request->days <= X509_LEAF_DAYS_MAX, ERR_INVALID, "bad_days",
           "A server certificate lives 1 to %d days.", X509_LEAF_DAYS_MAX);
    TRY(read_cert(ca_cert_pem, &ca));
    TRY(read_key(ca_key_pem, &ca_key));
    ENSURE(X509_check_private_key(ca, ca_key) == 1 && X509_check_ca(ca) == 1, ERR_CORRUPT, "bad_ca",
           "The authority's certificate and key do not belong together.");
    TRY(asn1_ms(X509_get0_notAfter(ca), &ca_end_ms));
    int64_t lifetime_s = (int64_t)request->days * DAY_S - BACKDATE_S;
    int64_t left_s = (ca_end_ms - clock_now_ms(clock)) / 1000;
    ENSURE(left_s > DAY_S, ERR_EXPIRED, "ca_expired", "The local authority has expired.");

    AUTO(key_done) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(cert_done) X509 *cert = X509_new();
    BUILT(key && cert);
    TRY(begin_cert(clock, "Gatehouse", lifetime_s < left_s ? lifetime_s : left_s, key, cert));
    BUILT(X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1);
    TRY(add_names(cert, request));
    TRY(add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE"));
    TRY(add_extension(cert, ca, NID_key_usage, "critical,digitalSignature"));
    TRY(add_extension(cert, ca, NID_ext_key_usage, "serverAuth"));
    TRY(add_extension(cert, ca, NID_subject_key_identifier, "hash"));
    TRY(add_extension(cert, ca, NID_authority_key_identifier, "keyid:always"));
    BUILT(X509_sign(cert, ca_key, EVP_sha256()) > 0);
    return write_pems(cert, key, ret_cert_pem, ret_key_pem);
}

enum err x509_read(struct span cert_pem, struct x509_facts *ret_facts)
{
    AUTO(cert_done) X509 *cert = NULL;
    struct x509_facts facts;
    uint8_t *der = NULL;

    TRY(read_cert(cert_pem, &cert));
    int len = i2d_X509(cert, &der);
    BUILT(len > 0);
    sha256(span_of(der, (size_t)len), facts.fingerprint);
    OPENSSL_free(der);
    der = NULL;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    BUILT(len > 0);
    sha256(span_of(der, (size_t)len), facts.key_pin);
    OPENSSL_free(der);
    TRY(asn1_ms(X509_get0_notBefore(cert), &facts.not_before_ms));
    TRY(asn1_ms(X509_get0_notAfter(cert), &facts.not_after_ms));
    facts.is_ca = X509_check_ca(cert) == 1;
    *ret_facts = facts;
    return OK;
}

enum err x509_covers(struct span cert_pem, const char *name, bool *ret_covers)
{
    AUTO(cert_done) X509 *cert = NULL;
    uint8_t ip[16];
    size_t ip_len = ip_bytes(name, ip);

    TRY(read_cert(cert_pem, &cert));
    if (ip_len > 0)
        *ret_covers = X509_check_ip(cert, ip, ip_len, 0) == 1;
    else
        *ret_covers = X509_check_host(cert, name, strlen(name), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                                      NULL) == 1;
    return OK;
}

enum err x509_issued_by(const struct clock *clock, struct span cert_pem, struct span ca_cert_pem)
{
    AUTO(cert_done) X509 *cert = NULL;
    AUTO(cert_done) X509 *ca = NULL;
    AUTO(store_done) X509_STORE *store = X509_STORE_new();
    AUTO(check_done) X509_STORE_CTX *check = X509_STORE_CTX_new();

    TRY(read_cert(cert_pem, &cert));
    TRY(read_cert(ca_cert_pem, &ca));
    BUILT(store && check && X509_STORE_add_cert(store, ca) == 1 &&
          X509_STORE_CTX_init(check, store, cert, NULL) == 1);
    X509_STORE_CTX_set_time(check, 0, (time_t)(clock_now_ms(clock) / 1000));
    ENSURE(X509_verify_cert(check) == 1, ERR_DENIED, "not_issued_by_ca",
           "The certificate is not signed by this authority, or not valid now.");
    return OK;
}
