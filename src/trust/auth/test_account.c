/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: made once, sealed at rest, suspended, and the first owner. */
#include "trust/auth/test_fixture.h"

#include <dirent.h>

#define MAIL "canary.ada@example.org"
#define NAME "Canary Lovelace \xc3\xa9"

static struct step request(const char *mail, const char *name)
{
    return (struct step){
        .mail = mail, .name = name, .id = account_id_make(&f.t.clock.clock, &f.t.rng.rng)};
}

static int64_t count(const char *sql)
{
    return store_testing_number(&f.t, sql);
}

static void an_account_is_found_by_number_and_by_mail(void **state)
{
    struct step s = request("Canary.Ada@Example.ORG", NAME),
                by = {.mail = "CANARY.ada@example.org"};

    (void)state;
    assert_ok(run(do_create, &s));
    assert_ok(look(do_by_no, &s));
    assert_string_equal(s.account.mail, MAIL);
    assert_string_equal(s.account.name, NAME);
    assert_true(s.account.active);
    assert_false(s.account.staff);
    assert_false(s.account.has_totp);
    assert_true(account_id_eq(s.account.id, s.id));
    assert_ok(look(do_by_mail, &by));
    assert_int_equal(by.account.no, s.account_no);
    assert_int_equal(count("SELECT count(*) FROM entry WHERE kind = 60"), 1);
    by.mail = "canary.eve@example.org";
    assert_slug(look(do_by_mail, &by), ERR_NOT_FOUND, "no_account");
    by.mail = "no address";
    assert_slug(look(do_by_mail, &by), ERR_INVALID, "bad_mail");
    by.account_no = 99;
    assert_slug(look(do_by_no, &by), ERR_NOT_FOUND, "no_account");
}

static void a_used_address_and_a_used_id_are_told_apart(void **state)
{
    struct step first = request(MAIL, NAME), again,
                other = request("CANARY.ADA@example.org", "Eve");

    (void)state;
    assert_ok(run(do_create, &first));
    again = first;
    assert_slug(run(do_create, &other), ERR_CONFLICT, "account_exists");
    /* The same request proves no password, so it opens no account either. */
    assert_slug(run(do_create, &again), ERR_CONFLICT, "account_exists");
    again.mail = "eve@example.org";
    assert_slug(run(do_create, &again), ERR_CONFLICT, "id_reused");
    other.mail = "eve@example.org";
    assert_ok(run(do_create, &other));
    again.mail = "eve@example.org"; /* the id of one, the address of another */
    assert_slug(run(do_create, &again), ERR_CONFLICT, "id_reused");
    assert_int_equal(count("SELECT count(*) FROM account"), 2);
    assert_int_equal(count("SELECT count(*) FROM person"), 2);
    assert_int_equal(count("SELECT count(*) FROM entry"), 2);
}

static void bad_addresses_and_names_make_no_account(void **state)
{
    static const char *const names[] = {"",
                                        " Ada",
                                        "Ada ",
                                        "A\nda",
                                        "A\tda",
                                        "\xe2\x80\xae"
                                        "adA",
                                        "A\xe2\x80\x8b"
                                        "da",
                                        "\xff",
                                        "A\x1b[1m"};
    struct step s;

    (void)state;
    s = request("ada@", NAME);
    assert_slug(run(do_create, &s), ERR_INVALID, "bad_mail");
    assert_string_equal(err_last()->pointer, "#/mail");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        s = request(MAIL, names[i]);
        assert_slug(run(do_create, &s), ERR_INVALID, "bad_text");
        assert_string_equal(err_last()->pointer, "#/name");
    }
    char longest[2 * AUTH_NAME_MAX + 3];
    for (size_t i = 0; i <= AUTH_NAME_MAX; i++)
        memcpy(longest + 2 * i, "\xc3\xa9", 3);
    s = request(MAIL, longest);
    assert_slug(run(do_create, &s), ERR_INVALID, "bad_text");
    assert_int_equal(count("SELECT count(*) FROM account"), 0);
    longest[2 * AUTH_NAME_MAX] = '\0';
    s.name = longest;
    assert_ok(run(do_create, &s));
    assert_ok(look(do_by_no, &s));
    assert_string_equal(s.account.name, longest);
}

static size_t hits_of(const char *path, const void *needle, size_t needle_len)
{
    static char bytes[16 << 20];
    size_t hits = 0;
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    assert_true(feof(file));
    (void)fclose(file);
    for (const char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), needle, needle_len));
         at++)
        hits++;
    return hits;
}

/* In every file of the installation: database, log of the database, key file. */
static size_t hits(const void *needle, size_t needle_len)
{
    char path[STORE_TESTING_PATH_MAX * 2 + 2];
    DIR *dir = opendir(f.t.dir);
    size_t n = 0, files = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", f.t.dir, e->d_name);
        n += hits_of(path, needle, needle_len);
        files++;
    }
    (void)closedir(dir);
    assert_true(files >= 3);
    return n;
}
#define HITS(text) hits((text), strlen(text))

static void u1_no_byte_at_rest_names_anybody(void **state)
{
    struct step s = request(MAIL, NAME), t;
    struct session_opened o;
    char secret[40];
    uint8_t raw[TOTP_SECRET_BYTES], hash[SHA256_BYTES];
    size_t len;

    (void)state;
    assert_ok(auth_password_hash(SPAN_LIT("canary password"), false, s.password_hash));
    assert_ok(run(do_create, &s));
    o = enrol(s.account_no, secret);
    t = (struct step){.kind = ONE_TIME_INVITE, .lasts_ms = 1000};
    assert_ok(run(do_one_time_make, &t));
    /* A visible canary shows that the scan can see. */
    store_testing_sql(&f.t,
                      "INSERT INTO meta (name, value) VALUES ('seen', 'this one is in clear')");
    assert_true(HITS("this one is in clear") > 0);
    assert_int_equal(HITS("canary.ada"), 0);
    assert_int_equal(HITS("Canary"), 0);
    assert_int_equal(HITS("Lovelace"), 0);
    assert_int_equal(HITS("canary password"), 0);
    assert_int_equal(HITS(secret), 0);
    assert_ok(base32_decode(span_text(secret), raw, sizeof raw, &len));
    assert_int_equal(hits(raw, len), 0);
    assert_int_equal(HITS(o.token), 0);
    assert_int_equal(HITS(t.made), 0);
    sha256(SPAN_LIT(MAIL), hash); /* nor a hash that anybody could compute */
    assert_int_equal(hits(hash, sizeof hash), 0);
}

static enum err erase(struct store_tx *tx, void *context)
{
    return keyring_person_erase(tx, f.keyring, *(int64_t *)context);
}

static void an_erased_person_reads_as_nobody(void **state)
{
    struct step s = request(MAIL, NAME);
    int64_t person_no;

    (void)state;
    assert_ok(run(do_create, &s));
    assert_ok(look(do_by_no, &s));
    person_no = s.account.person_no;
    assert_ok(store_testing_run(&f.t, erase, &person_no));
    assert_ok(look(do_by_no, &s));
    assert_string_equal(s.account.mail, "");
    assert_string_equal(s.account.name, "");
    store_testing_sql(&f.t, "UPDATE account SET status = 'erased', mail_hash = NULL, mail_sealed = "
                            "NULL, name_sealed = NULL");
    assert_ok(look(do_by_no, &s));
    assert_string_equal(s.account.mail, "");
    assert_false(s.account.active);
    assert_slug(run(do_suspend, &s), ERR_CONFLICT, "account_not_active");
}

static void columns_swapped_in_the_database_do_not_open(void **state)
{
    struct step s = request(MAIL, NAME), other = request("eve@example.org", "Eve");

    (void)state;
    assert_ok(run(do_create, &s));
    assert_ok(run(do_create, &other));
    store_testing_sql(&f.t, "UPDATE account SET name_sealed = mail_sealed WHERE account_no = 1");
    assert_int_equal(look(do_by_no, &s), ERR_CORRUPT);
    store_testing_sql(&f.t, "UPDATE account SET mail_sealed = (SELECT mail_sealed FROM account "
                            "WHERE account_no = 1) WHERE account_no = 2");
    assert_int_equal(look(do_by_no, &other), ERR_CORRUPT);
}

/* ---- the first owner ---- */

static bool missing(void)
{
    struct step s = {0};
    assert_ok(look(do_owner_missing, &s));
    return s.missing;
}

static void the_owner_sets_up_once(void **state)
{
    struct step link = {.kind = ONE_TIME_OWNER, .lasts_ms = 1000}, second = link, third;
    struct step s = request(MAIL, NAME);

    (void)state;
    assert_true(missing());
    assert_ok(run(do_one_time_make, &link));
    assert_ok(run(do_one_time_make, &second));
    s.token = "no token";
    assert_slug(run(do_owner_setup, &s), ERR_EXPIRED, "link_used");
    /* What fails later gives the link back. */
    s.token = link.made;
    s.mail = "no address";
    assert_slug(run(do_owner_setup, &s), ERR_INVALID, "bad_mail");
    assert_true(missing());
    s.mail = MAIL;
    assert_ok(run(do_owner_setup, &s));
    assert_false(missing());
    assert_int_equal(s.opened.level, 1);
    assert_int_equal(s.opened.expires_ms, STORE_TESTING_NOW_MS + AUTH_STAFF_MAX_MS);
    s.account_no = s.opened.account_no;
    assert_ok(look(do_by_no, &s));
    assert_true(s.account.staff);
    /* The same link, and another good one. */
    third = request("eve@example.org", "Eve");
    third.token = link.made;
    assert_slug(run(do_owner_setup, &third), ERR_EXPIRED, "link_used");
    third.token = second.made;
    assert_slug(run(do_owner_setup, &third), ERR_EXPIRED, "link_used");
    assert_int_equal(count("SELECT count(*) FROM account"), 1);
    assert_int_equal(count("SELECT count(*) FROM role_grant"), 1);
    assert_int_equal(count("SELECT count(*) FROM entry WHERE kind IN (60, 62)"), 2);
}

static void a_late_owner_link_is_refused(void **state)
{
    struct step link = {.kind = ONE_TIME_OWNER, .lasts_ms = 1000}, s = request(MAIL, NAME);

    (void)state;
    assert_ok(run(do_one_time_make, &link));
    s.token = link.made;
    at(1000);
    assert_slug(run(do_owner_setup, &s), ERR_EXPIRED, "link_used");
    assert_true(missing());
}

static void the_last_owner_cannot_be_suspended(void **state)
{
    struct step a = request(MAIL, NAME), b = request("eve@example.org", "Eve");

    (void)state;
    assert_ok(run(do_create, &a));
    assert_ok(run(do_create, &b));
    a.grant = (struct grant_request){.id.b = {1}, .account_no = a.account_no, .role = ROLE_OWNER};
    assert_ok(run(do_grant, &a));
    assert_slug(run(do_suspend, &a), ERR_CONFLICT, "last_owner");
    b.grant = (struct grant_request){.id.b = {2},
                                     .account_no = b.account_no,
                                     .role = ROLE_OWNER,
                                     .expires_ms = STORE_TESTING_NOW_MS + 1000};
    assert_ok(run(do_grant, &b)); /* ends soon: does not count as another */
    assert_slug(run(do_suspend, &a), ERR_CONFLICT, "last_owner");
    b.grant.id.b[0] = 3;
    b.grant.expires_ms = 0;
    assert_ok(run(do_grant, &b));
    assert_ok(run(do_suspend, &a));
    assert_slug(run(do_suspend, &b), ERR_CONFLICT, "last_owner");
    assert_false(missing());
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, auth_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_found_by_number_and_by_mail),
        TEST(a_used_address_and_a_used_id_are_told_apart),
        TEST(bad_addresses_and_names_make_no_account),
        TEST(u1_no_byte_at_rest_names_anybody),
        TEST(an_erased_person_reads_as_nobody),
        TEST(columns_swapped_in_the_database_do_not_open),
        TEST(the_owner_sets_up_once),
        TEST(a_late_owner_link_is_refused),
        TEST(the_last_owner_cannot_be_suspended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
