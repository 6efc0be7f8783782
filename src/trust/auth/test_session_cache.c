/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a session is good until something of it changes, and not a moment longer. */
#include "trust/auth/session_cache.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "trust/auth/test_fixture.h"

enum { READERS = 2, ROUNDS = 200, HOUR_MS = 60 * 60 * 1000 };

static struct session_cache *cache;
static struct session found;
static struct access may;

static int open_all(void **state)
{
    (void)auth_open(state);
    assert_ok(session_cache_new(1000, &cache));
    return 0;
}

static int close_all(void **state)
{
    session_cache_free(cache);
    return fixture_close(state);
}

/* As the writer does: what was committed is told before anybody is answered. */
static void change(enum err (*step)(struct store_tx *, void *), struct step *s)
{
    assert_ok(run(step, s));
    session_cache_committed(cache, f.t.notes, f.t.note_count);
}

static bool remembered(const char *token)
{
    struct stamp_mark mark;
    return session_cache_find(cache, TEXT(token), f.t.clock.at_ms, &mark, &found, &may);
}

static enum err load_in(struct store_reader *reader, const char *token)
{
    struct stamp_mark mark = session_cache_mark(cache);
    struct session s;
    struct access a;
    struct store_tx *tx;

    TRY(store_read_begin(reader, &tx));
    enum err e = session_cache_load(cache, mark, tx, TEXT(token), &s, &a);
    store_read_end(tx);
    return e;
}

static enum err load(const char *token)
{
    return load_in(f.t.reader, token);
}

static struct session_opened remembered_session(int64_t account_no, int level)
{
    struct session_opened o = session_of(account_no, level);

    assert_false(remembered(o.token));
    assert_ok(load(o.token));
    assert_true(remembered(o.token));
    return o;
}

static void a_session_is_remembered_as_it_was_found(void **state)
{
    struct session in_store;
    struct step s = {0};

    (void)state;
    struct session_opened o = remembered_session(account("ada@example.org"), 1);
    s.token = o.token;
    assert_ok(look(do_session_find, &s));
    in_store = s.found;
    /* It is memory that answers: the rows are gone, and nobody said so. */
    store_testing_sql(&f.t, "DELETE FROM session");
    assert_true(remembered(o.token));
    assert_memory_equal(&found, &in_store, sizeof found);
    assert_int_equal(may.account_no, o.account_no);
    assert_int_equal(may.count, 0);
}

static void nothing_is_remembered_of_who_is_not_signed_in(void **state)
{
    char token[AUTH_TOKEN_TEXT];

    (void)state;
    struct session_opened o = remembered_session(account("ada@example.org"), 1);
    memcpy(token, o.token, sizeof token);
    token[0] = token[0] == 'A' ? 'B' : 'A';
    assert_slug(load(token), ERR_UNAUTHENTICATED, "no_session");
    assert_false(remembered(token));
    assert_slug(load("x"), ERR_UNAUTHENTICATED, "no_session");
    assert_false(remembered("x"));
    assert_false(remembered(""));
}

static void a_session_that_was_ended_is_forgotten(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened o = remembered_session(s.account_no, 1),
                          other = remembered_session(s.account_no, 1);
    s.session = o.id;
    change(do_session_end, &s);
    assert_false(remembered(o.token));
    assert_slug(load(o.token), ERR_UNAUTHENTICATED, "no_session");
    assert_false(remembered(o.token));
    /* The other one is looked up again, and goes on. */
    assert_ok(load(other.token));
    assert_true(remembered(other.token));
}

static void a_suspended_account_is_forgotten(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened o = remembered_session(s.account_no, 1);
    change(do_suspend, &s);
    assert_false(remembered(o.token));
    assert_slug(load(o.token), ERR_UNAUTHENTICATED, "no_session");
}

static void a_session_that_rose_is_forgotten(void **state)
{
    char code[TOTP_DIGITS + 1];

    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened o = remembered_session(s.account_no, 1);
    s.session = o.id;
    change(do_totp_begin, &s);
    code_at(s.enrolment.secret, f.t.clock.at_ms, code);
    s.code = code;
    change(do_totp_confirm, &s);
    assert_false(remembered(o.token));
    assert_slug(load(o.token), ERR_UNAUTHENTICATED, "no_session");
    assert_ok(load(s.opened.token));
    assert_true(remembered(s.opened.token));
    assert_int_equal(found.level, 2);
}

static void give(struct step *s, int64_t expires_ms)
{
    s->grant = (struct grant_request){.id = grant_id_make(&f.t.clock.clock, &f.t.rng.rng),
                                      .account_no = s->account_no,
                                      .role = ROLE_OWNER,
                                      .expires_ms = expires_ms};
    change(do_grant, s);
}

static enum err do_revoke(struct store_tx *tx, void *context)
{
    const struct step *s = context;
    return access_grant_revoke(tx, f.ledger, NULL, s->grant.id);
}

static void a_role_given_counts_at_once_and_brings_the_limits_of_staff(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened o = remembered_session(s.account_no, 1);
    assert_false(found.staff);
    give(&s, 0);
    assert_false(remembered(o.token));
    assert_ok(load(o.token));
    assert_true(remembered(o.token));
    assert_true(found.staff);
    assert_int_equal(may.count, 1);
    at(AUTH_STAFF_IDLE_MS - 1);
    assert_true(remembered(o.token));
    at(AUTH_STAFF_IDLE_MS);
    assert_false(remembered(o.token));
    assert_slug(load(o.token), ERR_UNAUTHENTICATED, "no_session");
}

static void a_role_taken_away_is_forgotten(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")},
                other = {.account_no = account("bob@example.org")};
    give(&other, 0); /* A4: somebody remains */
    give(&s, 0);
    struct session_opened o = remembered_session(s.account_no, 1);
    assert_int_equal(may.count, 1);
    change(do_revoke, &s);
    assert_false(remembered(o.token));
    assert_ok(load(o.token));
    assert_true(remembered(o.token));
    assert_int_equal(may.count, 0);
}

static void a_role_with_an_end_counts_until_then(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    give(&s, STORE_TESTING_NOW_MS + 1000);
    give(&s, 0);
    struct session_opened o = remembered_session(s.account_no, 1);
    at(999);
    assert_true(remembered(o.token));
    assert_int_equal(may.count, 2);
    at(1000);
    assert_true(remembered(o.token));
    assert_int_equal(may.count, 1);
    assert_int_equal(may.grants[0].expires_ms, 0);
}

static void time_ends_what_is_remembered(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened idle = remembered_session(s.account_no, 1);
    at(AUTH_FAN_IDLE_MS - 1);
    assert_true(remembered(idle.token));
    at(AUTH_FAN_IDLE_MS);
    assert_false(remembered(idle.token));
    at(AUTH_FAN_IDLE_MS - 1);
    assert_false(remembered(idle.token)); /* it was dropped then */

    /* Seen all the time, over all the same. */
    at(0);
    struct session_opened o = session_of(s.account_no, 1);
    for (int64_t ms = HOUR_MS / 2; ms < AUTH_FAN_MAX_MS; ms += HOUR_MS / 2) {
        at(ms);
        s.session = o.id;
        change(do_touch, &s);
    }
    at(AUTH_FAN_MAX_MS - 1);
    assert_ok(load(o.token));
    assert_true(remembered(o.token));
    at(AUTH_FAN_MAX_MS);
    assert_false(remembered(o.token));
}

static void a_session_asks_to_be_touched_once_a_minute(void **state)
{
    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened o = remembered_session(s.account_no, 1);
    at(60 * 1000);
    assert_true(remembered(o.token));
    assert_false(found.needs_touch);
    at(60 * 1000 + 1);
    assert_true(remembered(o.token));
    assert_true(found.needs_touch);
    s.session = o.id;
    change(do_touch, &s);
    assert_false(remembered(o.token));
    assert_ok(load(o.token));
    assert_true(remembered(o.token));
    assert_false(found.needs_touch);
    assert_int_equal(found.seen_ms, f.t.clock.at_ms);
    /* A touch that changed nothing says nothing. */
    assert_ok(run(do_touch, &s));
    assert_int_equal(f.t.note_count, 0);
    at(60 * 1000 + 1 + AUTH_FAN_IDLE_MS - 1);
    assert_true(remembered(o.token));
}

static void what_was_read_before_a_change_is_not_remembered_after_it(void **state)
{
    struct session s;
    struct access a;
    struct store_tx *tx;

    (void)state;
    struct step step = {.account_no = account("ada@example.org")};
    struct session_opened o = session_of(step.account_no, 1);
    step.session = o.id;
    struct stamp_mark mark = session_cache_mark(cache);
    assert_ok(store_read_begin(f.t.reader, &tx));
    assert_ok(session_cache_load(cache, mark, tx, TEXT(o.token), &s, &a));
    change(do_session_end, &step);
    /* The snapshot still shows it. */
    assert_ok(session_cache_load(cache, mark, tx, TEXT(o.token), &s, &a));
    store_read_end(tx);
    assert_false(remembered(o.token));
    assert_false(session_cache_unchanged(cache, step.account_no, mark));
    assert_true(session_cache_unchanged(cache, step.account_no, session_cache_mark(cache)));
}

static void others_are_not_forgotten_unless_all_are_meant(void **state)
{
    const struct store_note all = {.kind = NOTE_SESSION}, event = {.kind = NOTE_EVENT, .a = 2};

    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    struct session_opened ada = remembered_session(s.account_no, 1),
                          bob = remembered_session(account("bob@example.org"), 1);
    s.session = ada.id;
    change(do_session_end, &s);
    assert_true(remembered(bob.token));
    session_cache_committed(cache, &event, 1);
    assert_true(remembered(bob.token));
    session_cache_committed(cache, &all, 1);
    assert_false(remembered(bob.token));
}

static enum err fill(size_t looks)
{
    struct stamp_mark mark = session_cache_mark(cache);
    struct store_tx *tx;

    TRY(store_read_begin(f.t.reader, &tx));
    enum err e = session_cache_fill(cache, mark, tx, looks);
    store_read_end(tx);
    return e;
}

static void sessions_are_remembered_before_they_are_asked_for(void **state)
{
    (void)state;
    struct step staff = {.account_no = account("ada@example.org")},
                s = {.account_no = account("bob@example.org")};
    struct session_opened of_staff = session_of(staff.account_no, 1),
                          of_fan = session_of(s.account_no, 1), over = session_of(s.account_no, 1);

    give(&staff, 0);
    s.session = over.id;
    change(do_session_end, &s);
    assert_ok(fill(100));
    assert_true(remembered(of_fan.token));
    assert_int_equal(found.account_no, s.account_no);
    assert_int_equal(may.count, 0);
    assert_true(remembered(of_staff.token));
    assert_int_equal(may.count, 1);
    assert_false(remembered(over.token));
    /* A change after it counts as after any other look. */
    s.session = of_fan.id;
    change(do_session_end, &s);
    assert_false(remembered(of_fan.token));
}

static void only_the_newest_rows_are_looked_at(void **state)
{
    struct session_opened opened[5];

    (void)state;
    int64_t no = account("ada@example.org");
    for (size_t i = 0; i < COUNT_OF(opened); i++) {
        at((int64_t)i);
        opened[i] = session_of(no, 1);
    }
    assert_ok(fill(3));
    for (size_t i = 0; i < COUNT_OF(opened); i++)
        assert_int_equal(remembered(opened[i].token), i >= 2);
}

static void who_is_crowded_out_is_asked_of_the_store(void **state)
{
    static char tokens[2000][AUTH_TOKEN_TEXT];
    struct session_cache *none = NULL;
    size_t kept = 0;

    (void)state;
    int64_t no = account("ada@example.org");
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        struct session_opened o = session_of(no, 1);
        memcpy(tokens[i], o.token, sizeof o.token);
        assert_ok(load(tokens[i]));
    }
    for (size_t i = 0; i < COUNT_OF(tokens); i++)
        kept += remembered(tokens[i]);
    assert_in_range(kept, 900, 1024);
    for (size_t i = 0; i < COUNT_OF(tokens); i++)
        assert_ok(load(tokens[i]));
    assert_slug(session_cache_new(SESSION_CACHE_MAX + 1, &none), ERR_INVALID, "bad_cache");
    assert_null(none);
}

/* --- many readers and one who ends sessions --- */

static struct {
    _Atomic(const char *) token;
    atomic_bool over, stop;
    atomic_int wrong, hits, asked;
} race;

static void *ask_again_and_again(void *context)
{
    struct store_reader *reader = context;
    struct stamp_mark mark;
    struct session s;
    struct access a;

    while (!atomic_load(&race.stop)) {
        const char *token = atomic_load(&race.token);
        bool over = atomic_load(&race.over);
        if (!token)
            continue;
        bool good = session_cache_find(cache, TEXT(token), f.t.clock.at_ms, &mark, &s, &a);
        atomic_fetch_add(&race.hits, good);
        if (!good)
            good = load_in(reader, token) == OK;
        atomic_fetch_add(&race.wrong, good && over);
        atomic_fetch_add(&race.asked, 1);
    }
    return NULL;
}

/* Ten more of them. */
static void wait_for(const atomic_int *counter)
{
    int before = atomic_load(counter);

    while (atomic_load(counter) < before + 10)
        (void)sched_yield();
}

static void no_reader_meets_a_session_whose_end_was_told(void **state)
{
    static struct session_opened opened[ROUNDS];
    struct store_reader *readers[READERS];
    pthread_t threads[READERS];

    (void)state;
    struct step s = {.account_no = account("ada@example.org")};
    for (int i = 0; i < READERS; i++) {
        assert_ok(store_reader_open(f.t.store, &readers[i]));
        assert_int_equal(pthread_create(&threads[i], NULL, ask_again_and_again, readers[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        opened[i] = session_of(s.account_no, 1);
        atomic_store(&race.over, false);
        atomic_store(&race.token, opened[i].token);
        wait_for(&race.hits);
        s.session = opened[i].id;
        change(do_session_end, &s);
        atomic_store(&race.over, true);
        assert_false(remembered(opened[i].token));
        wait_for(&race.asked);
        atomic_store(&race.token, NULL);
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        store_reader_close(readers[i]);
    }
    assert_int_equal(atomic_load(&race.wrong), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_session_is_remembered_as_it_was_found),
        T(nothing_is_remembered_of_who_is_not_signed_in),
        T(a_session_that_was_ended_is_forgotten),
        T(a_suspended_account_is_forgotten),
        T(a_session_that_rose_is_forgotten),
        T(a_role_given_counts_at_once_and_brings_the_limits_of_staff),
        T(a_role_taken_away_is_forgotten),
        T(a_role_with_an_end_counts_until_then),
        T(time_ends_what_is_remembered),
        T(a_session_asks_to_be_touched_once_a_minute),
        T(what_was_read_before_a_change_is_not_remembered_after_it),
        T(others_are_not_forgotten_unless_all_are_meant),
        T(sessions_are_remembered_before_they_are_asked_for),
        T(only_the_newest_rows_are_looked_at),
        T(who_is_crowded_out_is_asked_of_the_store),
        T(no_reader_meets_a_session_whose_end_was_told),
    };
    return cmocka_run_group_tests_name("session_cache", tests, NULL, NULL);
}
