/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_ACCESS_ACCESS_H
#define TRUST_ACCESS_ACCESS_H

/*
 * access - who may do what, where: roles, grants, permissions, and the one question every staff route asks.
 *
 * What it is: the table of permissions by role (permissions.def), grants as rows with a time and a reach, access_check, and access
 * records. What it is not: who somebody is (trust/auth), which permission a route needs (reach/api/routes.def), ownership of a
 * fan's own orders and tickets (checked where they are read).
 *
 * Invariants:
 *   A1  a grant counts while it is neither revoked nor expired and its account is active; an owner's reaches every organiser, any
 *       other exactly one, and when it names an event only that event: for the organiser as such it then permits nothing;
 *   A2  what a caller may not see is ERR_NOT_FOUND, what it may see and not do is ERR_DENIED "not_permitted";
 *   A3  nobody grants more than it has, nor for longer: organisers grant box_office, gate and auditor for themselves, owners
 *       grant all;
 *   A4  the last owner's grant cannot be revoked (ERR_CONFLICT "last_owner"); grants with an end do not count as another.
 */
#include "trust/ledger/ledger.h"

enum role { ROLE_OWNER, ROLE_ORGANISER, ROLE_BOX_OFFICE, ROLE_GATE, ROLE_AUDITOR, ROLE_COUNT };

enum permission {
    PERMISSION_none, /* the route asks for none */
#define PERMISSION(name, ...) PERMISSION_##name,
#include "trust/access/permissions.def"
#undef PERMISSION
    PERMISSION_COUNT
};

const char *role_name(enum role role);                    /* "box_office" */
RESULT role_parse(struct span text, enum role *ret_role); /* ERR_INVALID "bad_role" */
const char *permission_name(enum permission p);
bool role_may(enum role role, enum permission p); /* PERMISSION_none: nobody */

enum { ACCESS_GRANTS_MAX = 64 };

struct access_grant {
    struct grant_id id;
    int64_t account_no;
    int64_t organiser_no; /* 0: the installation (owner) */
    int64_t event_no;     /* 0: all of the organiser */
    enum role role;
    int64_t created_ms, expires_ms, revoked_ms; /* 0: none */
};

/* The grants of a signed-in account that count at now; loaded once a request. */
struct access {
    int64_t account_no;
    size_t count;
    struct access_grant grants[ACCESS_GRANTS_MAX];
};
RESULT access_load(struct store_tx *tx, int64_t account_no, struct access *ret_access);
/* Has any grant that counts: is staff. */
bool access_is_staff(const struct access *a);
/*
 * May it do this for the organiser (and event, 0 for none in particular)? OK, ERR_NOT_FOUND "not_found" when it has no grant that
 * reaches there at all, ERR_DENIED "not_permitted" when it has but none that permits.
 */
RESULT access_check(const struct access *a, enum permission p, int64_t organiser_no,
                    int64_t event_no);
/* The organisers it can see; owner: *ret_all true. */
RESULT access_organisers(const struct access *a, int64_t *organiser_nos, size_t max,
                         size_t *ret_count, bool *ret_all);

struct grant_request {
    struct grant_id id;
    int64_t
        account_no; /* who gets it; must be active and have a second factor (ERR_CONFLICT "no_second_factor") */
    int64_t organiser_no, event_no;
    enum role role;
    int64_t expires_ms; /* 0: none */
};
/*
 * By an account with grants, or by NULL: the installation itself (first owner, demonstration, admin CLI), which may grant before
 * there is a second factor. The account becomes staff, and stays it. Entry grant_given; the same request again changes nothing.
 * Expected failures: those of access_check; ERR_DENIED "not_permitted" by A3; ERR_NOT_FOUND for an unknown account, organiser or
 * event; ERR_INVALID "bad_grant" (an owner of one organiser, another role of none, an end that is past); ERR_CONFLICT
 * "account_not_active", "no_second_factor", "id_reused"; ERR_LIMIT "too_many_grants".
 */
RESULT access_grant_give(struct store_tx *tx, struct ledger *ledger, const struct access *by,
                         const struct grant_request *req);
/*
 * Entry grant_revoked; a revoked one again changes nothing. ERR_NOT_FOUND when the caller may not see it (grants_read), then
 * ERR_DENIED "not_permitted", ERR_CONFLICT "last_owner".
 */
RESULT access_grant_revoke(struct store_tx *tx, struct ledger *ledger, const struct access *by,
                           struct grant_id id);
/* Grants of an organiser (0: of the installation), newest first, live ones only. */
RESULT access_grants_of(struct store_tx *tx, int64_t organiser_no, struct access_grant *grants,
                        size_t max, size_t *ret_count);

#endif
