/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Write-once in crypto_init: fetching an algorithm by name takes a lock and a search, so it is done one time. */
static EVP_CIPHER *gcm;

static void init_once(void)
{
    if (sodium_init() < 0 || OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
        return;
    gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

enum err crypto_init(void)
{
    pthread_once(&once, init_once);
    ENSURE(gcm, ERR_IO, "crypto_unavailable", "The cryptographic libraries do not start.");
    return OK;
}

bool crypto_eq(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void secret32_wipe(struct secret32 *s)
{
    if (s)
        wipe(s, sizeof *s);
}

void secret32_random(struct secret32 *ret_secret)
{
    rng_fill(rng_system(), ret_secret->b, sizeof ret_secret->b);
}

void *secret_new(size_t size)
{
    void *p = sodium_malloc(size);
    if (p)
        memset(p, 0, size);
    return p;
}

void secret_free(void *secret)
{
    sodium_free(secret);
}

/* --- Ed25519 ------------------------------------------------------------------------------------------------------ */

/* libsodium's secret key is seed || public key: exactly our struct. */
_Static_assert(sizeof(struct ed25519_key) == crypto_sign_SECRETKEYBYTES, "key layout");
_Static_assert(offsetof(struct ed25519_key, public_key) == 32, "key layout");

void ed25519_key_from_seed(const uint8_t seed[ED25519_SEED_BYTES], struct ed25519_key *ret_key)
{
    uint8_t public_key[ED25519_PUBLIC_BYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    crypto_sign_seed_keypair(public_key, secret, seed);
    memcpy(ret_key, secret, sizeof secret);
    wipe(secret, sizeof secret);
}

void ed25519_key_random(struct ed25519_key *ret_key)
{
    AUTO(secret32_wipe) struct secret32 seed;
    secret32_random(&seed);
    ed25519_key_from_seed(seed.b, ret_key);
}

void ed25519_key_wipe(struct ed25519_key *key)
{
    if (key)
        wipe(key, sizeof *key);
}

void ed25519_sign(const struct ed25519_key *key, struct span message,
                  uint8_t ret_signature[ED25519_SIGNATURE_BYTES])
{
    crypto_sign_detached(ret_signature, NULL, message.data, message.len, (const uint8_t *)key);
}

/*
 * libsodium refuses S >= L, small-order A and R, and a non-canonical A; it compares R byte by byte with the canonical
 * encoding it computes, so that a non-canonical R cannot pass. The published vectors in the tests hold it to that.
 */
enum err ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_BYTES], struct span message,
                        const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
    ENSURE(crypto_sign_verify_detached(signature, message.data, message.len, public_key) == 0,
           ERR_DENIED, "bad_signature", "The signature does not verify.");
    return OK;
}

enum err ed25519_public_key_check(const uint8_t public_key[ED25519_PUBLIC_BYTES])
{
    ENSURE(crypto_core_ed25519_is_valid_point(public_key) == 1, ERR_INVALID, "bad_public_key",
           "The Ed25519 public key is not a canonical point of the prime-order group.");
    return OK;
}

/* --- AES-256-GCM --------------------------------------------------------------------------------------------------- */

static void cipher_free(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c); /* wipes the key schedule */
}

enum { AEAD_LEN_MAX = 1 << 30 }; /* OpenSSL counts in int */

enum err aes256gcm_seal(const uint8_t key[AES256GCM_KEY_BYTES],
                        const uint8_t iv[AES256GCM_IV_BYTES], struct span aad, struct span plain,
                        uint8_t *ret_sealed)
{
    AUTO(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, last = 0;

    ENSURE(plain.len <= AEAD_LEN_MAX && aad.len <= AEAD_LEN_MAX, ERR_LIMIT, "seal_too_long",
           "The message to seal is too long.");
    bool sealed =
        c && EVP_EncryptInit_ex2(c, gcm, key, iv, NULL) == 1 &&
        (aad.len == 0 || EVP_EncryptUpdate(c, NULL, &n, aad.data, (int)aad.len) == 1) &&
        (plain.len == 0 || EVP_EncryptUpdate(c, ret_sealed, &n, plain.data, (int)plain.len) == 1) &&
        EVP_EncryptFinal_ex(c, ret_sealed + plain.len, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AES256GCM_TAG_BYTES,
                            ret_sealed + plain.len) == 1;
    ENSURE(sealed, ERR_NOMEM, "seal_failed", "The message could not be sealed.");
    return OK;
}

static bool gcm_open(EVP_CIPHER_CTX *c, const uint8_t *key, const uint8_t *iv, struct span aad,
                     struct span body, uint8_t *tag, uint8_t *ret_plain)
{
    int n = 0, last = 0;
    uint8_t none[AES256GCM_TAG_BYTES];

    return EVP_DecryptInit_ex2(c, gcm, key, iv, NULL) == 1 &&
           (aad.len == 0 || EVP_DecryptUpdate(c, NULL, &n, aad.data, (int)aad.len) == 1) &&
           (body.len == 0 || EVP_DecryptUpdate(c, ret_plain, &n, body.data, (int)body.len) == 1) &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AES256GCM_TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(c, none, &last) == 1;
}

enum err aes256gcm_open(const uint8_t key[AES256GCM_KEY_BYTES],
                        const uint8_t iv[AES256GCM_IV_BYTES], struct span aad, struct span sealed,
                        uint8_t *ret_plain)
{
    AUTO(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t tag[AES256GCM_TAG_BYTES];

    ENSURE(c, ERR_NOMEM, "no_memory", "No memory.");
    ENSURE(sealed.len >= sizeof tag && sealed.len <= AEAD_LEN_MAX && aad.len <= AEAD_LEN_MAX,
           ERR_DENIED, "bad_seal", "The sealed message does not open.");
    struct span body = span_sub(sealed, 0, sealed.len - sizeof tag);
    memcpy(tag, sealed.data + body.len, sizeof tag);
    if (!gcm_open(c, key, iv, aad, body, tag, ret_plain)) {
        wipe(ret_plain, body.len); /* OpenSSL writes before it has checked the tag */
        FAIL(ERR_DENIED, "bad_seal", "The sealed message does not open.");
    }
    return OK;
}

/* --- Sealed boxes -------------------------------------------------------------------------------------------------- */

enum { NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };
_Static_assert(SEALED_BOX_OVERHEAD == NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "sealed box overhead");

void sealed_box_seal(const uint8_t key[SEALED_BOX_KEY_BYTES], const struct rng *rng,
                     struct span aad, struct span plain, uint8_t *ret_box)
{
    rng_fill(rng, ret_box, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(ret_box + NONCE_BYTES, NULL, plain.data, plain.len,
                                               aad.data, aad.len, NULL, ret_box, key);
}

enum err sealed_box_open(const uint8_t key[SEALED_BOX_KEY_BYTES], struct span aad, struct span box,
                         uint8_t *ret_plain)
{
    ENSURE(box.len >= SEALED_BOX_OVERHEAD, ERR_DENIED, "bad_seal", "The sealed box does not open.");
    int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        ret_plain, NULL, NULL, box.data + NONCE_BYTES, box.len - NONCE_BYTES, aad.data, aad.len,
        box.data, key);
    ENSURE(opened == 0, ERR_DENIED, "bad_seal", "The sealed box does not open.");
    return OK;
}
