/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions end when they should, are replaced at each rise, and belong to one account; tokens that work once. */
#include "trust/auth/test_fixture.h"

static enum err seen(const char *token, struct session *ret)
{
    struct step s = {.token = token};
    enum err e = look(do_session_find, &s);
    if (e == OK && ret)
        *ret = s.found;
    return e;
}
#define assert_over(token) assert_slug(seen((token), NULL), ERR_UNAUTHENTICATED, "no_session")

static void make_staff(void)
{
    store_testing_sql(&f.t, "UPDATE account SET staff = 1");
}

static void a_session_is_found_by_its_token_only(void **state)
{
    (void)state;
    int64_t no = account("ada@example.org");
    struct session_opened o = session_of(no, 1);
    struct session s;
    char token[AUTH_TOKEN_TEXT];

    assert_ok(seen(o.token, &s));
    assert_true(session_id_eq(s.id, o.id));
    assert_false(s.staff);
    assert_int_equal(strlen(o.token), AUTH_TOKEN_TEXT - 1);
    for (size_t i = 0; i < AUTH_TOKEN_TEXT - 1; i++) {
        memcpy(token, o.token, sizeof token);
        token[i] = token[i] == 'A' ? 'B' : 'A';
        assert_over(token);
    }
    assert_over("");
    memcpy(token, o.token, sizeof token);
    token[AUTH_TOKEN_TEXT - 2] = '\0';
    assert_over(token);
    session_id_format(o.id, token);
    assert_over(token);
    /* Nothing in the file opens a session: the token is stored as its hash. */
    assert_int_equal(
        store_testing_number(&f.t, "SELECT count(*) FROM session WHERE length(token_hash) = 32"),
        1);
}

static void a_rise_replaces_the_token(void **state)
{
    char secret[40], code[7];
    struct session old, risen;

    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    /* Enrolment: level 1 to 2. */
    struct session_opened first = session_of(s.account_no, 1);
    s.session = first.id;
    assert_ok(run(do_totp_begin, &s));
    memcpy(secret, s.enrolment.secret, sizeof secret);
    code_at(secret, f.t.clock.at_ms, code);
    s.code = code;
    at(1000);
    assert_ok(run(do_totp_confirm, &s));
    assert_string_not_equal(s.opened.token, first.token);
    assert_false(session_id_eq(s.opened.id, first.id));
    assert_over(first.token);
    assert_ok(seen(s.opened.token, &risen));
    assert_int_equal(risen.level, 2);
    assert_int_equal(risen.stepped_up_ms, STORE_TESTING_NOW_MS + 1000);
    assert_int_equal(risen.expires_ms, first.expires_ms); /* a rise wins no time */
    /* Sign-in, and a step-up after it. */
    int64_t minutes = 10;
    first = session_of(s.account_no, 1);
    for (int i = 0; i < 2; i++) {
        at(minutes++ * 60 * 1000);
        code_at(secret, f.t.clock.at_ms, code);
        s.session = first.id;
        assert_ok(seen(first.token, &old));
        assert_int_equal(old.level, i + 1);
        assert_ok(run(do_totp_sign_in, &s));
        assert_false(s.refused);
        assert_over(first.token);
        assert_ok(seen(s.opened.token, &risen));
        assert_int_equal(risen.level, 2);
        assert_int_equal(risen.expires_ms, old.expires_ms);
        assert_int_equal(risen.stepped_up_ms, f.t.clock.at_ms);
        first = s.opened;
    }
}

static void a_refused_code_raises_nothing(void **state)
{
    char secret[40];

    (void)state;
    struct step s = {.account_no = account("ada@example.org"), .code = "12345x"};
    (void)enrol(s.account_no, secret);
    struct session_opened o = session_of(s.account_no, 1);
    s.session = o.id;
    assert_ok(run(do_totp_sign_in, &s));
    assert_true(s.refused);
    assert_int_equal(s.opened.level, 0);
    struct session found;
    assert_ok(seen(o.token, &found));
    assert_int_equal(found.level, 1);
}

static void nobody_rises_with_the_session_of_another(void **state)
{
    char secret[40], code[7];

    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened eves = session_of(account("eve@example.org"), 1);
    (void)enrol(s.account_no, secret);
    at(10 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, code);
    s.code = code;
    s.session = eves.id;
    assert_slug(run(do_totp_sign_in, &s), ERR_UNAUTHENTICATED, "no_session");
    assert_ok(seen(eves.token, NULL));
    /* Nor with one that is over. */
    struct session_opened own = session_of(s.account_no, 1);
    at(AUTH_FAN_IDLE_MS + 20 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, code);
    s.session = own.id;
    assert_slug(run(do_totp_sign_in, &s), ERR_UNAUTHENTICATED, "no_session");
}

static void touch(struct session_id id)
{
    struct step s = {.session = id};
    assert_ok(run(do_touch, &s));
}

/* The store's time never moves backwards, so the second session begins where the first one ended. */
static void ends_to_the_millisecond(int64_t no, int64_t idle_ms, int64_t most_ms)
{
    struct session_opened o = session_of(no, 1);
    int64_t ms = idle_ms, end_ms = idle_ms + most_ms;

    at(idle_ms - 1);
    assert_ok(seen(o.token, NULL));
    at(idle_ms);
    assert_over(o.token);
    /* Kept awake, it lasts until its absolute end. */
    o = session_of(no, 1);
    assert_int_equal(o.expires_ms, STORE_TESTING_NOW_MS + end_ms);
    for (; ms + idle_ms - 1 < end_ms - 1; touch(o.id)) {
        at(ms += idle_ms - 1);
        assert_ok(seen(o.token, NULL));
    }
    at(end_ms - 1);
    assert_ok(seen(o.token, NULL));
    touch(o.id);
    at(end_ms);
    assert_over(o.token);
}

static void a_fan_has_an_hour_and_a_day(void **state)
{
    (void)state;
    ends_to_the_millisecond(account("ada@example.org"), AUTH_FAN_IDLE_MS, AUTH_FAN_MAX_MS);
}

static void staff_have_a_quarter_of_an_hour_and_half_a_day(void **state)
{
    (void)state;
    int64_t no = account("ada@example.org");
    make_staff();
    ends_to_the_millisecond(no, AUTH_STAFF_IDLE_MS, AUTH_STAFF_MAX_MS);
}

static void who_becomes_staff_is_held_to_it_at_once(void **state)
{
    struct session s;

    (void)state;
    int64_t no = account("ada@example.org");
    struct session_opened o = session_of(no, 1), fresh;
    at(AUTH_STAFF_IDLE_MS);
    fresh = session_of(no, 1);
    assert_ok(seen(o.token, &s));
    assert_int_equal(s.expires_ms, STORE_TESTING_NOW_MS + AUTH_FAN_MAX_MS);
    make_staff();
    assert_over(o.token);
    assert_ok(seen(fresh.token, &s));
    assert_true(s.staff);
    assert_int_equal(s.expires_ms, STORE_TESTING_NOW_MS + AUTH_STAFF_IDLE_MS + AUTH_STAFF_MAX_MS);
}

static void a_touch_is_asked_for_once_a_minute_and_revives_nothing(void **state)
{
    struct session s;

    (void)state;
    int64_t no = account("ada@example.org");
    struct session_opened o = session_of(no, 1);
    at(60 * 1000);
    assert_ok(seen(o.token, &s));
    assert_false(s.needs_touch);
    at(60 * 1000 + 1);
    assert_ok(seen(o.token, &s));
    assert_true(s.needs_touch);
    touch(o.id);
    assert_ok(seen(o.token, &s));
    assert_false(s.needs_touch);
    at(60 * 1000 + 1 + AUTH_FAN_IDLE_MS);
    touch(o.id);
    assert_over(o.token);
    o = session_of(no, 1);
    struct step end = {.account_no = no, .session = o.id};
    assert_ok(run(do_session_end, &end));
    at(2 * AUTH_FAN_IDLE_MS);
    touch(o.id);
    assert_over(o.token);
}

static void an_ended_session_is_over_and_only_its_owner_ends_it(void **state)
{
    (void)state;
    struct step ada = {.account_no = account("ada@example.org")};
    struct step eve = {.account_no = account("eve@example.org")};
    struct session_opened o = session_of(ada.account_no, 2), other = session_of(ada.account_no, 2);

    eve.session = ada.session = o.id;
    assert_slug(run(do_session_end, &eve), ERR_NOT_FOUND, "no_session");
    assert_ok(seen(o.token, NULL));
    assert_ok(run(do_session_end, &ada));
    assert_over(o.token);
    assert_ok(seen(other.token, NULL));
    assert_slug(run(do_session_end, &ada), ERR_NOT_FOUND, "no_session");
}

static void the_list_shows_own_live_sessions_only(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    (void)session_of(account("eve@example.org"), 1);
    struct session_opened old = session_of(s.account_no, 1);
    (void)old;
    at(AUTH_FAN_IDLE_MS);
    struct session_opened a = session_of(s.account_no, 2);
    at(AUTH_FAN_IDLE_MS + 5);
    struct session_opened b = session_of(s.account_no, 1);
    assert_ok(look(do_sessions, &s));
    assert_int_equal(s.count, 2);
    assert_true(session_id_eq(s.list[0].id, b.id));
    assert_true(session_id_eq(s.list[1].id, a.id));
    assert_int_equal(s.list[1].level, 2);
    for (int i = 0; i < 10; i++)
        (void)session_of(s.account_no, 1);
    assert_ok(look(do_sessions, &s));
    assert_int_equal(s.count, COUNT_OF(s.list));
    /* Those that are over do not pile up. */
    at(3 * AUTH_FAN_MAX_MS);
    (void)session_of(s.account_no, 1);
    assert_int_equal(
        store_testing_number(&f.t, "SELECT count(*) FROM session WHERE account_no = 1"), 1);
}

static void a_suspended_account_has_no_sessions(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org"), .level = 1};
    struct session_opened o = session_of(s.account_no, 2);
    struct session_opened eves = session_of(account("eve@example.org"), 2);

    assert_ok(run(do_suspend, &s));
    assert_over(o.token);
    assert_ok(seen(eves.token, NULL));
    assert_slug(run(do_open, &s), ERR_CONFLICT, "account_not_active");
    assert_slug(run(do_totp_begin, &s), ERR_CONFLICT, "account_not_active");
    /* Not even one that the suspension missed. */
    store_testing_sql(&f.t, "UPDATE session SET revoked_ms = NULL");
    assert_over(o.token);
    assert_ok(run(do_suspend, &s));
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 61"), 1);
}

/* ---- one-time tokens ---- */

static struct {
    enum one_time_kind kind;
    const char *token;
    char subject[16];
} use;

static enum err do_use(struct store_tx *tx, void *context)
{
    AUTO(buf_done) struct buf out = {0};

    (void)context;
    buf_init(&out, 512);
    TRY(auth_one_time_use(tx, use.kind, span_text(use.token), &out));
    return span_to_text(buf_span(&out), use.subject, sizeof use.subject);
}
static enum err use_of(enum one_time_kind kind, const char *token)
{
    use.kind = kind;
    use.token = token;
    use.subject[0] = '\0';
    return store_testing_run(&f.t, do_use, NULL);
}

static void a_one_time_token_works_once_for_its_kind_in_its_time(void **state)
{
    struct step s = {.kind = ONE_TIME_DEVICE, .lasts_ms = 1000};

    (void)state;
    for (int kind = ONE_TIME_OWNER; kind <= ONE_TIME_RESET; kind++) {
        s.kind = (enum one_time_kind)kind;
        assert_ok(run(do_one_time_make, &s));
        for (int other = ONE_TIME_OWNER; other <= ONE_TIME_RESET; other++)
            if (other != kind)
                assert_slug(use_of((enum one_time_kind)other, s.made), ERR_EXPIRED, "link_used");
        assert_ok(use_of(s.kind, s.made));
        assert_string_equal(use.subject, "subject");
        assert_slug(use_of(s.kind, s.made), ERR_EXPIRED, "link_used");
        assert_string_equal(use.subject, "");
    }
    assert_ok(run(do_one_time_make, &s));
    at(1000);
    assert_slug(use_of(s.kind, s.made), ERR_EXPIRED, "link_used");
    assert_ok(run(do_one_time_make, &s));
    at(1999);
    assert_ok(use_of(s.kind, s.made));
    assert_slug(use_of(s.kind, ""), ERR_EXPIRED, "link_used");
    assert_slug(use_of(s.kind, "x"), ERR_EXPIRED, "link_used");
    s.made[0] ^= 1;
    assert_slug(use_of(s.kind, s.made), ERR_EXPIRED, "link_used");
}

static enum err use_and_fail(struct store_tx *tx, void *context)
{
    TRY(do_use(tx, context));
    FAIL(ERR_CONFLICT, "test", "what the token was for did not work");
}

static void a_command_that_fails_does_not_use_the_token_up(void **state)
{
    struct step s = {.kind = ONE_TIME_INVITE, .lasts_ms = 1000};

    (void)state;
    assert_ok(run(do_one_time_make, &s));
    use.kind = s.kind;
    use.token = s.made;
    assert_slug(store_testing_run(&f.t, use_and_fail, NULL), ERR_CONFLICT, "test");
    assert_ok(use_of(s.kind, s.made));
}

static enum err make_large(struct store_tx *tx, void *context)
{
    static const uint8_t subject[AUTH_ONE_TIME_SUBJECT_MAX + 1];
    char token[AUTH_TOKEN_TEXT];
    const size_t *len = context;
    return auth_one_time_make(tx, ONE_TIME_INVITE, span_of(subject, *len), 1, token);
}

static void a_subject_is_bounded(void **state)
{
    size_t len = AUTH_ONE_TIME_SUBJECT_MAX;

    (void)state;
    assert_ok(store_testing_run(&f.t, make_large, &len));
    len++;
    assert_slug(store_testing_run(&f.t, make_large, &len), ERR_LIMIT, "too_large");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, auth_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_session_is_found_by_its_token_only),
        TEST(a_rise_replaces_the_token),
        TEST(a_refused_code_raises_nothing),
        TEST(nobody_rises_with_the_session_of_another),
        TEST(a_fan_has_an_hour_and_a_day),
        TEST(staff_have_a_quarter_of_an_hour_and_half_a_day),
        TEST(who_becomes_staff_is_held_to_it_at_once),
        TEST(a_touch_is_asked_for_once_a_minute_and_revives_nothing),
        TEST(an_ended_session_is_over_and_only_its_owner_ends_it),
        TEST(the_list_shows_own_live_sessions_only),
        TEST(a_suspended_account_has_no_sessions),
        TEST(a_one_time_token_works_once_for_its_kind_in_its_time),
        TEST(a_command_that_fails_does_not_use_the_token_up),
        TEST(a_subject_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
