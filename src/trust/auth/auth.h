/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_AUTH_AUTH_H
#define TRUST_AUTH_AUTH_H

/*
 * auth - who somebody is: accounts, passwords, the second factor, sessions, one-time tokens.
 *
 * What it is not: what they may do (trust/access), cookies and headers (reach/api). Hashing a password takes 11 to 80 ms, so it is done
 * outside the writer by the caller's work pool: the functions come in pairs, the slow half (no transaction) and the command.
 *
 * Invariants:
 *   U1  names and mail addresses are stored only sealed under the person's key, found only by keyed hash;
 *   U2  a TOTP code is accepted once: the account's last step grows only, in the writer, so that one of many wins;
 *   U3  session tokens and one-time tokens are 32 random bytes, stored as SHA-256, compared by lookup of the hash;
 *   U4  a session has level 1 after the password, level 2 after the second factor, and is replaced (new token) at each rise;
 *   U5  what failed in a sign-in is not told apart, by answer or by time;
 *   U6  failures in a row are counted over password and code together and cleared only by a whole sign-in: from the fifth on
 *       they cost 30 s, doubling to an hour from the twelfth on, and at 100 (the most that NIST SP 800-63B-4 allows) the account
 *       stays locked until auth_unlock. While locked nothing is judged or counted.
 */
#include "trust/access/access.h"
#include "trust/keyring/keyring.h"

enum {
    AUTH_MAIL_MAX = 254,
    AUTH_NAME_MAX = 100,   /* characters */
    AUTH_PASSWORD_MIN = 8, /* characters, with a second factor (63B-4) */
    AUTH_PASSWORD_STAFF_MIN = 15,
    AUTH_PASSWORD_MAX = 256, /* bytes */
    AUTH_TOKEN_BYTES = 32,
    AUTH_TOKEN_TEXT = 44, /* base64url of it, with terminator */
    AUTH_FAN_IDLE_MS = 60 * 60 * 1000,
    AUTH_FAN_MAX_MS = 24 * 60 * 60 * 1000,
    AUTH_STAFF_IDLE_MS = 15 * 60 * 1000,
    AUTH_STAFF_MAX_MS = 12 * 60 * 60 * 1000,
    AUTH_FAILURES_FREE = 4,  /* in a row, before they cost time */
    AUTH_FAILURES_MAX = 100, /* then locked for good */
    AUTH_ONE_TIME_SUBJECT_MAX = 512
};

struct auth {
    struct keyring *keyring;
    struct ledger *ledger;
    const char *issuer; /* shown by authenticator apps */
};

struct account {
    int64_t no, person_no;
    struct account_id id;
    bool active, staff, has_totp;
    char mail[AUTH_MAIL_MAX + 1];
    char name[4 * AUTH_NAME_MAX + 1];
};

/*
 * Normalise (trim nothing, lower-case both parts) and check: ASCII only, exactly one @, a dot-atom of at most 64 characters before
 * it, a host name of at least two labels after it (international ones in their xn-- form). ERR_INVALID "bad_mail".
 */
RESULT auth_mail_check(struct span mail, char ret_mail[AUTH_MAIL_MAX + 1]);
/*
 * UTF-8, length in characters, not in the list of common ones (common_passwords.txt), not the mail, its parts or the name,
 * whatever the case. ERR_INVALID "bad_password" with the reason.
 */
RESULT auth_password_check(struct span password, struct span mail, struct span name, bool staff);

/* --- accounts --- */
struct account_request {
    struct account_id id;
    struct span mail, name;                /* checked by the functions below */
    char password_hash[PASSWORD_HASH_MAX]; /* made by auth_password_hash outside the writer */
};
RESULT auth_password_hash(struct span password, bool staff, char ret_hash[PASSWORD_HASH_MAX]);
/*
 * Entry account_created. ERR_CONFLICT "id_reused" for a used id of another mail address, "account_exists" for a used mail
 * address: also when the same request comes again, since it does not prove the password (the way on is to sign in). ERR_INVALID
 * "bad_mail", "bad_text".
 */
RESULT auth_account_create(struct store_tx *tx, const struct auth *auth,
                           const struct account_request *req, int64_t *ret_account_no);
/* Of an erased person mail and name are empty. ERR_NOT_FOUND "no_account". */
RESULT auth_account_by_no(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                          struct account *ret_account);
RESULT auth_account_by_mail(struct store_tx *tx, const struct auth *auth, struct span mail,
                            struct account *ret_account);
/* Entry account_changed("status"). Ends its sessions. Twice is fine. ERR_CONFLICT "last_owner". */
RESULT auth_account_suspend(struct store_tx *tx, const struct auth *auth, int64_t account_no);
/* Forget the failures, also those that locked it for good. Entry account_changed("unlocked"). */
RESULT auth_unlock(struct store_tx *tx, const struct auth *auth, int64_t account_no);

/* --- password sign-in, in three steps --- */
struct auth_candidate { /* what step 1 reads; step 2 needs no transaction */
    int64_t account_no; /* 0: there is none that may sign in; step 2 then spends the same time */
    bool staff;         /* which cost; chosen by the address where there is no account */
    int64_t locked_until_ms;
    char password_hash[PASSWORD_HASH_MAX];
};
RESULT auth_sign_in_find(struct store_tx *tx, const struct auth *auth, struct span mail,
                         struct auth_candidate *ret);
/* OK or ERR_UNAUTHENTICATED "sign_in_failed". Slow. */
RESULT auth_sign_in_verify(const struct auth_candidate *candidate, struct span password,
                           int64_t now_ms);
/*
 * Step 3, in the writer: counts the failure, or opens a session of level 1 (and clears the count when there is no second factor
 * yet). OK in both cases, so that the caller commits the count: ret_session->level 0 says that it is refused, and err_last()
 * holds the "sign_in_failed" to answer with. Refuses a verified password too when the account was locked or suspended since.
 */
struct session_opened {
    struct session_id id;
    char token[AUTH_TOKEN_TEXT];
    int level;
    int64_t account_no;
    int64_t expires_ms;
};
RESULT auth_sign_in_done(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                         bool verified, struct session_opened *ret_session);
/* For a fresh account (registration, owner set-up). ERR_CONFLICT "account_not_active". */
RESULT auth_session_open(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                         int level, struct session_opened *ret_session);

/* --- second factor (TOTP, RFC 6238: SHA-1, 6 digits, 30 s, one step of drift either way) --- */
struct totp_enrolment {
    char secret[40]; /* base32 of 20 bytes */
    char uri[512];   /* otpauth://totp/... */
};
/*
 * A new secret for an account without an active one; kept sealed with the account, active only once confirmed. Asked again
 * before that, it gives a new one. Entry account_changed "totp_begun". ERR_CONFLICT "totp_active".
 */
RESULT auth_totp_begin(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                       struct totp_enrolment *ret);
/*
 * The first code makes it active (entry account_changed "totp"), ends the old session, opens one of level 2 with the same absolute
 * end. ERR_UNAUTHENTICATED "code_refused" or "no_session" (not this account's, or over); ERR_CONFLICT "totp_active", "no_totp".
 */
RESULT auth_totp_confirm(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                         struct session_id session, struct span code,
                         struct session_opened *ret_session);
/*
 * Second step of a sign-in: level 1 -> a new session of level 2 with the same absolute end; of a session of level 2, a step-up.
 * When the code is refused (wrong, used before, locked) it is OK with *ret_refused, so that the caller commits the count, and
 * err_last() holds the ERR_UNAUTHENTICATED "code_refused" to answer with. ERR_UNAUTHENTICATED "no_session" when the session is
 * over or not this account's, ERR_CONFLICT "no_totp" when no factor is active.
 */
RESULT auth_totp_sign_in(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                         struct session_id session, struct span code, bool *ret_refused,
                         struct session_opened *ret_session);

/* --- sessions --- */
struct session {
    struct session_id id;
    int64_t account_no;
    int level;
    bool staff;
    int64_t created_ms; /* of the sign-in: kept when the level rises */
    int64_t seen_ms;
    int64_t stepped_up_ms; /* the last proof of the second factor; 0 at level 1 */
    int64_t expires_ms;    /* absolute; it also ends when idle */
    bool
        needs_touch; /* seen_ms is older than a minute: submit auth_session_touch when convenient */
};
/* By token, on a reader. ERR_UNAUTHENTICATED "no_session" when unknown, over, idle too long, revoked or of a suspended account. */
RESULT auth_session_find(struct store_tx *tx, struct span token, struct session *ret_session);
RESULT auth_session_touch(struct store_tx *tx, struct session_id id);
/* ERR_NOT_FOUND "no_session" for another account's. */
RESULT auth_session_end(struct store_tx *tx, int64_t account_no, struct session_id id);
/* Live ones, the last seen first. */
RESULT auth_sessions_of(struct store_tx *tx, int64_t account_no, struct session *sessions,
                        size_t max, size_t *ret_count);

/* --- one-time tokens --- */
enum one_time_kind { ONE_TIME_OWNER, ONE_TIME_INVITE, ONE_TIME_DEVICE, ONE_TIME_RESET };
/* subject: what it is good for, at most 512 bytes, the maker's format. ERR_LIMIT "too_large". */
RESULT auth_one_time_make(struct store_tx *tx, enum one_time_kind kind, struct span subject,
                          int64_t lasts_ms, char ret_token[AUTH_TOKEN_TEXT]);
/* Uses it up. ERR_EXPIRED "link_used" when unknown, used, or over; the subject goes into out. */
RESULT auth_one_time_use(struct store_tx *tx, enum one_time_kind kind, struct span token,
                         struct buf *out);
/*
 * Owner set-up: uses the token, creates the account with a staff password, grants owner, opens a session of level 1. Once: with an
 * owner there is ERR_EXPIRED "link_used", whatever the token. Else as auth_account_create.
 */
RESULT auth_owner_setup(struct store_tx *tx, const struct auth *auth, struct span token,
                        const struct account_request *req, struct session_opened *ret_session);
/* True while nobody has an owner's grant. */
RESULT auth_owner_missing(struct store_tx *tx, bool *ret_missing);

#endif
