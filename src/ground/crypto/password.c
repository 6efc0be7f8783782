/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password - Argon2id by libargon2, in memory that a thread keeps. Why not libsodium's: it maps its memory afresh for each password, and on a
 * virtual machine that costs more than its faster code gains (docs/performance.md).
 */
#include <argon2.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/mman.h>

#include "ground/crypto/crypto.h"

enum {
    SALT_BYTES = 16,
    SALT_MIN = 8,
    SALT_MAX = 64,
    DIGEST_BYTES = 32,
    KEPT_BYTES = 19 * 1024 * 1024, /* a fan's; what staff need is mapped for the one password */
    PASSES_MAX = 64,
    MEMORY_KIB_MAX = 1024 * 1024
};

/* --- Memory --------------------------------------------------------------------------------------------------------------- */

/* Why the thread's: libargon2 calls back without a context. */
static _Thread_local uint8_t *kept; /* KEPT_BYTES, or NULL */

static uint8_t *map(size_t bytes)
{
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                   -1, 0);

    return m == MAP_FAILED ? NULL : m;
}

/* Asked for once in a hash. */
static int lend(uint8_t **ret_memory, size_t bytes)
{
    if (bytes <= KEPT_BYTES && !kept)
        kept = map(KEPT_BYTES);
    *ret_memory = bytes <= KEPT_BYTES ? kept : map(bytes);
    return *ret_memory ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

/* libargon2 has wiped it. */
static void take_back(uint8_t *lent, size_t bytes)
{
    if (lent != kept)
        (void)munmap(lent, bytes);
}

void password_memory_drop(void)
{
    if (kept)
        (void)munmap(kept, KEPT_BYTES);
    kept = NULL;
}

bool password_memory_is_kept(void)
{
    return kept != NULL;
}

/* --- The hash ------------------------------------------------------------------------------------------------------------- */

static enum err argon2id(struct span password, struct span salt, struct password_cost cost,
                         uint8_t ret_digest[DIGEST_BYTES])
{
    /* Why the casts: libargon2 writes to neither, since it is not asked to clear the password. */
    argon2_context c = {.out = ret_digest,
                        .outlen = DIGEST_BYTES,
                        .pwd = (uint8_t *)(uintptr_t)password.data,
                        .pwdlen = (uint32_t)password.len,
                        .salt = (uint8_t *)(uintptr_t)salt.data,
                        .saltlen = (uint32_t)salt.len,
                        .t_cost = cost.passes,
                        .m_cost = cost.memory_kib,
                        .lanes = 1,
                        .threads = 1,
                        .version = ARGON2_VERSION_13,
                        .allocate_cbk = lend,
                        .free_cbk = take_back};
    int why = argon2id_ctx(&c);

    ENSURE(why != ARGON2_MEMORY_ALLOCATION_ERROR, ERR_NOMEM, "no_memory",
           "No memory for hashing a password.");
    INVARIANT(why == ARGON2_OK, "a cost that was checked is one that Argon2 has");
    return OK;
}

/* --- The text: $argon2id$v=19$m=19456,t=2,p=1$salt$digest, Base64 without padding ------------------------------------------ */

enum { BASE64 = sodium_base64_VARIANT_ORIGINAL_NO_PADDING };

struct stored {
    struct password_cost cost;
    uint8_t salt[SALT_MAX], digest[DIGEST_BYTES];
    size_t salt_len;
};

/* Moves past what stands before it and itself. */
static bool take_to(struct span *rest, uint8_t end, struct span *ret_part)
{
    size_t at = span_find(*rest, end);

    if (at == rest->len)
        return false;
    *ret_part = span_sub(*rest, 0, at);
    *rest = span_sub(*rest, at + 1, rest->len);
    return true;
}

static bool take_number(struct span *rest, const char *name, uint8_t end, uint32_t max,
                        uint32_t *ret_number)
{
    struct span part;
    uint64_t number;

    if (!take_to(rest, '=', &part) || !span_eq_text(part, name) || !take_to(rest, end, &part) ||
        text_to_u64(part, &number) != OK || number == 0 || number > max)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool take_bytes(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len)
{
    return sodium_base642bin(ret_bytes, max, (const char *)text.data, text.len, NULL, ret_len, NULL,
                             BASE64) == 0;
}

static bool parse(struct span rest, struct stored *ret)
{
    static const char start[] = "$argon2id$";
    struct span salt;
    uint32_t version, lanes;
    size_t digest_len;

    if (!span_starts(rest, start))
        return false;
    rest = span_sub(rest, sizeof start - 1, rest.len);
    return take_number(&rest, "v", '$', ARGON2_VERSION_13, &version) &&
           version == ARGON2_VERSION_13 &&
           take_number(&rest, "m", ',', MEMORY_KIB_MAX, &ret->cost.memory_kib) &&
           ret->cost.memory_kib >= ARGON2_MIN_MEMORY &&
           take_number(&rest, "t", ',', PASSES_MAX, &ret->cost.passes) &&
           take_number(&rest, "p", '$', 1, &lanes) && take_to(&rest, '$', &salt) &&
           take_bytes(salt, ret->salt, sizeof ret->salt, &ret->salt_len) &&
           ret->salt_len >= SALT_MIN &&
           take_bytes(rest, ret->digest, sizeof ret->digest, &digest_len) &&
           digest_len == DIGEST_BYTES;
}

/* --- What callers see ------------------------------------------------------------------------------------------------------ */

enum err password_hash(struct span password, struct password_cost cost,
                       char ret_text[PASSWORD_HASH_MAX])
{
    char salt_text[sodium_base64_ENCODED_LEN(SALT_BYTES, BASE64)];
    char digest_text[sodium_base64_ENCODED_LEN(DIGEST_BYTES, BASE64)];
    uint8_t salt[SALT_BYTES], digest[DIGEST_BYTES];

    ENSURE(password.len <= PASSWORD_BYTES_MAX, ERR_LIMIT, "password_too_long",
           "A password has at most %d bytes.", PASSWORD_BYTES_MAX);
    randombytes_buf(salt, sizeof salt);
    TRY(argon2id(password, SPAN_ARRAY(salt), cost, digest));
    sodium_bin2base64(salt_text, sizeof salt_text, salt, sizeof salt, BASE64);
    sodium_bin2base64(digest_text, sizeof digest_text, digest, sizeof digest, BASE64);
    int n = snprintf(ret_text, PASSWORD_HASH_MAX, "$argon2id$v=%d$m=%u,t=%u,p=1$%s$%s",
                     ARGON2_VERSION_13, cost.memory_kib, cost.passes, salt_text, digest_text);
    INVARIANT(n > 0 && n < PASSWORD_HASH_MAX, "a hash's text has its bound");
    return OK;
}

enum err password_verify(struct span password, const char *text, struct password_cost cost,
                         bool *ret_needs_rehash)
{
    struct stored stored;
    uint8_t digest[DIGEST_BYTES];

    ENSURE(password.len <= PASSWORD_BYTES_MAX, ERR_DENIED, "wrong_password",
           "The password is wrong.");
    ENSURE(parse(span_text(text), &stored), ERR_CORRUPT, "bad_password_hash",
           "A stored password hash is not one of ours.");
    TRY(argon2id(password, span_of(stored.salt, stored.salt_len), stored.cost, digest));
    bool right = crypto_eq(digest, stored.digest, sizeof digest);
    wipe(digest, sizeof digest);
    ENSURE(right, ERR_DENIED, "wrong_password", "The password is wrong.");
    *ret_needs_rehash =
        stored.cost.passes != cost.passes || stored.cost.memory_kib != cost.memory_kib;
    return OK;
}

enum err password_waste(struct span password, struct password_cost cost)
{
    static const uint8_t salt[SALT_BYTES] = "nobody's salt..";
    uint8_t digest[DIGEST_BYTES];

    if (password.len <= PASSWORD_BYTES_MAX) {
        TRY(argon2id(password, SPAN_ARRAY(salt), cost, digest));
        wipe(digest, sizeof digest);
    }
    FAIL(ERR_DENIED, "wrong_password", "The password is wrong.");
}
