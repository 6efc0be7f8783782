/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_AUTH_INNER_H
#define TRUST_AUTH_INNER_H

/* inner - what the files of this room share. */
#include "store/store/store_auth.h"
#include "trust/auth/auth.h"

/* --- totp.c: RFC 6238 without an account --- */
enum { TOTP_SECRET_BYTES = 20, TOTP_DIGITS = 6, TOTP_STEP_MS = 30 * 1000 };
/* The code of a step (time / 30 s); ret_code holds TOTP_DIGITS + 1. */
RESULT totp_code(const uint8_t secret[TOTP_SECRET_BYTES], int64_t step, char *ret_code);
/*
 * The step that the code is of: this one, the one before or the one after; the last one where it is of several, so that no code
 * serves twice. ret_found false when it is of none.
 */
RESULT totp_match(const uint8_t secret[TOTP_SECRET_BYTES], int64_t at_ms, struct span code,
                  bool *ret_found, int64_t *ret_step);
/* base32 and the otpauth URI; a long issuer or mail is cut, since both are only shown. */
RESULT totp_present(const uint8_t secret[TOTP_SECRET_BYTES], const char *issuer, const char *mail,
                    struct totp_enrolment *ret);

/* --- account.c --- */
bool account_locked(const struct account_row *a, int64_t now_ms);
RESULT account_count_failure(struct store_tx *tx, const struct account_row *a);
/* ERR_CONFLICT "account_not_active". */
RESULT account_active(struct store_tx *tx, int64_t account_no, struct account_row *ret_row);
/* Entry account_changed; status may be NULL. With names the row is paid for. */
RESULT account_entry(struct store_tx *tx, const struct auth *auth, const struct account_row *a,
                     const char *what, const char *status, bool names);
void mail_hash(const struct auth *auth, const char *mail, uint8_t ret_hash[SHA256_BYTES]);

/* --- session.c --- */
/* 32 random bytes as base64url, and the hash that is stored. */
RESULT token_make(struct store_tx *tx, char ret_text[AUTH_TOKEN_TEXT],
                  uint8_t ret_hash[SHA256_BYTES]);
/* False when it is not of that form. */
bool token_hash(struct span text, uint8_t ret_hash[SHA256_BYTES]);
/* Neither past its end nor idle too long. */
bool session_is_live(const struct session_row *row, int64_t now_ms);
void session_fill(const struct session_row *row, int64_t now_ms, struct session *ret_session);
/* A live one. ERR_UNAUTHENTICATED "no_session". */
RESULT session_row_by_token(struct store_tx *tx, struct span token, uint8_t ret_hash[SHA256_BYTES],
                            struct session_row *ret_row);
/* A live session of this account. ERR_UNAUTHENTICATED "no_session". */
RESULT session_need(struct store_tx *tx, int64_t account_no, struct session_id id,
                    struct session_row *ret_row);
/* End the session, open its successor of level 2 (U4). */
RESULT session_raise(struct store_tx *tx, const struct session_row *old,
                     struct session_opened *ret_session);

/* --- common_passwords.txt, embedded --- */
struct auth_text {
    const char *name;
    const char *data;
    size_t len;
};
extern const struct auth_text auth_texts[];
extern const size_t auth_texts_count;

#endif
