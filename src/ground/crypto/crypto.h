/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_CRYPTO_CRYPTO_H
#define GROUND_CRYPTO_CRYPTO_H

/*
 * crypto - the few primitives the rest of the program is built on, and nothing that knows what a ticket is.
 *
 * This folder is the only one that includes libsodium and OpenSSL. It chooses no protocol: what is signed, sealed or hashed,
 * and with which domain separation, is written where the format is owned (trust/credential, trust/ledger, trust/keyring).
 * TLS connections are in tls.h, certificates in x509.h.
 *
 * Invariants:
 *   C1  crypto_init() runs before anything else here, once a process; every function but it is then safe from any thread.
 *   C2  a failed authentication (signature, AEAD tag, password) is ERR_DENIED and writes nothing to its out-parameters.
 *   C3  a signature that passes ed25519_verify passes every strict verifier: canonical S, canonical encodings of A and R,
 *       neither of small order. One that fails here may still pass a lax one; ours are all strict.
 *   C4  secrets are compared with crypto_eq and wiped when their scope ends (AUTO(secret32_wipe), secret_free).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ground/base/rng.h"
#include "ground/base/span.h"

/* Prepares both libraries; may be called again. ERR_IO "crypto_unavailable" when either refuses to start. */
RESULT crypto_init(void);

/* Constant time in the content. */
bool crypto_eq(const void *a, const void *b, size_t len);

/* --- Secrets in memory ------------------------------------------------------------------------------------------- */

enum { SECRET_BYTES = 32 };
/* A short-lived key on the stack: AUTO(secret32_wipe) struct secret32 key; */
struct secret32 {
    uint8_t b[SECRET_BYTES];
};
void secret32_wipe(struct secret32 *s); /* NULL is fine */
/* From the kernel. */
void secret32_random(struct secret32 *ret_secret);

/* Guarded, locked, excluded from core dumps; for keys that live as long as the process. NULL when memory is refused. */
void *secret_new(size_t size);
void secret_free(void *secret); /* wipes; NULL is fine */

/* --- SHA-256, HMAC, HKDF (FIPS 180-4, RFC 2104, RFC 5869) --------------------------------------------------------- */

enum { SHA256_BYTES = 32 };

void sha256(struct span data, uint8_t ret_hash[SHA256_BYTES]);
/* Hash of the concatenation; the way to hash RFC 6962 leaves and nodes without copying. */
void sha256_parts(const struct span *parts, size_t count, uint8_t ret_hash[SHA256_BYTES]);
/* SHA-256(prefix || left || right): one Merkle node, the fastest path here. */
void sha256_node(uint8_t prefix, const uint8_t left[SHA256_BYTES],
                 const uint8_t right[SHA256_BYTES], uint8_t ret_hash[SHA256_BYTES]);

/* Incremental. Embedded, no allocation; sha256_end wipes it. A copy by assignment forks the state. */
struct sha256_state {
    uint64_t opaque[16];
};
void sha256_begin(struct sha256_state *s);
void sha256_add(struct sha256_state *s, struct span data);
void sha256_end(struct sha256_state *s, uint8_t ret_hash[SHA256_BYTES]);

void hmac_sha256(struct span key, struct span data, uint8_t ret_mac[SHA256_BYTES]);
void hmac_sha256_parts(struct span key, const struct span *parts, size_t count,
                       uint8_t ret_mac[SHA256_BYTES]);

enum { HKDF_OUT_MAX = 255 * SHA256_BYTES };
void hkdf_sha256_extract(struct span salt, struct span ikm, uint8_t ret_prk[SHA256_BYTES]);
/* out_len 1..HKDF_OUT_MAX (asserted: lengths are the program's, never input). */
void hkdf_sha256_expand(const uint8_t prk[SHA256_BYTES], struct span info, uint8_t *ret_out,
                        size_t out_len);
/* Both steps. */
void hkdf_sha256(struct span salt, struct span ikm, struct span info, uint8_t *ret_out,
                 size_t out_len);

/* --- Ed25519 (RFC 8032, strict) ----------------------------------------------------------------------------------- */

enum { ED25519_SEED_BYTES = 32, ED25519_PUBLIC_BYTES = 32, ED25519_SIGNATURE_BYTES = 64 };

/* The seed and its public key: all that signing needs. Wipe with ed25519_key_wipe. */
struct ed25519_key {
    uint8_t seed[ED25519_SEED_BYTES];
    uint8_t public_key[ED25519_PUBLIC_BYTES];
};
void ed25519_key_from_seed(const uint8_t seed[ED25519_SEED_BYTES], struct ed25519_key *ret_key);
void ed25519_key_random(struct ed25519_key *ret_key);
void ed25519_key_wipe(struct ed25519_key *key);
/* Deterministic: the same key and message give the same signature. */
void ed25519_sign(const struct ed25519_key *key, struct span message,
                  uint8_t ret_signature[ED25519_SIGNATURE_BYTES]);
/* ERR_DENIED "bad_signature". Strict (C3), so any bytes may be passed. */
RESULT ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_BYTES], struct span message,
                      const uint8_t signature[ED25519_SIGNATURE_BYTES]);
/*
 * For a key somebody registers: canonical, on the curve, in the prime-order subgroup, so that every verifier agrees about its
 * signatures. ERR_INVALID "bad_public_key".
 */
RESULT ed25519_public_key_check(const uint8_t public_key[ED25519_PUBLIC_BYTES]);

/* --- Authenticated encryption -------------------------------------------------------------------------------------- */

enum { AES256GCM_KEY_BYTES = 32, AES256GCM_IV_BYTES = 12, AES256GCM_TAG_BYTES = 16 };

/* ret_sealed holds plain.len + AES256GCM_TAG_BYTES: ciphertext || tag. The caller never repeats an IV under a key. */
RESULT aes256gcm_seal(const uint8_t key[AES256GCM_KEY_BYTES], const uint8_t iv[AES256GCM_IV_BYTES],
                      struct span aad, struct span plain, uint8_t *ret_sealed);
/* ret_plain holds sealed.len - AES256GCM_TAG_BYTES. ERR_DENIED "bad_seal" (also when shorter than a tag). */
RESULT aes256gcm_open(const uint8_t key[AES256GCM_KEY_BYTES], const uint8_t iv[AES256GCM_IV_BYTES],
                      struct span aad, struct span sealed, uint8_t *ret_plain);

/*
 * Sealing for storage: XChaCha20-Poly1305 with a random 24-byte nonce in front, so that any number of messages may be sealed
 * under one key without counting. nonce || ciphertext || tag = plain.len + SEALED_BOX_OVERHEAD bytes.
 */
enum { SEALED_BOX_KEY_BYTES = 32, SEALED_BOX_OVERHEAD = 24 + 16 };
void sealed_box_seal(const uint8_t key[SEALED_BOX_KEY_BYTES], const struct rng *rng,
                     struct span aad, struct span plain, uint8_t *ret_box);
/* ret_plain holds box.len - SEALED_BOX_OVERHEAD. ERR_DENIED "bad_seal". */
RESULT sealed_box_open(const uint8_t key[SEALED_BOX_KEY_BYTES], struct span aad, struct span box,
                       uint8_t *ret_plain);

/*
 * --- Passwords (Argon2id, RFC 9106) --------------------------------------------------------------------------------
 *
 * A thread that hashes keeps the memory of a fan's password, wiped, for the next one, until it drops it: mapping and touching 19 MiB
 * costs more than the hash. What is larger is mapped for one password alone. ERR_NOMEM "no_memory" in any of them.
 */

enum {
    PASSWORD_BYTES_MAX = 1024, /* longer ones are ERR_LIMIT, never cut */
    PASSWORD_HASH_MAX = 128    /* text with terminator */
};
struct password_cost {
    uint32_t passes;
    uint32_t memory_kib;
};
#define CRYPTO_PASSWORD_FAN ((struct password_cost){.passes = 2, .memory_kib = 19 * 1024})
#define CRYPTO_PASSWORD_STAFF ((struct password_cost){.passes = 3, .memory_kib = 64 * 1024})

/* The password is bytes as they are to be compared: normalisation (NFC) is the caller's. ret_text: "$argon2id$v=19$m=...". */
RESULT password_hash(struct span password, struct password_cost cost,
                     char ret_text[PASSWORD_HASH_MAX]);
/* ERR_DENIED "wrong_password". ret_needs_rehash: right, but hashed at another cost than the one now wanted. */
RESULT password_verify(struct span password, const char *text, struct password_cost cost,
                       bool *ret_needs_rehash);
/* ERR_DENIED "wrong_password" after the time of a verification: when there is no such account, so that an answer's delay names nobody. */
RESULT password_waste(struct span password, struct password_cost cost);
/* Of the calling thread: at its end, and when no other password waits. */
void password_memory_drop(void);
bool password_memory_is_kept(void);

#endif
