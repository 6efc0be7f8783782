/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_CRYPTO_TLS_H
#define GROUND_CRYPTO_TLS_H

/*
 * tls - encrypted byte streams over sockets that somebody else owns and polls.
 *
 * A context holds a certificate with its key (server) or the roots to trust (client) and may be shared by threads; a stream
 * belongs to one thread at a time. TLS 1.3 is preferred, 1.2 the least, with forward-secret AEAD suites only; no
 * compression, no renegotiation, no early data. ALPN offers http/1.1 only, and a client that insists on something else is
 * refused. Making certificates is not here.
 *
 * Invariants:
 *   T1  a stream never closes the socket; the owner does, after tls_close;
 *   T2  after TLS_FAILED nothing but tls_close is called on a stream;
 *   T3  a write that wants to be repeated is repeated with the same bytes (they may have moved).
 * The owner keeps SIGPIPE blocked or ignored in threads that use streams.
 */
#include "ground/base/span.h"

struct tls_context;
struct tls;

enum tls_io {
    TLS_DONE,       /* some bytes moved, or the handshake is complete */
    TLS_WANT_READ,  /* call again when the socket is readable */
    TLS_WANT_WRITE, /* call again when the socket is writable */
    TLS_CLOSED,     /* the peer ended the stream in order */
    TLS_FAILED,     /* broken for good; also when the peer vanished without saying so */
};

/*
 * A server's context from PEM texts: the certificate first, then its chain; the key unencrypted. ERR_INVALID
 * "bad_certificate" or "bad_private_key" (also when they do not belong together).
 */
RESULT tls_context_server(struct span chain_pem, struct span key_pem,
                          struct tls_context **ret_context);
/* The same from files. ERR_NOT_FOUND when a file cannot be opened. */
RESULT tls_context_server_files(const char *chain_path, const char *key_path,
                                struct tls_context **ret_context);
/* A client's context that trusts exactly the certificates in the PEM text. ERR_INVALID "bad_certificate". */
RESULT tls_context_client(struct span roots_pem, struct tls_context **ret_context);
/* Streams made from it stay good. NULL is fine. */
void tls_context_close(struct tls_context *context);

/* A stream over a connected, non-blocking socket. */
RESULT tls_accept(struct tls_context *context, int fd, struct tls **ret_tls);
/* The certificate must be valid for the name, which is also sent as SNI. */
RESULT tls_connect(struct tls_context *context, int fd, const char *name, struct tls **ret_tls);

enum tls_io tls_handshake(struct tls *tls);
enum tls_io tls_read(struct tls *tls, void *out, size_t size, size_t *ret_len);
/* May move fewer bytes than asked; len > 0. */
enum tls_io tls_write(struct tls *tls, const void *data, size_t len, size_t *ret_len);
/* Tell the peer that nothing more will be written; best effort. */
void tls_end(struct tls *tls);
/* "TLSv1.3"; for the log. Static. */
const char *tls_version(const struct tls *tls);
void tls_close(struct tls *tls);

#endif
