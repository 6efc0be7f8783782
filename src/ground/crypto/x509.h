/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_CRYPTO_X509_H
#define GROUND_CRYPTO_X509_H

/*
 * x509 - a local certificate authority for installations without certificates of their own, and what is needed to pin one.
 *
 * Keys are EC P-256, signatures ECDSA with SHA-256. The authority may sign end certificates only (path length 0) and lives
 * X509_CA_DAYS; server certificates live at most X509_LEAF_DAYS_MAX, which is what phones accept. All texts are PEM.
 * This is not a TLS client's chain check: that is OpenSSL's own, set up in tls.h.
 */
#include "ground/base/clock.h"
#include "ground/base/span.h"

enum { X509_CA_DAYS = 3650, X509_LEAF_DAYS_MAX = 397, X509_NAMES_MAX = 32, X509_PIN_BYTES = 32 };
enum { X509_PEM_MAX = 64 * 1024 };

/* A self-signed authority. common_name: 1..64 bytes of printable text. The key text is a secret (buf_done wipes). */
RESULT x509_ca_create(const struct clock *clock, const char *common_name, struct buf *ret_cert_pem,
                      struct buf *ret_key_pem);

struct x509_request {
    const char *const
        *names; /* each a DNS name ("*.example.org" too) or an IP address; 1..X509_NAMES_MAX */
    size_t name_count;
    int days; /* 1..X509_LEAF_DAYS_MAX; cut to the authority's own end */
};
/* A server certificate with a fresh key. ERR_INVALID "bad_name", ERR_INVALID "bad_days", ERR_CORRUPT "bad_ca". */
RESULT x509_issue(const struct clock *clock, struct span ca_cert_pem, struct span ca_key_pem,
                  const struct x509_request *request, struct buf *ret_cert_pem,
                  struct buf *ret_key_pem);

struct x509_facts {
    uint8_t fingerprint[X509_PIN_BYTES]; /* SHA-256 of the DER certificate */
    uint8_t key_pin[X509_PIN_BYTES];     /* SHA-256 of the SubjectPublicKeyInfo (RFC 7469) */
    int64_t not_before_ms, not_after_ms;
    bool is_ca;
};
/* The first certificate in the text. ERR_INVALID "bad_certificate". */
RESULT x509_read(struct span cert_pem, struct x509_facts *ret_facts);
/* Whether the certificate covers this DNS name or IP address (RFC 6125; the common name is not looked at). */
RESULT x509_covers(struct span cert_pem, const char *name, bool *ret_covers);
/* OK when cert is signed by ca and both are valid now; ERR_DENIED "not_issued_by_ca" otherwise. */
RESULT x509_issued_by(const struct clock *clock, struct span cert_pem, struct span ca_cert_pem);

#endif
