/* SPDX-License-Identifier: Apache-2.0 */
/* Signing in: what is counted, what is told, and that a code works once. */
#include "trust/auth/test_fixture.h"

#include <pthread.h>
#include <time.h>

#include "store/store/writer.h"

#define MAIL "ada@example.org"

static int64_t with_password(const char *mail, bool staff)
{
    struct step s = {
        .mail = mail, .name = "Ada", .id = account_id_make(&f.t.clock.clock, &f.t.rng.rng)};
    assert_ok(auth_password_hash(SPAN_LIT(PASSWORD), staff, s.password_hash));
    assert_ok(run(do_create, &s));
    return s.account_no;
}

/* The three steps as a handler does them; refused when ret->level is 0. */
static struct session_opened sign_in(const char *mail, const char *password)
{
    struct step s = {.mail = mail};

    assert_ok(look(do_find, &s));
    enum err e = auth_sign_in_verify(&s.candidate, span_text(password), f.t.clock.at_ms);
    if (e != OK)
        assert_slug(e, ERR_UNAUTHENTICATED, "sign_in_failed");
    s.verified = e == OK;
    s.account_no = s.candidate.account_no;
    err_clear();
    assert_ok(run(do_done, &s));
    if (s.opened.level == 0)
        assert_slug(err_last()->code, ERR_UNAUTHENTICATED, "sign_in_failed");
    return s.opened;
}

/* A failed password without the cost of one. */
static void fail_once(int64_t no)
{
    struct step s = {.account_no = no};
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 0);
}

static int64_t failures(void)
{
    return store_testing_number(&f.t, "SELECT failures FROM account WHERE account_no = 1");
}
static int64_t locked_for_ms(void)
{
    return store_testing_number(&f.t, "SELECT locked_until_ms FROM account WHERE account_no = 1") -
           f.t.clock.at_ms;
}

static void the_right_password_opens_a_session_of_level_1(void **state)
{
    (void)state;
    int64_t no = with_password(MAIL, false);
    struct session_opened o = sign_in("ADA@Example.org", PASSWORD);
    assert_int_equal(o.level, 1);
    assert_int_equal(o.account_no, no);
    assert_int_equal(o.expires_ms, STORE_TESTING_NOW_MS + AUTH_FAN_MAX_MS);
    struct step s = {.token = o.token};
    assert_ok(look(do_session_find, &s));
    assert_int_equal(s.found.level, 1);
    assert_int_equal(s.found.account_no, no);
    assert_int_equal(sign_in(MAIL, "another password").level, 0);
    assert_int_equal(sign_in(MAIL, "A long enough password").level, 0);
    assert_int_equal(sign_in(MAIL, "").level, 0);
    assert_int_equal(failures(), 3);
    assert_int_equal(sign_in(MAIL, PASSWORD).level, 1);
    assert_int_equal(failures(), 0);
}

/* Everything that an answer is made of. */
struct answer {
    enum err verified, done;
    struct err_info why, last;
    int level;
};

static struct answer answer_of(const char *mail, const char *password)
{
    struct step s = {.mail = mail};
    struct answer a = {0};

    assert_ok(look(do_find, &s));
    a.verified = auth_sign_in_verify(&s.candidate, span_text(password), f.t.clock.at_ms);
    err_save(&a.why);
    s.account_no = s.candidate.account_no;
    s.verified = a.verified == OK;
    a.done = run(do_done, &s);
    err_save(&a.last);
    a.level = s.opened.level;
    return a;
}

static void what_failed_is_not_told(void **state)
{
    static const char *const cases[][2] = {
        {MAIL, "wrong password"},
        {"nobody@example.org", PASSWORD},
        {"suspended@example.org", PASSWORD},
        {"suspended@example.org", "wrong password"},
        {"locked@example.org", PASSWORD},
        {"locked@example.org", "wrong password"},
        {"empty@example.org", PASSWORD},
        {"no address", PASSWORD},
    };
    struct answer first;

    (void)state;
    (void)with_password(MAIL, false);
    struct step s = {.account_no = with_password("suspended@example.org", false)};
    assert_ok(run(do_suspend, &s));
    int64_t locked = with_password("locked@example.org", false);
    for (int i = 0; i <= AUTH_FAILURES_FREE; i++)
        fail_once(locked);
    (void)account("empty@example.org");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer a = answer_of(cases[i][0], cases[i][1]);
        if (i == 0)
            first = a;
        assert_int_equal(a.verified, ERR_UNAUTHENTICATED);
        assert_int_equal(a.done, OK);
        assert_int_equal(a.level, 0);
        assert_string_equal(a.why.slug, first.why.slug);
        assert_string_equal(a.why.detail, first.why.detail);
        assert_string_equal(a.last.slug, first.why.slug);
        assert_string_equal(a.last.detail, first.why.detail);
    }
}

static int64_t cpu_us(const struct auth_candidate *candidate)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 5; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        assert_int_equal(auth_sign_in_verify(candidate, SPAN_LIT("wrong password"), 0),
                         ERR_UNAUTHENTICATED);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        int64_t us = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
        best = us < best ? us : best;
    }
    return best;
}

static struct auth_candidate candidate_of(const char *mail)
{
    struct step s = {.mail = mail};
    assert_ok(look(do_find, &s));
    return s.candidate;
}

static void a_password_of_nobody_takes_the_time_of_somebodys(void **state)
{
    (void)state;
    (void)with_password(MAIL, false);
    struct auth_candidate known = candidate_of(MAIL), unknown = {0}, suspended, staff;
    int64_t somebody = cpu_us(&known), nobody = cpu_us(&unknown);
    assert_in_range(nobody, somebody / 2, somebody * 2);
    struct step s = {.account_no = 1};
    assert_ok(run(do_suspend, &s));
    suspended = candidate_of(MAIL);
    assert_int_equal(suspended.account_no, 0);
    assert_in_range(cpu_us(&suspended), somebody / 2, somebody * 2);
    /* A long answer does not name staff: some addresses of nobody take as long. */
    unknown.staff = true;
    staff = unknown;
    assert_ok(auth_password_hash(SPAN_LIT(PASSWORD), true, staff.password_hash));
    int64_t staffs = cpu_us(&staff), nobodys = cpu_us(&unknown);
    assert_in_range(nobodys, staffs / 2, staffs * 2);
    int slow = 0;
    for (int i = 0; i < 400; i++) {
        char mail[40];
        (void)snprintf(mail, sizeof mail, "nobody%d@example.org", i);
        bool once = candidate_of(mail).staff;
        assert_int_equal(candidate_of(mail).staff, once);
        slow += once;
    }
    assert_in_range(slow, 20, 100);
}

static void failures_cost_more_and_more_time(void **state)
{
    static const int64_t waits_s[] = {0,    0,    0,    0,    30,   60,   120,  240,  480,  960,
                                      1920, 3600, 3600, 3600, 3600, 3600, 3600, 3600, 3600, 3600};
    int64_t ms = 0;

    (void)state;
    int64_t no = account(MAIL);
    for (size_t i = 0; i < COUNT_OF(waits_s); i++) {
        fail_once(no);
        assert_int_equal(failures(), i + 1);
        if (waits_s[i] == 0) {
            assert_int_equal(store_testing_number(&f.t, "SELECT locked_until_ms FROM account"), 0);
            continue;
        }
        assert_int_equal(locked_for_ms(), waits_s[i] * 1000);
        /* The last millisecond is still locked: the right password is refused and nothing is counted. */
        at(ms += waits_s[i] * 1000 - 1);
        struct step s = {.account_no = no, .verified = true};
        assert_ok(run(do_done, &s));
        assert_int_equal(s.opened.level, 0);
        fail_once(no);
        assert_int_equal(failures(), i + 1);
        at(++ms);
    }
    struct step s = {.account_no = no, .verified = true};
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 1);
    assert_int_equal(failures(), 0);
}

static void a_hundred_failures_lock_until_somebody_unlocks(void **state)
{
    struct step s = {.verified = true};

    (void)state;
    s.account_no = account(MAIL);
    store_testing_sql(&f.t, "UPDATE account SET failures = 99");
    fail_once(s.account_no);
    at(INT64_C(1000) * 365 * 24 * 3600 * 1000);
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 0);
    assert_ok(run(do_unlock, &s));
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 1);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 61"), 1);
}

static void a_locked_account_refuses_in_the_slow_half_already(void **state)
{
    (void)state;
    int64_t no = with_password(MAIL, false);
    for (int i = 0; i <= AUTH_FAILURES_FREE; i++)
        fail_once(no);
    struct auth_candidate c = candidate_of(MAIL);
    assert_int_equal(auth_sign_in_verify(&c, SPAN_LIT(PASSWORD), c.locked_until_ms - 1),
                     ERR_UNAUTHENTICATED);
    assert_ok(auth_sign_in_verify(&c, SPAN_LIT(PASSWORD), c.locked_until_ms));
}

static void an_account_suspended_meanwhile_opens_nothing(void **state)
{
    struct step s = {.verified = true};

    (void)state;
    s.account_no = account(MAIL);
    assert_ok(run(do_suspend, &s));
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 0);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM session"), 0);
    s.account_no = 99;
    assert_int_equal(run(do_done, &s), ERR_NOT_FOUND);
}

/* ---- the second factor ---- */

static bool try_code(int64_t no, const char *code)
{
    struct step s = {.account_no = no, .code = code, .session = session_of(no, 1).id};

    err_clear();
    assert_ok(run(do_totp_sign_in, &s));
    if (s.refused)
        assert_slug(err_last()->code, ERR_UNAUTHENTICATED, "code_refused");
    else
        assert_int_equal(s.opened.level, 2);
    return !s.refused;
}

static void a_code_works_once_and_older_ones_are_spent_with_it(void **state)
{
    char secret[40], now[7], before[7], next[7];

    (void)state;
    int64_t no = account(MAIL);
    (void)enrol(no, secret);
    code_at(secret, f.t.clock.at_ms, now);
    assert_false(try_code(no, now)); /* it confirmed the factor */
    at(5 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, now);
    code_at(secret, f.t.clock.at_ms - TOTP_STEP_MS, before);
    code_at(secret, f.t.clock.at_ms + TOTP_STEP_MS, next);
    assert_true(try_code(no, now));
    assert_int_equal(failures(), 0); /* a whole sign-in clears the count */
    assert_false(try_code(no, now));
    assert_false(try_code(no, before));
    assert_true(try_code(no, next));
    assert_false(try_code(no, next));
    at(10 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms - TOTP_STEP_MS, before);
    assert_true(try_code(no, before));
}

static void a_clock_set_back_gives_no_code_a_second_life(void **state)
{
    char secret[40], code[7], fresh[7];

    (void)state;
    int64_t no = account(MAIL);
    (void)enrol(no, secret);
    at(3600 * 1000);
    code_at(secret, f.t.clock.at_ms, code);
    assert_true(try_code(no, code));
    /* A restart, with a clock one hour and then a second behind. */
    at(0);
    store_testing_reopen(&f.t);
    assert_false(try_code(no, code));
    code_at(secret, f.t.clock.at_ms, fresh);
    assert_false(try_code(no, fresh));
    at(3600 * 1000 - 1000);
    assert_false(try_code(no, code));
    at(3600 * 1000 + 2 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, fresh);
    assert_true(try_code(no, fresh));
}

static void guessed_codes_are_counted_and_a_password_does_not_clear_them(void **state)
{
    char secret[40], right[7];
    struct step s = {.verified = true};

    (void)state;
    s.account_no = account(MAIL);
    (void)enrol(s.account_no, secret);
    at(10 * TOTP_STEP_MS);
    for (int i = 0; i <= AUTH_FAILURES_FREE; i++) {
        assert_ok(run(do_done, &s)); /* the thief knows the password */
        assert_int_equal(s.opened.level, 1);
        assert_false(try_code(s.account_no, "00000x"));
        assert_int_equal(failures(), i + 1);
    }
    assert_int_equal(locked_for_ms(), 30 * 1000);
    code_at(secret, f.t.clock.at_ms, right);
    assert_false(try_code(s.account_no, right)); /* locked: not judged, so not told to be right */
    assert_int_equal(failures(), AUTH_FAILURES_FREE + 1);
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 0);
    at(11 * TOTP_STEP_MS);
    assert_true(try_code(s.account_no, right)); /* and not spent */
    assert_int_equal(failures(), 0);
}

static void a_second_factor_is_begun_confirmed_and_then_kept(void **state)
{
    struct step s = {.code = "000000"};
    char code[7], first[40];

    (void)state;
    s.account_no = account(MAIL);
    s.session = session_of(s.account_no, 1).id;
    assert_slug(run(do_totp_confirm, &s), ERR_CONFLICT, "no_totp");
    assert_slug(run(do_totp_sign_in, &s), ERR_CONFLICT, "no_totp");
    assert_ok(run(do_totp_begin, &s));
    memcpy(first, s.enrolment.secret, sizeof first);
    assert_slug(run(do_totp_sign_in, &s), ERR_CONFLICT, "no_totp");
    assert_ok(run(do_totp_begin, &s));
    assert_string_not_equal(s.enrolment.secret, first);
    code_at(first, f.t.clock.at_ms, code);
    s.code = code;
    assert_slug(run(do_totp_confirm, &s), ERR_UNAUTHENTICATED, "code_refused");
    assert_ok(look(do_by_no, &s));
    assert_false(s.account.has_totp);
    code_at(s.enrolment.secret, f.t.clock.at_ms, code);
    assert_ok(run(do_totp_confirm, &s));
    assert_ok(look(do_by_no, &s));
    assert_true(s.account.has_totp);
    s.session = s.opened.id;
    assert_slug(run(do_totp_begin, &s), ERR_CONFLICT, "totp_active");
    assert_slug(run(do_totp_confirm, &s), ERR_CONFLICT, "totp_active");
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry WHERE kind = 61"), 3);
}

static void a_pending_secret_made_active_in_the_database_does_not_open(void **state)
{
    struct step s = {.code = "000000"};

    (void)state;
    s.account_no = account(MAIL);
    s.session = session_of(s.account_no, 1).id;
    assert_ok(run(do_totp_begin, &s));
    store_testing_sql(
        &f.t, "UPDATE account SET totp_sealed = CAST(x'02' || substr(totp_sealed, 2) AS BLOB)");
    assert_int_equal(run(do_totp_sign_in, &s), ERR_CORRUPT);
    store_testing_sql(
        &f.t, "UPDATE account SET totp_sealed = CAST(x'03' || substr(totp_sealed, 2) AS BLOB)");
    assert_int_equal(run(do_totp_sign_in, &s), ERR_CORRUPT);
}

/* ---- fifty at once ---- */

enum { CROWD = 50 };

struct attempt {
    struct command command;
    struct step step;
    enum err (*run)(struct store_tx *, void *);
    enum err code;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int done_count;

static enum err attempt_run(struct store_tx *tx, struct command *c)
{
    struct attempt *a = (struct attempt *)c;
    return a->run(tx, &a->step);
}
static void attempt_done(struct command *c, const struct err_info *error)
{
    pthread_mutex_lock(&lock);
    ((struct attempt *)c)->code = error ? error->code : OK;
    done_count++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static struct attempt attempts[CROWD];

static void run_crowd(enum err (*step)(struct store_tx *, void *))
{
    const struct writer_config config = {.queue_max = CROWD, .batch_max = 16};
    struct writer *w;

    done_count = 0;
    assert_ok(writer_start(f.t.store, &config, &w));
    for (size_t i = 0; i < CROWD; i++) {
        attempts[i].command = (struct command){
            .run = attempt_run, .done = attempt_done, .lane = (enum writer_lane)(i % LANE_COUNT)};
        attempts[i].run = step;
        assert_ok(writer_submit(w, &attempts[i].command));
    }
    pthread_mutex_lock(&lock);
    while (done_count < CROWD)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    writer_stop(w);
}

static void of_fifty_attempts_with_one_code_one_wins(void **state)
{
    char secret[40], code[7];
    int won = 0;

    (void)state;
    int64_t no = account(MAIL);
    (void)enrol(no, secret);
    at(10 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, code);
    for (size_t i = 0; i < CROWD; i++)
        attempts[i].step =
            (struct step){.account_no = no, .code = code, .session = session_of(no, 1).id};
    run_crowd(do_totp_sign_in);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(attempts[i].code, OK);
        won += !attempts[i].step.refused;
    }
    assert_int_equal(won, 1);
    /* The first of them wins and clears the count; then four are counted, the fifth locks, the others are not judged. */
    assert_int_equal(failures(), AUTH_FAILURES_FREE + 1);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM session WHERE level = 2 "
                                                "AND revoked_ms IS NULL"),
                     2); /* of the enrolment and of the winner */
}

static void of_fifty_attempts_with_one_session_one_wins(void **state)
{
    char secret[40], code[7];
    int won = 0;

    (void)state;
    int64_t no = account(MAIL);
    (void)enrol(no, secret);
    at(10 * TOTP_STEP_MS);
    code_at(secret, f.t.clock.at_ms, code);
    struct session_id session = session_of(no, 1).id;
    for (size_t i = 0; i < CROWD; i++)
        attempts[i].step = (struct step){.account_no = no, .code = code, .session = session};
    run_crowd(do_totp_sign_in);
    for (size_t i = 0; i < CROWD; i++) {
        won += attempts[i].code == OK && !attempts[i].step.refused;
        if (attempts[i].code != OK)
            assert_int_equal(attempts[i].code, ERR_UNAUTHENTICATED);
    }
    assert_int_equal(won, 1);
}

static void of_fifty_right_and_wrong_passwords_at_once_five_are_judged(void **state)
{
    (void)state;
    int64_t no = account(MAIL);
    for (size_t i = 0; i < CROWD; i++)
        attempts[i].step = (struct step){.account_no = no, .verified = false};
    run_crowd(do_done);
    assert_int_equal(failures(), AUTH_FAILURES_FREE + 1);
    /* One that was right all along, verified before the lock and submitted after it, learns nothing. */
    struct step s = {.account_no = no, .verified = true};
    assert_ok(run(do_done, &s));
    assert_int_equal(s.opened.level, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, auth_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_right_password_opens_a_session_of_level_1),
        TEST(what_failed_is_not_told),
        TEST(a_password_of_nobody_takes_the_time_of_somebodys),
        TEST(failures_cost_more_and_more_time),
        TEST(a_hundred_failures_lock_until_somebody_unlocks),
        TEST(a_locked_account_refuses_in_the_slow_half_already),
        TEST(an_account_suspended_meanwhile_opens_nothing),
        TEST(a_code_works_once_and_older_ones_are_spent_with_it),
        TEST(a_clock_set_back_gives_no_code_a_second_life),
        TEST(guessed_codes_are_counted_and_a_password_does_not_clear_them),
        TEST(a_second_factor_is_begun_confirmed_and_then_kept),
        TEST(a_pending_secret_made_active_in_the_database_does_not_open),
        TEST(of_fifty_attempts_with_one_code_one_wins),
        TEST(of_fifty_attempts_with_one_session_one_wins),
        TEST(of_fifty_right_and_wrong_passwords_at_once_five_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
