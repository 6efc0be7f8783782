/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: the matrix against its snapshot, tenants apart from each other, and nobody granting more than it has. */
#include "trust/access/access.h"

#include <stdlib.h>

#include "trust/ledger/test_fixture.h"

/*
 * Organisers 1 and 2, each with an event of its number; accounts 1 to 9, active, with a second factor but for 8 (none) and
 * 9 (suspended).
 */
enum { NO_FACTOR = 8, SUSPENDED = 9 };

static enum err persons(struct store_tx *tx, void *context)
{
    int64_t no;
    (void)context;
    for (int i = 1; i <= 9; i++)
        TRY(keyring_person_create(tx, f.keyring, &no));
    return OK;
}

static int open_all(void **state)
{
    char sql[1024];

    (void)fixture_open(state);
    assert_int_equal(store_testing_run(&f.t, persons, NULL), OK);
    for (int i = 1; i <= 9; i++) {
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO account (id, person_no, totp_sealed, status, created_ms) VALUES "
            "(x'%032x', %d, %s, '%s', 1)",
            i, i, i == NO_FACTOR ? "x'0100'" : "x'0200'", i == SUSPENDED ? "suspended" : "active");
        store_testing_sql(&f.t, sql);
    }
    for (int i = 1; i <= 2; i++) {
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO organiser (id, name, slug, created_ms) VALUES (x'%032x', 'O', 'o%d', 1)",
            i, i);
        store_testing_sql(&f.t, sql);
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO event (id, organiser_no, venue_no, plan_no, name, description, "
                       "time_zone, currency, "
                       "starts_ms, ends_ms, doors_ms, sale_from_ms, sale_until_ms, status, "
                       "per_order_max, entries_max, "
                       "capacity, created_ms) VALUES (x'%032x', %d, 1, 1, 'E', '', 'UTC', 'EUR', "
                       "2, 3, 1, 1, 2, 'draft', "
                       "1, 1, 1, 1)",
                       i, i);
        store_testing_sql(&f.t, sql);
    }
    return 0;
}

struct ask {
    bool by_installation;
    struct access by;
    struct grant_request req;
    int64_t account_no, organiser_no;
    struct grant_id id;
    struct access loaded;
    struct access_grant list[80];
    size_t max, count;
};

static enum err do_give(struct store_tx *tx, void *context)
{
    struct ask *a = context;
    return access_grant_give(tx, f.ledger, a->by_installation ? NULL : &a->by, &a->req);
}
static enum err do_revoke(struct store_tx *tx, void *context)
{
    struct ask *a = context;
    return access_grant_revoke(tx, f.ledger, a->by_installation ? NULL : &a->by, a->id);
}
static enum err do_load(struct store_tx *tx, void *context)
{
    struct ask *a = context;
    return access_load(tx, a->account_no, &a->loaded);
}
static enum err do_list(struct store_tx *tx, void *context)
{
    struct ask *a = context;
    return access_grants_of(tx, a->organiser_no, a->list, a->max, &a->count);
}

static struct ask ask; /* large */
static uint8_t next_id = 1;

static struct access load(int64_t account_no)
{
    ask.account_no = account_no;
    assert_int_equal(store_testing_read(&f.t, do_load, &ask), OK);
    return ask.loaded;
}

static enum err give(int64_t by, int64_t to, enum role role, int64_t organiser_no, int64_t event_no,
                     int64_t expires_ms)
{
    ask.by_installation = by == 0;
    if (by != 0)
        ask.by = load(by);
    ask.req = (struct grant_request){.id.b = {next_id++},
                                     .account_no = to,
                                     .organiser_no = organiser_no,
                                     .event_no = event_no,
                                     .role = role,
                                     .expires_ms = expires_ms};
    return store_testing_run(&f.t, do_give, &ask);
}

static struct grant_id given(int64_t to, enum role role, int64_t organiser_no, int64_t event_no)
{
    assert_int_equal(give(0, to, role, organiser_no, event_no, 0), OK);
    return ask.req.id;
}

static enum err revoke(int64_t by, struct grant_id id)
{
    ask.by_installation = by == 0;
    if (by != 0)
        ask.by = load(by);
    ask.id = id;
    return store_testing_run(&f.t, do_revoke, &ask);
}

#define assert_slug(code, expected, slug_)                                                         \
    do {                                                                                           \
        assert_int_equal((code), (expected));                                                      \
        assert_string_equal(err_last()->slug, (slug_));                                            \
    } while (0)

static void check(int64_t account_no, enum permission p, int64_t organiser_no, int64_t event_no,
                  enum err expected)
{
    struct access a = load(account_no);
    enum err e = access_check(&a, p, organiser_no, event_no);

    if (e != expected)
        fail_msg("account %d, %s, organiser %d, event %d: %s", (int)account_no, permission_name(p),
                 (int)organiser_no, (int)event_no, err_name(e));
    if (e == ERR_NOT_FOUND)
        assert_string_equal(err_last()->slug, "not_found");
    if (e == ERR_DENIED)
        assert_string_equal(err_last()->slug, "not_permitted");
}

/* Account 1 + role has the role (for organiser 1). What it may do in its own, at its event, elsewhere, as the installation. */
static void matrix(struct buf *out)
{
    static const struct {
        const char *name;
        int64_t organiser_no, event_no;
    } places[] = {{"own", 1, 0}, {"event", 1, 1}, {"other", 2, 0}, {"installation", 0, 0}};

    for (int r = 0; r < ROLE_COUNT; r++)
        (void)given(1 + r, (enum role)r, r == ROLE_OWNER ? 0 : 1, 0);
    for (int p = PERMISSION_none + 1; p < PERMISSION_COUNT; p++)
        for (int r = 0; r < ROLE_COUNT; r++) {
            struct access a = load(1 + r);
            buf_printf(out, "%s %s:", permission_name((enum permission)p), role_name((enum role)r));
            for (size_t i = 0; i < COUNT_OF(places); i++) {
                enum err e = access_check(&a, (enum permission)p, places[i].organiser_no,
                                          places[i].event_no);
                buf_printf(out, " %s=%s", places[i].name, e == OK ? "yes" : err_name(e));
            }
            buf_put_text(out, "\n");
        }
}

static void the_matrix_is_the_committed_one(void **state)
{
    AUTO(buf_done) struct buf now = {0};
    AUTO(buf_done) struct buf then = {0};
    struct disk disk;

    (void)state;
    buf_init(&now, 1 << 20);
    buf_init(&then, 1 << 20);
    matrix(&now);
    assert_int_equal(disk_open(SNAPSHOT_DIR, &disk), OK);
    /* After a wanted change: GATEHOUSE_SNAPSHOT=write, then read the difference before committing it. */
    const char *mode = getenv("GATEHOUSE_SNAPSHOT");
    if (mode && strcmp(mode, "write") == 0)
        assert_int_equal(disk.replace(disk.self, "permissions.txt", buf_span(&now), 0644), OK);
    assert_int_equal(disk.read(disk.self, "permissions.txt", &then), OK);
    disk_close(&disk);
    assert_string_equal(buf_text(&now), buf_text(&then));
}

static void names_are_read_back(void **state)
{
    enum role role;

    (void)state;
    for (int r = 0; r < ROLE_COUNT; r++) {
        assert_int_equal(role_parse(span_text(role_name((enum role)r)), &role), OK);
        assert_int_equal(role, r);
        assert_false(role_may(role, PERMISSION_none));
    }
    assert_slug(role_parse(SPAN_LIT("Owner"), &role), ERR_INVALID, "bad_role");
    assert_slug(role_parse(SPAN_LIT(""), &role), ERR_INVALID, "bad_role");
}

static void tenants_do_not_see_each_other(void **state)
{
    (void)state;
    (void)given(2, ROLE_ORGANISER, 1, 0);
    (void)given(3, ROLE_GATE, 2, 0);
    for (int p = 1; p < PERMISSION_COUNT; p++) {
        bool organiser = role_may(ROLE_ORGANISER, (enum permission)p);
        bool gate = role_may(ROLE_GATE, (enum permission)p);
        check(2, (enum permission)p, 1, 0, organiser ? OK : ERR_DENIED);
        check(2, (enum permission)p, 2, 0, ERR_NOT_FOUND);
        check(2, (enum permission)p, 2, 2, ERR_NOT_FOUND);
        check(2, (enum permission)p, 0, 0, ERR_NOT_FOUND);
        check(3, (enum permission)p, 2, 2, gate ? OK : ERR_DENIED);
        check(3, (enum permission)p, 1, 0, ERR_NOT_FOUND);
        check(4, (enum permission)p, 1, 0, ERR_NOT_FOUND); /* a fan */
    }
}

static void a_grant_for_one_event_is_for_that_event(void **state)
{
    (void)state;
    (void)given(2, ROLE_GATE, 1, 1);
    check(2, PERMISSION_scans_read, 1, 1, OK);
    check(2, PERMISSION_orders_read, 1, 1, ERR_DENIED);
    check(2, PERMISSION_scans_read, 1, 7, ERR_NOT_FOUND);
    check(2, PERMISSION_scans_read, 1, 0, ERR_DENIED);
    check(2, PERMISSION_scans_read, 2, 1, ERR_NOT_FOUND);
    (void)given(2, ROLE_BOX_OFFICE, 1, 0);
    check(2, PERMISSION_orders_read, 1, 7, OK);
    check(2, PERMISSION_scans_read, 1, 7, ERR_DENIED);
}

static void a_grant_counts_until_its_end_or_its_revocation(void **state)
{
    (void)state;
    assert_int_equal(give(0, 2, ROLE_GATE, 1, 0, STORE_TESTING_NOW_MS + 1000), OK);
    struct grant_id id = given(3, ROLE_GATE, 1, 0);
    clock_fixed_set(&f.t.clock, STORE_TESTING_NOW_MS + 999);
    check(2, PERMISSION_scans_read, 1, 0, OK);
    clock_fixed_set(&f.t.clock, STORE_TESTING_NOW_MS + 1000);
    check(2, PERMISSION_scans_read, 1, 0, ERR_NOT_FOUND);
    struct access a = load(2);
    assert_false(access_is_staff(&a));
    a = load(3);
    assert_true(access_is_staff(&a));
    assert_int_equal(revoke(0, id), OK);
    check(3, PERMISSION_scans_read, 1, 0, ERR_NOT_FOUND);
    assert_int_equal(revoke(0, id), OK); /* again */
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 63"), 1);
    (void)given(4, ROLE_GATE, 1, 0);
    store_testing_sql(&f.t, "UPDATE account SET status = 'suspended' WHERE account_no = 4");
    check(4, PERMISSION_scans_read, 1, 0, ERR_NOT_FOUND);
}

static void nobody_grants_more_than_it_has(void **state)
{
    (void)state;
    (void)given(1, ROLE_OWNER, 0, 0);
    (void)given(2, ROLE_ORGANISER, 1, 0);
    (void)given(3, ROLE_BOX_OFFICE, 1, 0);
    (void)given(4, ROLE_AUDITOR, 1, 0);
    for (int r = 0; r < ROLE_COUNT; r++) {
        enum role role = (enum role)r;
        int64_t organiser_no = role == ROLE_OWNER ? 0 : 1, other = role == ROLE_OWNER ? 0 : 2;
        bool lower = role != ROLE_OWNER && role != ROLE_ORGANISER;
        enum err unseen = role == ROLE_OWNER ? ERR_NOT_FOUND : ERR_DENIED;

        assert_int_equal(give(1, 5, role, organiser_no, 0, 0), OK);
        assert_int_equal(give(1, 5, role, other, 0, 0), OK);
        assert_int_equal(give(2, 5, role, organiser_no, 0, 0), lower ? OK : unseen);
        assert_int_equal(give(2, 5, role, other, 0, 0), ERR_NOT_FOUND);
        assert_int_equal(give(3, 5, role, organiser_no, 0, 0), unseen);
        assert_int_equal(give(4, 5, role, organiser_no, 0, 0), unseen);
        assert_int_equal(give(6, 5, role, organiser_no, 0, 0), ERR_NOT_FOUND); /* a fan */
        assert_int_equal(give(6, 6, role, organiser_no, 0, 0), ERR_NOT_FOUND); /* to itself */
    }
    assert_slug(give(2, 2, ROLE_ORGANISER, 1, 0, 0), ERR_DENIED, "not_permitted");
}

static void nobody_grants_for_longer_or_wider_than_it_has(void **state)
{
    int64_t end = STORE_TESTING_NOW_MS + 1000;

    (void)state;
    assert_int_equal(give(0, 2, ROLE_ORGANISER, 1, 0, end), OK);
    assert_slug(give(2, 5, ROLE_GATE, 1, 0, 0), ERR_DENIED, "not_permitted");
    assert_slug(give(2, 5, ROLE_GATE, 1, 0, end + 1), ERR_DENIED, "not_permitted");
    assert_int_equal(give(2, 5, ROLE_GATE, 1, 0, end), OK);
    (void)given(3, ROLE_ORGANISER, 1, 1);
    assert_int_equal(give(3, 6, ROLE_GATE, 1, 1, 0), OK);
    assert_slug(give(3, 6, ROLE_GATE, 1, 0, 0), ERR_DENIED, "not_permitted");
}

static void a_grant_needs_somebody_with_a_second_factor_and_something_that_exists(void **state)
{
    (void)state;
    (void)given(1, ROLE_OWNER, 0, 0);
    assert_slug(give(1, NO_FACTOR, ROLE_GATE, 1, 0, 0), ERR_CONFLICT, "no_second_factor");
    assert_slug(give(1, SUSPENDED, ROLE_GATE, 1, 0, 0), ERR_CONFLICT, "account_not_active");
    assert_slug(give(0, SUSPENDED, ROLE_GATE, 1, 0, 0), ERR_CONFLICT, "account_not_active");
    assert_slug(give(1, 77, ROLE_GATE, 1, 0, 0), ERR_NOT_FOUND, "not_found");
    assert_slug(give(1, 5, ROLE_GATE, 3, 0, 0), ERR_NOT_FOUND, "not_found");
    assert_slug(give(1, 5, ROLE_GATE, 1, 2, 0), ERR_NOT_FOUND, "not_found"); /* another's event */
    assert_slug(give(1, 5, ROLE_GATE, 1, 9, 0), ERR_NOT_FOUND, "not_found");
    assert_slug(give(1, 5, ROLE_GATE, 0, 0, 0), ERR_INVALID, "bad_grant");
    assert_slug(give(1, 5, ROLE_OWNER, 1, 0, 0), ERR_INVALID, "bad_grant");
    assert_slug(give(1, 5, ROLE_OWNER, 0, 1, 0), ERR_INVALID, "bad_grant");
    assert_slug(give(1, 5, ROLE_GATE, 1, 0, STORE_TESTING_NOW_MS), ERR_INVALID, "bad_grant");
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM role_grant"), 1);
    assert_int_equal(give(0, NO_FACTOR, ROLE_GATE, 1, 1, 0), OK); /* the installation itself */
}

static void a_grant_is_entered_with_its_rows_and_makes_staff(void **state)
{
    struct grant_request first;

    (void)state;
    (void)given(1, ROLE_OWNER, 0, 0);
    assert_int_equal(store_testing_number(&f.t, "SELECT sum(staff) FROM account"), 1);
    assert_int_equal(give(1, 5, ROLE_GATE, 1, 1, 0), OK);
    first = ask.req;
    assert_int_equal(store_testing_number(&f.t, "SELECT staff FROM account WHERE account_no = 5"),
                     1);
    assert_int_equal(
        store_testing_number(&f.t, "SELECT granted_by FROM role_grant WHERE account_no = 5"), 1);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 62"), 2);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 62 AND "
                                                "organiser_no = 1 AND event_no = 1"),
                     1);
    /* The same request again, and the same id for another. */
    assert_int_equal(store_testing_run(&f.t, do_give, &ask), OK);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry"), 2);
    ask.req.event_no = 0;
    assert_slug(store_testing_run(&f.t, do_give, &ask), ERR_CONFLICT, "id_reused");
    ask.req = first;
    ask.req.account_no = 6;
    assert_slug(store_testing_run(&f.t, do_give, &ask), ERR_CONFLICT, "id_reused");
}

static void revoking_needs_sight_and_permission(void **state)
{
    (void)state;
    struct grant_id owner = given(1, ROLE_OWNER, 0, 0), organiser = given(2, ROLE_ORGANISER, 1, 0);
    struct grant_id gate = given(3, ROLE_GATE, 1, 0), unknown = {.b = {0xee}};
    (void)given(4, ROLE_AUDITOR, 1, 0);
    (void)given(5, ROLE_ORGANISER, 2, 0);
    (void)given(6, ROLE_ORGANISER, 1, 0);
    assert_slug(revoke(5, gate), ERR_NOT_FOUND, "not_found"); /* another tenant */
    assert_slug(revoke(7, gate), ERR_NOT_FOUND, "not_found"); /* a fan */
    assert_slug(revoke(3, gate), ERR_NOT_FOUND, "not_found"); /* may not read grants */
    assert_slug(revoke(4, gate), ERR_DENIED, "not_permitted");
    assert_slug(revoke(6, organiser), ERR_DENIED, "not_permitted");
    assert_slug(revoke(6, owner), ERR_NOT_FOUND, "not_found");
    assert_slug(revoke(1, unknown), ERR_NOT_FOUND, "not_found");
    assert_slug(revoke(0, unknown), ERR_NOT_FOUND, "not_found");
    check(3, PERMISSION_scans_read, 1, 0, OK);
    assert_int_equal(revoke(6, gate), OK);
    check(3, PERMISSION_scans_read, 1, 0, ERR_NOT_FOUND);
    assert_int_equal(revoke(1, organiser), OK);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 63"), 2);
}

static void the_last_owner_stays(void **state)
{
    (void)state;
    struct grant_id first = given(1, ROLE_OWNER, 0, 0);
    assert_slug(revoke(1, first), ERR_CONFLICT, "last_owner");
    assert_slug(revoke(0, first), ERR_CONFLICT, "last_owner");
    assert_int_equal(give(1, 2, ROLE_OWNER, 0, 0, STORE_TESTING_NOW_MS + 1000), OK);
    struct grant_id temporary = ask.req.id;
    assert_slug(revoke(1, first), ERR_CONFLICT, "last_owner");
    assert_int_equal(revoke(1, temporary), OK);
    struct grant_id second = given(3, ROLE_OWNER, 0, 0);
    store_testing_sql(&f.t, "UPDATE account SET status = 'suspended' WHERE account_no = 3");
    assert_slug(revoke(1, first), ERR_CONFLICT, "last_owner");
    store_testing_sql(&f.t, "UPDATE account SET status = 'active' WHERE account_no = 3");
    assert_int_equal(revoke(3, first), OK);
    assert_slug(revoke(3, second), ERR_CONFLICT, "last_owner");
}

static void lists_are_of_one_organiser_newest_first(void **state)
{
    int64_t nos[2];
    bool all;
    size_t n;

    (void)state;
    (void)given(1, ROLE_OWNER, 0, 0);
    struct grant_id old = given(2, ROLE_GATE, 1, 0);
    clock_fixed_set(&f.t.clock, STORE_TESTING_NOW_MS + 1);
    struct grant_id young = given(3, ROLE_GATE, 1, 0);
    (void)given(2, ROLE_BOX_OFFICE, 2, 0);
    struct grant_id gone = given(4, ROLE_GATE, 1, 0);
    assert_int_equal(revoke(0, gone), OK);
    ask.organiser_no = 1;
    ask.max = COUNT_OF(ask.list);
    assert_int_equal(store_testing_read(&f.t, do_list, &ask), OK);
    assert_int_equal(ask.count, 2);
    assert_true(grant_id_eq(ask.list[0].id, young));
    assert_true(grant_id_eq(ask.list[1].id, old));
    assert_int_equal(ask.list[1].role, ROLE_GATE);
    ask.max = 1;
    assert_int_equal(store_testing_read(&f.t, do_list, &ask), OK);
    assert_int_equal(ask.count, 1);
    ask.organiser_no = 0;
    assert_int_equal(store_testing_read(&f.t, do_list, &ask), OK);
    assert_int_equal(ask.count, 1);
    assert_int_equal(ask.list[0].role, ROLE_OWNER);
    (void)given(2, ROLE_AUDITOR, 1, 0);
    struct access a = load(2);
    assert_int_equal(access_organisers(&a, nos, 2, &n, &all), OK);
    assert_int_equal(n, 2);
    assert_int_equal(nos[0] + nos[1], 3);
    assert_false(all);
    assert_slug(access_organisers(&a, nos, 1, &n, &all), ERR_LIMIT, "too_many_organisers");
    a = load(1);
    assert_int_equal(access_organisers(&a, nos, 0, &n, &all), OK);
    assert_true(all && n == 0);
}

static void an_account_has_a_bounded_number_of_grants(void **state)
{
    (void)state;
    for (int i = 0; i < ACCESS_GRANTS_MAX; i++)
        (void)given(2, ROLE_GATE, 1, 0);
    assert_slug(give(0, 2, ROLE_GATE, 1, 0, 0), ERR_LIMIT, "too_many_grants");
    struct access a = load(2);
    assert_int_equal(a.count, ACCESS_GRANTS_MAX);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, open_all, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_matrix_is_the_committed_one),
        TEST(names_are_read_back),
        TEST(tenants_do_not_see_each_other),
        TEST(a_grant_for_one_event_is_for_that_event),
        TEST(a_grant_counts_until_its_end_or_its_revocation),
        TEST(nobody_grants_more_than_it_has),
        TEST(nobody_grants_for_longer_or_wider_than_it_has),
        TEST(a_grant_needs_somebody_with_a_second_factor_and_something_that_exists),
        TEST(a_grant_is_entered_with_its_rows_and_makes_staff),
        TEST(revoking_needs_sight_and_permission),
        TEST(the_last_owner_stays),
        TEST(lists_are_of_one_organiser_newest_first),
        TEST(an_account_has_a_bounded_number_of_grants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
