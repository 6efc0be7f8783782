/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/access/access.h"

#include <string.h>

#include "store/store/store_access.h"
#include "store/store/store_auth.h"

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_OWNER] = "owner", [ROLE_ORGANISER] = "organiser", [ROLE_BOX_OFFICE] = "box_office",
    [ROLE_GATE] = "gate",   [ROLE_AUDITOR] = "auditor",
};

static const struct {
    const char *name;
    bool may[ROLE_COUNT];
} permissions[PERMISSION_COUNT] = {
    [PERMISSION_none] = {"none", {false}},
#define PERMISSION(name, ...) [PERMISSION_##name] = {#name, {__VA_ARGS__}},
#include "trust/access/permissions.def"
#undef PERMISSION
};

const char *role_name(enum role role)
{
    return role_names[role];
}

enum err role_parse(struct span text, enum role *ret_role)
{
    for (size_t r = 0; r < ROLE_COUNT; r++)
        if (span_eq_text(text, role_names[r])) {
            *ret_role = (enum role)r;
            return OK;
        }
    FAIL(ERR_INVALID, "bad_role", "There is no such role.");
}

const char *permission_name(enum permission p)
{
    return permissions[p].name;
}

bool role_may(enum role role, enum permission p)
{
    return permissions[p].may[role];
}

/* ---- the question ---- */

static enum err grant_of_row(const struct grant_row *row, struct access_grant *ret_grant)
{
    struct access_grant g = {.id = row->id,
                             .account_no = row->account_no,
                             .organiser_no = row->organiser_no,
                             .event_no = row->event_no,
                             .created_ms = row->created_ms,
                             .expires_ms = row->expires_ms,
                             .revoked_ms = row->revoked_ms};

    TRY(role_parse(span_text(row->role), &g.role));
    ENSURE((g.role == ROLE_OWNER) == (g.organiser_no == 0), ERR_CORRUPT, "bad_row",
           "A grant of a role for the wrong reach.");
    *ret_grant = g;
    return OK;
}

enum err access_load(struct store_tx *tx, int64_t account_no, struct access *ret_access)
{
    struct grant_row rows[ACCESS_GRANTS_MAX];
    size_t count;

    TRY(store_grants_by_account(tx, account_no, rows, COUNT_OF(rows), &count));
    for (size_t i = 0; i < count; i++)
        TRY(grant_of_row(&rows[i], &ret_access->grants[i]));
    ret_access->account_no = account_no;
    ret_access->count = count;
    return OK;
}

bool access_is_staff(const struct access *a)
{
    return a->count > 0;
}

/* May know of the organiser (and of the event). */
static bool grant_sees(const struct access_grant *g, int64_t organiser_no, int64_t event_no)
{
    if (g->role == ROLE_OWNER)
        return true;
    return organiser_no != 0 && g->organiser_no == organiser_no &&
           (event_no == 0 || g->event_no == 0 || g->event_no == event_no);
}

static bool grant_permits(const struct access_grant *g, enum permission p, int64_t organiser_no,
                          int64_t event_no)
{
    return grant_sees(g, organiser_no, event_no) && (g->event_no == 0 || g->event_no == event_no) &&
           role_may(g->role, p);
}

enum err access_check(const struct access *a, enum permission p, int64_t organiser_no,
                      int64_t event_no)
{
    bool sees = false;

    for (size_t i = 0; i < a->count; i++) {
        if (grant_permits(&a->grants[i], p, organiser_no, event_no))
            return OK;
        sees = sees || grant_sees(&a->grants[i], organiser_no, event_no);
    }
    ENSURE(sees, ERR_NOT_FOUND, "not_found", "There is no such thing.");
    FAIL(ERR_DENIED, "not_permitted", "This needs the permission %s.", permission_name(p));
}

enum err access_organisers(const struct access *a, int64_t *organiser_nos, size_t max,
                           size_t *ret_count, bool *ret_all)
{
    size_t n = 0;
    bool all = false;

    for (size_t i = 0; i < a->count; i++) {
        size_t known = 0;

        if (a->grants[i].role == ROLE_OWNER) {
            all = true;
            continue;
        }
        while (known < n && organiser_nos[known] != a->grants[i].organiser_no)
            known++;
        if (known < n)
            continue;
        ENSURE(n < max, ERR_LIMIT, "too_many_organisers", "More than %zu organisers.", max);
        organiser_nos[n++] = a->grants[i].organiser_no;
    }
    *ret_count = n;
    *ret_all = all;
    return OK;
}

/* ---- giving and taking ---- */

/* What A3 lets a role hand on. */
static bool role_may_grant(enum role by, enum role role)
{
    if (by == ROLE_OWNER)
        return true;
    return by == ROLE_ORGANISER && role != ROLE_OWNER && role != ROLE_ORGANISER;
}

/* Has by one grant that permits handing this on: reach, role and (0: without end) time? */
static bool may_hand_on(const struct access *by, enum role role, int64_t organiser_no,
                        int64_t event_no, int64_t expires_ms)
{
    for (size_t i = 0; i < by->count; i++) {
        const struct access_grant *g = &by->grants[i];
        if (grant_permits(g, PERMISSION_grants_write, organiser_no, event_no) &&
            role_may_grant(g->role, role) &&
            (g->expires_ms == 0 || (expires_ms != 0 && expires_ms <= g->expires_ms)))
            return true;
    }
    return false;
}

static enum err check_authority(const struct access *by, const struct grant_request *req)
{
    if (!by)
        return OK;
    TRY(access_check(by, PERMISSION_grants_write, req->organiser_no, req->event_no));
    ENSURE(may_hand_on(by, req->role, req->organiser_no, req->event_no, req->expires_ms),
           ERR_DENIED, "not_permitted", "Nobody grants more than it has, nor for longer.");
    return OK;
}

static enum err check_request(struct store_tx *tx, const struct grant_request *req)
{
    bool exists = true;

    if (req->role == ROLE_OWNER)
        ENSURE(req->organiser_no == 0 && req->event_no == 0, ERR_INVALID, "bad_grant",
               "An owner's grant is for the whole installation.");
    else
        ENSURE(req->organiser_no != 0, ERR_INVALID, "bad_grant",
               "This role is granted for one organiser.");
    ENSURE(req->expires_ms == 0 || req->expires_ms > store_now_ms(tx), ERR_INVALID, "bad_grant",
           "The end of the grant is past.");
    if (req->role != ROLE_OWNER)
        TRY(store_grant_place_exists(tx, req->organiser_no, req->event_no, &exists));
    ENSURE(exists, ERR_NOT_FOUND, "not_found", "There is no such organiser or event.");
    return OK;
}

static bool same_grant(const struct grant_row *row, const struct grant_request *req)
{
    return row->account_no == req->account_no && row->organiser_no == req->organiser_no &&
           row->event_no == req->event_no && row->expires_ms == req->expires_ms &&
           strcmp(row->role, role_name(req->role)) == 0;
}

/* Who did it; nobody for the installation itself. */
static enum err entry_actor(struct store_tx *tx, struct entry_draft *d, const struct access *by)
{
    struct account_row actor;

    if (!by)
        return OK;
    TRY(store_account_by_no(tx, by->account_no, &actor));
    entry_person(d, FIELD_actor, actor.person_no, span_of(actor.id.b, ID_BYTES));
    return OK;
}

static enum err give(struct store_tx *tx, struct ledger *ledger, const struct access *by,
                     const struct grant_request *req, const struct account_row *account)
{
    struct grant_row row = {.id = req->id,
                            .account_no = req->account_no,
                            .organiser_no = req->organiser_no,
                            .event_no = req->event_no,
                            .granted_by = by ? by->account_no : 0,
                            .expires_ms = req->expires_ms};
    struct entry_draft d;
    bool changed;

    (void)snprintf(row.role, sizeof row.role, "%s", role_name(req->role));
    TRY(store_grant_insert(tx, &row));
    TRY(store_grant_set_staff(tx, account, &changed));
    entry_begin(&d, tx, ENTRY_grant_given, req->organiser_no, req->event_no);
    entry_id(&d, FIELD_grant, req->id.b);
    entry_person(&d, FIELD_account, account->person_no, span_of(account->id.b, ID_BYTES));
    entry_str(&d, FIELD_role, row.role);
    if (req->expires_ms != 0)
        entry_int(&d, FIELD_expires_ms, req->expires_ms);
    TRY(entry_actor(tx, &d, by));
    entry_names(&d, AUDIT_role_grant, req->id.b);
    if (changed)
        entry_names(&d, AUDIT_account, account->id.b);
    return ledger_append(tx, ledger, &d, NULL);
}

/* ret_known: this grant is there already, as asked for. */
static enum err check_repeat(struct store_tx *tx, const struct grant_request *req, bool *ret_known)
{
    struct grant_row row;
    enum err e = store_grant_by_id(tx, req->id, &row);

    if (e == ERR_NOT_FOUND) {
        *ret_known = false;
        return OK;
    }
    TRY(e);
    ENSURE(same_grant(&row, req), ERR_CONFLICT, "id_reused", "The id was used for another grant.");
    *ret_known = true;
    return OK;
}

enum err access_grant_give(struct store_tx *tx, struct ledger *ledger, const struct access *by,
                           const struct grant_request *req)
{
    struct grant_row rows[ACCESS_GRANTS_MAX];
    struct account_row account;
    size_t count;
    bool known;

    TRY(check_authority(by, req));
    TRY(check_repeat(tx, req, &known));
    if (known)
        return OK;
    TRY(check_request(tx, req));
    enum err e = store_account_by_no(tx, req->account_no, &account);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such account.");
    TRY(e);
    ENSURE(account.status == ACCOUNT_ACTIVE, ERR_CONFLICT, "account_not_active",
           "The account is not active.");
    ENSURE(!by || account.totp == TOTP_ACTIVE, ERR_CONFLICT, "no_second_factor",
           "The account needs a second factor before it can be given a role.");
    TRY(store_grants_by_account(tx, req->account_no, rows, COUNT_OF(rows), &count));
    ENSURE(count < ACCESS_GRANTS_MAX, ERR_LIMIT, "too_many_grants",
           "An account has at most %d roles.", ACCESS_GRANTS_MAX);
    return give(tx, ledger, by, req, &account);
}

static enum err check_revoke(struct store_tx *tx, const struct access *by,
                             const struct access_grant *g)
{
    int64_t others;

    if (by) {
        if (access_check(by, PERMISSION_grants_read, g->organiser_no, g->event_no) != OK)
            FAIL(ERR_NOT_FOUND, "not_found", "There is no such grant.");
        TRY(access_check(by, PERMISSION_grants_write, g->organiser_no, g->event_no));
        /* A grant's own end does not matter: ending is not handing on. */
        ENSURE(may_hand_on(by, g->role, g->organiser_no, g->event_no, 1), ERR_DENIED,
               "not_permitted", "Nobody revokes what it could not grant.");
    }
    if (g->role != ROLE_OWNER || g->revoked_ms != 0)
        return OK;
    TRY(store_grant_owners_besides(tx, INT64_MAX, g->id, 0, &others));
    ENSURE(others > 0, ERR_CONFLICT, "last_owner",
           "The last owner without an end cannot be revoked.");
    return OK;
}

enum err access_grant_revoke(struct store_tx *tx, struct ledger *ledger, const struct access *by,
                             struct grant_id id)
{
    struct grant_row row;
    struct access_grant g;
    struct account_row account;
    struct entry_draft d;
    bool revoked;

    enum err e = store_grant_by_id(tx, id, &row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such grant.");
    TRY(e);
    TRY(grant_of_row(&row, &g));
    TRY(check_revoke(tx, by, &g));
    TRY(store_grant_revoke(tx, &row, &revoked));
    if (!revoked)
        return OK;
    TRY(store_account_by_no(tx, g.account_no, &account));
    entry_begin(&d, tx, ENTRY_grant_revoked, g.organiser_no, g.event_no);
    entry_id(&d, FIELD_grant, id.b);
    entry_str(&d, FIELD_role, row.role);
    if (account.status != ACCOUNT_ERASED)
        entry_person(&d, FIELD_account, account.person_no, span_of(account.id.b, ID_BYTES));
    TRY(entry_actor(tx, &d, by));
    entry_names(&d, AUDIT_role_grant, id.b);
    return ledger_append(tx, ledger, &d, NULL);
}

struct collecting {
    struct access_grant *grants;
    size_t count;
};

static enum err collect(void *context, const struct grant_row *row)
{
    struct collecting *c = context;

    TRY(grant_of_row(row, &c->grants[c->count]));
    c->count++;
    return OK;
}

enum err access_grants_of(struct store_tx *tx, int64_t organiser_no, struct access_grant *grants,
                          size_t max, size_t *ret_count)
{
    struct collecting c = {.grants = grants};

    TRY(store_grants_by_organiser(tx, organiser_no, max, collect, &c));
    *ret_count = c.count;
    return OK;
}
