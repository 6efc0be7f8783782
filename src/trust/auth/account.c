/* SPDX-License-Identifier: Apache-2.0 */
/* account - making, reading, suspending; the count of failures. */
#include "trust/auth/inner.h"

#include <string.h>

#include "store/store/store_access.h"

#define COLUMN_MAIL "account.mail"
#define COLUMN_NAME "account.name"

enum {
    LOCK_FIRST_MS = 30 * 1000,
    LOCK_MOST_MS = 60 * 60 * 1000,
    LOCK_DOUBLINGS_MAX = 7, /* 30 s * 2^7 is over an hour */
    SEALED_MAX = 4 * AUTH_NAME_MAX + KEYRING_SEAL_OVERHEAD,
};
_Static_assert((int)STORE_PASSWORD_HASH_MAX == (int)PASSWORD_HASH_MAX,
               "one size of a password's hash");
_Static_assert(SEALED_MAX >= AUTH_MAIL_MAX + KEYRING_SEAL_OVERHEAD, "a sealed mail address fits");

void mail_hash(const struct auth *auth, const char *mail, uint8_t ret_hash[SHA256_BYTES])
{
    keyring_lookup_hash(auth->keyring, COLUMN_MAIL, span_text(mail), ret_hash);
}

enum err account_active(struct store_tx *tx, int64_t account_no, struct account_row *ret_row)
{
    struct account_row a;

    TRY(store_account_by_no(tx, account_no, &a));
    ENSURE(a.status == ACCOUNT_ACTIVE, ERR_CONFLICT, "account_not_active",
           "The account is not active.");
    *ret_row = a;
    return OK;
}

enum err account_entry(struct store_tx *tx, const struct auth *auth, const struct account_row *a,
                       const char *what, const char *status, bool names)
{
    struct entry_draft d;

    entry_begin(&d, tx, ENTRY_account_changed, 0, 0);
    entry_person(&d, FIELD_account, a->person_no, span_of(a->id.b, ID_BYTES));
    entry_str(&d, FIELD_what, what);
    if (status)
        entry_str(&d, FIELD_status, status);
    if (names)
        entry_names(&d, AUDIT_account, a->id.b);
    return ledger_append(tx, auth->ledger, &d, NULL);
}

/* ---- failures (U6) ---- */

bool account_locked(const struct account_row *a, int64_t now_ms)
{
    return now_ms < a->locked_until_ms;
}

enum err account_count_failure(struct store_tx *tx, const struct account_row *a)
{
    int64_t failures = a->failures + 1, until_ms = 0;

    if (failures >= AUTH_FAILURES_MAX) {
        until_ms = INT64_MAX;
    } else if (failures > AUTH_FAILURES_FREE) {
        int64_t doublings = failures - AUTH_FAILURES_FREE - 1;
        int64_t wait_ms = (int64_t)LOCK_FIRST_MS
                          << (doublings < LOCK_DOUBLINGS_MAX ? doublings : LOCK_DOUBLINGS_MAX);
        until_ms = store_now_ms(tx) + (wait_ms < LOCK_MOST_MS ? wait_ms : LOCK_MOST_MS);
    }
    return store_account_failed(tx, a->no, until_ms);
}

enum err auth_unlock(struct store_tx *tx, const struct auth *auth, int64_t account_no)
{
    struct account_row a;

    TRY(account_active(tx, account_no, &a));
    TRY(store_account_cleared(tx, account_no));
    return account_entry(tx, auth, &a, "unlocked", NULL, false);
}

/* ---- making ---- */

/* The address and the id are free. */
static enum err check_new(struct store_tx *tx, const struct account_request *req,
                          const uint8_t hash[SHA256_BYTES])
{
    struct account_row by_mail = {0}, by_id = {0};

    enum err mail_used = store_account_by_mail(tx, hash, &by_mail);
    if (mail_used != ERR_NOT_FOUND)
        TRY(mail_used);
    enum err id_used = store_account_by_id(tx, req->id, &by_id);
    if (id_used != ERR_NOT_FOUND)
        TRY(id_used);
    ENSURE(id_used == ERR_NOT_FOUND || (mail_used == OK && by_mail.no == by_id.no), ERR_CONFLICT,
           "id_reused", "The id was used for another account.");
    ENSURE(mail_used == ERR_NOT_FOUND, ERR_CONFLICT, "account_exists",
           "There is an account with this address; sign in.");
    return OK;
}

enum err auth_account_create(struct store_tx *tx, const struct auth *auth,
                             const struct account_request *req, int64_t *ret_account_no)
{
    char mail[AUTH_MAIL_MAX + 1];
    uint8_t hash[SHA256_BYTES];
    struct account_new row = {.id = req->id, .password_hash = req->password_hash};
    struct entry_draft d;
    int64_t no;
    AUTO(buf_done) struct buf mail_sealed = {0};
    AUTO(buf_done) struct buf name_sealed = {0};

    buf_init(&mail_sealed, SEALED_MAX);
    buf_init(&name_sealed, SEALED_MAX);
    TRY(auth_mail_check(req->mail, mail));
    TRY(utf8_check_line(req->name, AUTH_NAME_MAX, "#/name"));
    mail_hash(auth, mail, hash);
    TRY(check_new(tx, req, hash));
    TRY(keyring_person_create(tx, auth->keyring, &row.person_no));
    TRY(keyring_seal_column(tx, auth->keyring, row.person_no, COLUMN_MAIL, span_text(mail),
                            &mail_sealed));
    TRY(keyring_seal_column(tx, auth->keyring, row.person_no, COLUMN_NAME, req->name,
                            &name_sealed));
    row.mail_hash = hash;
    row.mail_sealed = buf_span(&mail_sealed);
    row.name_sealed = buf_span(&name_sealed);
    TRY(store_account_insert(tx, &row, &no));
    entry_begin(&d, tx, ENTRY_account_created, 0, 0);
    entry_person(&d, FIELD_account, row.person_no, span_of(req->id.b, ID_BYTES));
    entry_names(&d, AUDIT_account, req->id.b);
    TRY(ledger_append(tx, auth->ledger, &d, NULL));
    *ret_account_no = no;
    return OK;
}

/* ---- reading ---- */

/* Empty when the person is erased. */
static enum err open_text(struct store_tx *tx, const struct auth *auth, int64_t person_no,
                          const char *column, struct span sealed, char *out, size_t out_size)
{
    AUTO(buf_done) struct buf plain = {0};

    out[0] = '\0';
    if (sealed.len == 0)
        return OK;
    buf_init(&plain, out_size);
    enum err e = keyring_open_column(tx, auth->keyring, person_no, column, sealed, &plain);
    if (e == ERR_EXPIRED)
        return OK;
    TRY(e);
    return span_to_text(buf_span(&plain), out, out_size);
}

static enum err read_account(struct store_tx *tx, const struct auth *auth,
                             const struct account_row *row, struct account *ret_account)
{
    struct account a = {.no = row->no,
                        .person_no = row->person_no,
                        .id = row->id,
                        .active = row->status == ACCOUNT_ACTIVE,
                        .staff = row->staff,
                        .has_totp = row->totp == TOTP_ACTIVE};
    AUTO(buf_done) struct buf mail = {0};
    AUTO(buf_done) struct buf name = {0};

    buf_init(&mail, SEALED_MAX);
    buf_init(&name, SEALED_MAX);
    TRY(store_account_sealed(tx, row->no, &mail, &name, NULL));
    TRY(open_text(tx, auth, row->person_no, COLUMN_MAIL, buf_span(&mail), a.mail, sizeof a.mail));
    TRY(open_text(tx, auth, row->person_no, COLUMN_NAME, buf_span(&name), a.name, sizeof a.name));
    *ret_account = a;
    return OK;
}

enum err auth_account_by_no(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                            struct account *ret_account)
{
    struct account_row row;

    TRY(store_account_by_no(tx, account_no, &row));
    return read_account(tx, auth, &row, ret_account);
}

enum err auth_account_by_mail(struct store_tx *tx, const struct auth *auth, struct span mail,
                              struct account *ret_account)
{
    char normal[AUTH_MAIL_MAX + 1];
    uint8_t hash[SHA256_BYTES];
    struct account_row row;

    TRY(auth_mail_check(mail, normal));
    mail_hash(auth, normal, hash);
    TRY(store_account_by_mail(tx, hash, &row));
    return read_account(tx, auth, &row, ret_account);
}

/* ---- suspending ---- */

/* Access invariant A4 again: an installation keeps an owner who can act. */
static enum err check_not_last_owner(struct store_tx *tx, int64_t account_no)
{
    static const struct grant_id any;
    int64_t with, without, lasting;

    TRY(store_grant_owners_besides(tx, store_now_ms(tx), any, 0, &with));
    TRY(store_grant_owners_besides(tx, store_now_ms(tx), any, account_no, &without));
    TRY(store_grant_owners_besides(tx, INT64_MAX, any, account_no, &lasting));
    ENSURE(with == without || lasting > 0, ERR_CONFLICT, "last_owner",
           "The last owner cannot be suspended.");
    return OK;
}

enum err auth_account_suspend(struct store_tx *tx, const struct auth *auth, int64_t account_no)
{
    struct account_row a;
    bool changed;

    TRY(store_account_by_no(tx, account_no, &a));
    if (a.status == ACCOUNT_SUSPENDED)
        return OK;
    TRY(account_active(tx, account_no, &a));
    TRY(check_not_last_owner(tx, account_no));
    TRY(store_account_set_status(tx, &a, ACCOUNT_SUSPENDED, &changed));
    TRY(store_session_end_all(tx, account_no));
    return account_entry(tx, auth, &a, "status", "suspended", true);
}
