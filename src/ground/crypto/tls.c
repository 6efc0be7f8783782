/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/crypto/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_FILE_MAX = 256 * 1024, TICKET_LIFE_S = 7200 };

/* struct tls_context and struct tls are OpenSSL's own objects under names that keep its headers in this folder. */
static SSL_CTX *ctx_of(struct tls_context *c)
{
    return (SSL_CTX *)(void *)c;
}

static SSL *ssl_of(struct tls *t)
{
    return (SSL *)(void *)t;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char offered[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, offered, sizeof offered - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void close_ctx(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static void close_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void close_cert(X509 **cert)
{
    X509_free(*cert);
}

static void close_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* Keys with a pass phrase are refused: nobody is there to type it. */
static int no_password(char *out, int size, int writing, void *user)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static enum err harden(SSL_CTX *ctx)
{
    int ok = (int)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    ok &= SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    ok &= (int)SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
    ENSURE(ok == 1, ERR_INVALID, "tls_setup", "This OpenSSL does not take our TLS settings.");
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_max_early_data(ctx, 0);
    return OK;
}

static BIO *bio_of(struct span pem)
{
    return pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

/* The certificate, then the chain, into ctx. */
static enum err load_chain(SSL_CTX *ctx, struct span pem)
{
    AUTO(close_bio) BIO *bio = bio_of(pem);
    ENSURE(bio, ERR_NOMEM, "no_memory", "No memory for a certificate.");
    AUTO(close_cert) X509 *leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    ENSURE(leaf && SSL_CTX_use_certificate(ctx, leaf) == 1, ERR_INVALID, "bad_certificate",
           "The certificate file holds no usable PEM certificate.");
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (!next)
            break;
        if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
            X509_free(next);
            FAIL(ERR_INVALID, "bad_certificate", "A certificate of the chain is not usable.");
        }
    }
    unsigned long why = ERR_peek_last_error();
    ENSURE(ERR_GET_REASON(why) == PEM_R_NO_START_LINE, ERR_INVALID, "bad_certificate",
           "A certificate of the chain cannot be read.");
    return OK;
}

static enum err load_key(SSL_CTX *ctx, struct span pem)
{
    AUTO(close_bio) BIO *bio = bio_of(pem);
    ENSURE(bio, ERR_NOMEM, "no_memory", "No memory for a private key.");
    AUTO(close_key) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    ENSURE(key, ERR_INVALID, "bad_private_key",
           "The key file holds no usable, unencrypted PEM private key.");
    ENSURE(SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1,
           ERR_INVALID, "bad_private_key", "The private key does not belong to the certificate.");
    return OK;
}

static enum err setup_server(SSL_CTX *ctx, struct span chain_pem, struct span key_pem)
{
    TRY(harden(ctx));
    TRY(load_chain(ctx, chain_pem));
    TRY(load_key(ctx, key_pem));
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    ENSURE(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"gatehouse", 9) == 1,
           ERR_NOMEM, "no_memory", "No memory for a TLS context.");
    return OK;
}

enum err tls_context_server(struct span chain_pem, struct span key_pem,
                            struct tls_context **ret_context)
{
    AUTO(close_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    ENSURE(ctx, ERR_NOMEM, "no_memory", "No memory for a TLS context.");
    enum err code = setup_server(ctx, chain_pem, key_pem);
    ERR_clear_error();
    TRY(code);
    *ret_context = (struct tls_context *)(void *)ctx;
    ctx = NULL;
    return OK;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

static enum err read_whole(const char *path, const char *what, struct buf *out)
{
    AUTO(close_file) FILE *file = fopen(path, "rbe");
    ENSURE(file, ERR_NOT_FOUND, "no_tls_file", "The %s file cannot be opened.", what);
    setbuf(file, NULL); /* no copy of a key outside our buffer */
    uint8_t *at = buf_grow(out, PEM_FILE_MAX);
    TRY(buf_check(out));
    out->len = fread(at, 1, PEM_FILE_MAX, file);
    ENSURE(!ferror(file), ERR_IO, "no_tls_file", "The %s file cannot be read.", what);
    ENSURE(out->len < PEM_FILE_MAX, ERR_LIMIT, "too_large", "The %s file is too large.", what);
    return OK;
}

enum err tls_context_server_files(const char *chain_path, const char *key_path,
                                  struct tls_context **ret_context)
{
    AUTO(buf_done) struct buf chain, key;
    buf_init(&chain, PEM_FILE_MAX);
    buf_init(&key, PEM_FILE_MAX);
    TRY(read_whole(chain_path, "certificate", &chain));
    TRY(read_whole(key_path, "private key", &key));
    TRY(tls_context_server(buf_span(&chain), buf_span(&key), ret_context));
    return OK;
}

static enum err setup_client(SSL_CTX *ctx, struct span roots_pem)
{
    size_t count = 0;
    TRY(harden(ctx));
    AUTO(close_bio) BIO *bio = bio_of(roots_pem);
    ENSURE(bio, ERR_NOMEM, "no_memory", "No memory for certificates.");
    for (;; count++) {
        AUTO(close_cert) X509 *root = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (!root)
            break;
        ENSURE(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), root) == 1, ERR_INVALID,
               "bad_certificate", "A root certificate is not usable.");
    }
    ENSURE(count > 0, ERR_INVALID, "bad_certificate", "There is no root certificate to trust.");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return OK;
}

enum err tls_context_client(struct span roots_pem, struct tls_context **ret_context)
{
    AUTO(close_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    ENSURE(ctx, ERR_NOMEM, "no_memory", "No memory for a TLS context.");
    enum err code = setup_client(ctx, roots_pem);
    ERR_clear_error();
    TRY(code);
    *ret_context = (struct tls_context *)(void *)ctx;
    ctx = NULL;
    return OK;
}

void tls_context_close(struct tls_context *context)
{
    SSL_CTX_free(ctx_of(context));
}

static enum err stream_new(struct tls_context *context, int fd, SSL **ret_ssl)
{
    SSL *ssl = SSL_new(ctx_of(context));
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        FAIL(ERR_NOMEM, "no_memory", "No memory for a TLS stream.");
    }
    *ret_ssl = ssl;
    return OK;
}

enum err tls_accept(struct tls_context *context, int fd, struct tls **ret_tls)
{
    SSL *ssl;
    TRY(stream_new(context, fd, &ssl));
    SSL_set_accept_state(ssl);
    *ret_tls = (struct tls *)(void *)ssl;
    return OK;
}

enum err tls_connect(struct tls_context *context, int fd, const char *name, struct tls **ret_tls)
{
    SSL *ssl;
    TRY(stream_new(context, fd, &ssl));
    SSL_set_connect_state(ssl);
    /* SSL_set_alpn_protos answers 0 for success. */
    if (SSL_set1_host(ssl, name) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1 ||
        SSL_set_alpn_protos(ssl, (const unsigned char *)"\x08http/1.1", 9) != 0) {
        SSL_free(ssl);
        ERR_clear_error();
        FAIL(ERR_INVALID, "bad_host_name", "The host name cannot be asked for.");
    }
    *ret_tls = (struct tls *)(void *)ssl;
    return OK;
}

/* The thread's error queue must be empty before each call and is emptied after it, or streams would see each other's. */
static enum tls_io outcome(SSL *ssl, int rc)
{
    int why = SSL_get_error(ssl, rc);
    ERR_clear_error();
    switch (why) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        return TLS_FAILED;
    }
}

enum tls_io tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    return outcome(ssl_of(tls), SSL_do_handshake(ssl_of(tls)));
}

enum tls_io tls_read(struct tls *tls, void *out, size_t size, size_t *ret_len)
{
    size_t n = 0;
    ERR_clear_error();
    int rc = SSL_read_ex(ssl_of(tls), out, size, &n);
    if (rc == 1) {
        *ret_len = n;
        return TLS_DONE;
    }
    return outcome(ssl_of(tls), rc);
}

enum tls_io tls_write(struct tls *tls, const void *data, size_t len, size_t *ret_len)
{
    size_t n = 0;
    ERR_clear_error();
    int rc = SSL_write_ex(ssl_of(tls), data, len, &n);
    if (rc == 1) {
        *ret_len = n;
        return TLS_DONE;
    }
    return outcome(ssl_of(tls), rc);
}

void tls_end(struct tls *tls)
{
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_of(tls)))
        (void)SSL_shutdown(ssl_of(tls)); /* best effort: the socket is closed right after */
    ERR_clear_error();
}

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version((const SSL *)(const void *)tls);
}

void tls_close(struct tls *tls)
{
    SSL_free(ssl_of(tls));
}
