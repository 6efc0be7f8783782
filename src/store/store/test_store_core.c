/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "store/store/notes.h"
#include "store/store/store_core.h"
#include "store/store/testing.h"

static int set_up(void **state)
{
    static struct store_testing t;
    store_testing_open(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    store_testing_close(*state);
    return 0;
}

static enum err set_and_get(struct store_tx *tx, void *context)
{
    struct buf *value = context;

    TRY(store_meta_set(tx, "site", SPAN_LIT("one")));
    TRY(store_meta_set(tx, "site", SPAN_LIT("two")));
    return store_meta_get(tx, "site", value);
}

static enum err get_missing(struct store_tx *tx, void *context)
{
    return store_meta_get(tx, "nothing", context);
}

static void a_setting_is_replaced_and_a_missing_one_is_not_found(void **state)
{
    AUTO(buf_done) struct buf value;

    buf_init(&value, 100);
    assert_int_equal(store_testing_run(*state, set_and_get, &value), OK);
    assert_string_equal(buf_text(&value), "two");
    assert_int_equal(store_testing_read(*state, get_missing, &value), ERR_NOT_FOUND);
}

static const uint8_t key[STORE_HASH_BYTES] = {1};

static enum err put_answer(struct store_tx *tx, void *context)
{
    struct store_answer answer = {.status = 201, .expires_ms = store_now_ms(tx) + 1000};

    memset(answer.fingerprint, 7, sizeof answer.fingerprint);
    return store_idempotency_put(tx, key, &answer, span_text(context));
}

static enum err get_answer(struct store_tx *tx, void *context)
{
    struct store_answer answer;

    TRY(store_idempotency_get(tx, key, &answer, context));
    ENSURE(answer.status == 201 && answer.fingerprint[31] == 7, ERR_CORRUPT, "wrong", "Wrong.");
    return OK;
}

static enum err expire(struct store_tx *tx, void *context)
{
    return store_idempotency_expire(tx, 10, context);
}

static void an_answer_is_kept_once_until_its_time_is_over(void **state)
{
    struct store_testing *t = *state;
    AUTO(buf_done) struct buf body;
    char first[] = "first", second[] = "second";
    int64_t rows = -1;

    buf_init(&body, 100);
    assert_int_equal(store_testing_read(t, get_answer, &body), ERR_NOT_FOUND);
    assert_int_equal(store_testing_run(t, put_answer, first), OK);
    assert_int_equal(store_testing_run(t, put_answer, second), ERR_CONFLICT);
    assert_int_equal(store_testing_read(t, get_answer, &body), OK);
    assert_string_equal(buf_text(&body), "first");
    assert_int_equal(store_testing_run(t, expire, &rows), OK);
    assert_int_equal(rows, 0);

    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS + 1000);
    assert_int_equal(store_testing_read(t, get_answer, &body), ERR_NOT_FOUND);
    assert_int_equal(store_testing_run(t, put_answer, second), OK);
    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS + 5000);
    assert_int_equal(store_testing_run(t, expire, &rows), OK);
    assert_int_equal(rows, 1);
    assert_int_equal(store_testing_number(t, "SELECT count(*) FROM idempotency"), 0);
}

static enum err add_jobs(struct store_tx *tx, void *context)
{
    uint8_t subject[ID_BYTES] = {9};

    (void)context;
    for (int64_t i = 0; i < 3; i++) {
        struct job_id id = {{(uint8_t)(i + 1)}};
        TRY(store_job_add(tx, id, "mail", subject, store_now_ms(tx) + (2 - i) * 1000));
    }
    return OK;
}

static enum err end_jobs(struct store_tx *tx, void *context)
{
    struct store_job jobs[8];
    size_t count;

    (void)context;
    TRY(store_job_due(tx, jobs, 8, &count));
    ENSURE(count == 3 && jobs[0].id.b[0] == 3 && jobs[2].id.b[0] == 1 &&
               jobs[0].subject_id[0] == 9 && strcmp(jobs[1].kind, "mail") == 0,
           ERR_CORRUPT, "wrong", "Wrong jobs.");
    TRY(store_job_done(tx, jobs[0].id));
    TRY(store_job_retry(tx, jobs[1].id, store_now_ms(tx) + 9000, "the host did not answer"));
    TRY(store_job_dead(tx, jobs[2].id, "the address does not exist"));
    enum err code = store_job_done(tx, jobs[2].id);
    ENSURE(code == ERR_NOT_FOUND, ERR_CORRUPT, "wrong", "A dead job ended again.");
    return OK;
}

static enum err count_jobs(struct store_tx *tx, void *context)
{
    int64_t waiting, done, dead, due;
    struct store_job jobs[8];
    size_t count;

    (void)context;
    TRY(store_job_count(tx, "waiting", &waiting));
    TRY(store_job_count(tx, "done", &done));
    TRY(store_job_count(tx, "dead", &dead));
    TRY(store_job_next_due(tx, &due));
    TRY(store_job_due(tx, jobs, 8, &count));
    ENSURE(waiting == 1 && done == 1 && dead == 1 && due == store_now_ms(tx) + 9000 && count == 0,
           ERR_CORRUPT, "wrong", "Wrong counts.");
    return OK;
}

static void jobs_come_when_due_and_end_in_one_way(void **state)
{
    struct store_testing *t = *state;

    assert_int_equal(store_testing_run(t, add_jobs, NULL), OK);
    assert_int_equal(t->note_count, 3);
    assert_int_equal(t->notes[1].kind, NOTE_JOB);
    assert_int_equal(t->notes[1].a, STORE_TESTING_NOW_MS + 1000);
    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS + 2000);
    assert_int_equal(store_testing_run(t, end_jobs, NULL), OK);
    assert_int_equal(store_testing_read(t, count_jobs, NULL), OK);
    assert_int_equal(store_testing_run(t, add_jobs, NULL), ERR_CONFLICT);
}

static enum err record(struct store_tx *tx, void *context)
{
    (void)context;
    return store_access_record_add(tx, 4, 5, "order.read", SPAN_LIT("ord_x"));
}

static void a_staff_read_is_recorded_with_its_time(void **state)
{
    assert_int_equal(store_testing_run(*state, record, NULL), OK);
    assert_int_equal(store_testing_number(*state, "SELECT at_ms FROM access_record WHERE"
                                                  " account_no = 4 AND organiser_no = 5"),
                     STORE_TESTING_NOW_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_setting_is_replaced_and_a_missing_one_is_not_found,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_kept_once_until_its_time_is_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(jobs_come_when_due_and_end_in_one_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_staff_read_is_recorded_with_its_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
