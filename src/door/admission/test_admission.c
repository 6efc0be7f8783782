/* SPDX-License-Identifier: Apache-2.0 */
/* Scans from code to row, entry and alert: a real database, a real signer process, scanners that sign. */
#include "door/admission/test_fixture.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/proc/channel.h"
#include "store/store/writer.h"
#include "trust/ledger/audit.h"

/* --- admitted, and only once ---------------------------------------------------------------------------------------------- */

static void a_ticket_admits_once_and_then_says_where_and_when(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    struct scan_result r = scan(&door.scanners[0], c.text);
    assert_true(r.admitted);
    assert_string_equal(r.reason, "ok");
    assert_true(ticket_id_eq(r.ticket, t.id));
    assert_string_equal(r.place, "H/1/4");
    assert_string_equal(r.form, "paper");
    assert_int_equal(r.entries_used, 1);
    assert_int_equal(r.entries_max, 1);
    assert_int_equal(r.first_ms, 0);
    assert_int_equal(door.judged_from_memory, 1); /* too, and the same */
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
    assert_int_equal(number("SELECT sequence FROM ticket"), 2);
    at(DOORS_MS + 5000);
    r = scan(&door.scanners[1], c.text);
    assert_false(r.admitted);
    assert_string_equal(r.reason, "already_admitted");
    assert_int_equal(r.entries_used, 1);
    assert_int_equal(r.first_ms, DOORS_MS);
    assert_string_equal(r.first_gate, "A");
    assert_int_equal(alerts_of("duplicate"), 1);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 50"), 1);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 51"), 1);
}

static void an_entry_rule_of_two_admits_twice(void **state)
{
    struct ticket_row t = sell(2, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    admits(&door.scanners[2], c.text);
    admits(&door.scanners[2], c.text);
    rejects(&door.scanners[2], c.text, "already_admitted");
    assert_int_equal(number("SELECT max(admission_no) FROM scan"), 2);
}

static void a_repeat_of_a_scan_gets_the_same_answer(void **state)
{
    struct ticket_row t = sell(1, 3), u = sell(1, 4);
    struct code c = code_of(&t), other = code_of(&u);
    (void)state;

    at(DOORS_MS);
    struct scan s = scan_of(&door.scanners[0], 1, c.text);
    assert_int_equal(hand_in(&s), OK);
    struct scan_result first = s.result;
    assert_true(first.admitted);
    struct scan second = scan_of(&door.scanners[1], 1, c.text); /* already admitted, sent twice */
    assert_int_equal(hand_in(&second), OK);
    at(ENDS_MS + 1);
    assert_int_equal(hand_in(&s), OK);
    assert_true(s.result.admitted);
    assert_true(scan_id_eq(s.result.scan, first.scan));
    assert_string_equal(s.result.reason, "ok");
    assert_string_equal(s.result.place, first.place);
    assert_string_equal(s.result.category_name, "First");
    assert_int_equal(s.result.entries_used, 1);
    struct scan_result was = second.result;
    assert_int_equal(hand_in(&second), OK);
    assert_string_equal(second.result.reason, "already_admitted");
    assert_int_equal(second.result.first_ms, was.first_ms);
    assert_int_equal(number("SELECT count(*) FROM scan"), 2);
    assert_int_equal(number("SELECT count(*) FROM alert"), 1);
    struct scan reused = scan_of(&door.scanners[0], 1, other.text);
    REFUSED(hand_in(&reused), ERR_CONFLICT, "sequence_reused");
    assert_int_equal(number("SELECT count(*) FROM scan"), 2);
    scan_over(&s);
    scan_over(&second);
    scan_over(&reused);
}

enum { THREADS = 64, CROWD_DEVICES = 4 };

struct crowd {
    pthread_barrier_t barrier;
    struct writer *writer;
    const char *code;
    struct scanner scanners[CROWD_DEVICES];
};

struct visitor {
    struct crowd *crowd;
    struct scan scan;
    enum err code;
    pthread_t thread;
};

static void *visit(void *context)
{
    struct visitor *v = context;
    struct store_reader *reader;
    struct store_tx *tx;

    v->code = store_reader_open(fix.t.store, &reader);
    pthread_barrier_wait(&v->crowd->barrier);
    if (v->code != OK)
        return NULL;
    v->code = store_read_begin(reader, &tx);
    if (v->code == OK) {
        v->code = judge_(tx, &v->scan);
        store_read_end(tx);
    }
    store_reader_close(reader);
    if (v->code == OK)
        v->code = writer_call(v->crowd->writer, LANE_DOOR, record_, &v->scan);
    return NULL;
}

static void of_64_scans_at_once_exactly_one_is_admitted(void **state)
{
    static struct visitor visitors[THREADS];
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    struct crowd crowd = {.code = c.text};
    struct writer_config config = {.queue_max = 128, .batch_max = 16};
    size_t admitted = 0;
    (void)state;

    for (uint8_t i = 0; i < CROWD_DEVICES; i++)
        enrol(&crowd.scanners[i], (uint8_t)(10 + i), 1, "D");
    at(DOORS_MS);
    pthread_barrier_init(&crowd.barrier, NULL, THREADS);
    assert_int_equal(writer_start(fix.t.store, &config, &crowd.writer), OK);
    for (int i = 0; i < THREADS; i++) {
        visitors[i] = (struct visitor){.crowd = &crowd};
        visitors[i].scan =
            scan_of(&crowd.scanners[i % CROWD_DEVICES], 1 + i / CROWD_DEVICES, c.text);
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_int_equal(visitors[i].code, OK);
        admitted += visitors[i].scan.result.admitted;
        scan_over(&visitors[i].scan);
    }
    writer_stop(crowd.writer);
    pthread_barrier_destroy(&crowd.barrier);
    assert_int_equal(admitted, 1);
    assert_int_equal(number("SELECT count(*) FROM scan"), THREADS);
    assert_int_equal(number("SELECT count(*) FROM scan WHERE admitted = 1"), 1);
    assert_int_equal(alerts_of("duplicate"), 1);
}

/* --- codes that are not good ------------------------------------------------------------------------------------------------ */

static void one_flipped_character_is_forged(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    size_t place = strlen(c.text) - 8;
    (void)state;

    at(DOORS_MS);
    c.text[place] = c.text[place] == '0' ? '1' : '0';
    rejects(&door.scanners[0], c.text, "forged");
    rejects(&door.scanners[0], c.text, "forged");
    assert_int_equal(alerts_of("forged"), 1); /* a flood is one line */
    assert_int_equal(
        number("SELECT count(*) FROM alert WHERE severity = 4 AND facts LIKE '{\"count\":2,%'"), 1);
    c = code_of(&t);
    admits(&door.scanners[0], c.text);
}

static void rubbish_is_recorded_and_is_no_alarm(void **state)
{
    (void)state;
    at(DOORS_MS);
    rejects(&door.scanners[0], "4006381333931", "malformed");
    rejects(&door.scanners[0], "GH1:", "malformed");
    rejects(&door.scanners[0], "", "malformed");
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
}

static void a_ticket_of_the_organisers_other_event_is_named_so(void **state)
{
    struct ticket_row t = sell(2, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    rejects(&door.scanners[0], c.text, "wrong_event");
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
    admits(&door.scanners[2], c.text);
}

static struct code mint(struct ticket_claims claims)
{
    struct signer_minted m;
    struct code c;

    assert_int_equal(signer_mint(&door.signer, &claims, 1, &m), OK);
    assert_int_equal(m.code, OK);
    memcpy(c.text, m.text, sizeof c.text);
    return c;
}

static void a_code_of_another_organiser_is_of_an_unknown_key(void **state)
{
    struct signer_event e = {FIX_OTHER, 77, false, 10, 10};
    struct ticket_claims claims = {.ticket = {{1}},
                                   .event_number = 77,
                                   .generation = 1,
                                   .place = "1",
                                   .form = CREDENTIAL_PAPER};
    (void)state;

    assert_int_equal(signer_event_open(&door.signer, &e), OK);
    struct code c = mint(claims);
    at(DOORS_MS);
    rejects(&door.scanners[0], c.text, "unknown_key");
    assert_int_equal(alerts_of("unknown_key"), 1);
}

static void a_signed_ticket_that_was_never_sold_is_an_alarm(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct ticket_claims claims = {.ticket = {{9}},
                                   .event_number = 1,
                                   .place_no = 40,
                                   .generation = 1,
                                   .place = "Floor",
                                   .form = CREDENTIAL_PAPER};
    (void)state;

    at(DOORS_MS);
    struct code never = mint(claims);
    rejects(&door.scanners[0], never.text, "forged");
    claims.ticket = t.id; /* a sold ticket's name on another place */
    claims.place_no = 41;
    struct code elsewhere = mint(claims);
    rejects(&door.scanners[0], elsewhere.text, "forged");
    claims.place_no = 3; /* and of a generation that nobody sold */
    claims.generation = 2;
    struct code later = mint(claims);
    rejects(&door.scanners[0], later.text, "forged");
    assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'unknown_ticket' AND "
                            "severity = 4 AND facts LIKE '{\"count\":3,%'"),
                     1);
    assert_int_equal(alerts_of("forged"), 0);
    assert_int_equal(number("SELECT count(*) FROM scan WHERE ticket_id IS NOT NULL"), 0);
}

static void before_doors_it_is_too_early_and_at_the_end_too_late(void **state)
{
    struct ticket_row t = sell(1, 3), u = sell(1, 4);
    struct code c = code_of(&t), d = code_of(&u);
    (void)state;

    at(DOORS_MS - 1000);
    rejects(&door.scanners[0], c.text, "too_early");
    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
    at(ENDS_MS);
    rejects(&door.scanners[0], d.text, "too_late");
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
}

static void a_ticket_that_is_not_valid_any_more_is_told_why(void **state)
{
    static const struct {
        const char *status;
        bool live;
    } cases[] = {
        {"refunded", false}, {"revoked", false}, {"superseded", false}, {"suspended", true}};
    (void)state;

    at(DOORS_MS);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ticket_row t = sell(1, (uint32_t)i);
        struct code c = code_of(&t);
        sql("UPDATE ticket SET status = '%s'%s WHERE place_no = %u", cases[i].status,
            cases[i].live ? "" : ", past_generation = generation", (unsigned)i);
        rejects(&door.scanners[0], c.text, cases[i].status);
        assert_int_equal(alerts_of(cases[i].status), 1);
    }
}

static void after_a_resale_only_the_newest_ticket_of_the_place_enters(void **state)
{
    struct ticket_row old = sell(1, 3);
    struct code old_code = code_of(&old);
    (void)state;

    sql("UPDATE ticket SET status = 'superseded', past_generation = generation");
    sql("UPDATE place SET state = 0, ticket_id = NULL WHERE event_no = 1 AND place_no = 3");
    struct ticket_row newer = sell(1, 3);
    assert_int_equal(newer.generation, 2);
    struct code new_code = code_of(&newer);
    at(DOORS_MS);
    rejects(&door.scanners[0], old_code.text, "superseded");
    admits(&door.scanners[0], new_code.text);
    rejects(&door.scanners[0], old_code.text, "superseded");
}

static void a_key_that_was_rotated_after_the_first_scan_is_found(void **state)
{
    struct ticket_row t = sell(1, 3), u = sell(1, 4);
    struct code c = code_of(&t);
    struct signer_public_key key;
    struct clock_fixed clock;
    (void)state;

    clock_fixed_init(&clock, 1000000);
    admission_keys_free(door.keys);
    assert_int_equal(admission_keys_new(&door.signer, &clock.clock, &door.keys), OK);
    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
    assert_int_equal(signer_key_rotate(&door.signer, FIX_ORGANISER, false, &key), OK);
    struct code d = code_of(&u);
    rejects(&door.scanners[0], d.text, "unknown_key"); /* asked a moment ago */
    clock_fixed_set(&clock, 1000000 + ADMISSION_KEYS_AGAIN_MS);
    admits(&door.scanners[0], d.text);
}

static void a_key_that_was_rotated_here_is_known_at_once(void **state)
{
    struct ticket_row t = sell(1, 3), u = sell(1, 4);
    struct code c = code_of(&t);
    struct signer_public_key key;
    (void)state;

    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
    assert_int_equal(signer_key_rotate(&door.signer, FIX_ORGANISER, false, &key), OK);
    admission_keys_changed(door.keys, FIX_ORGANISER);
    struct code d = code_of(&u);
    admits(&door.scanners[0], d.text);
}

/* --- codes before they are shown ---------------------------------------------------------------------------------------------- */

static void a_code_that_a_door_would_believe_is_shown_even_before_doors(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    assert_int_equal(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(c.text)), OK);
    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
}

static void a_code_that_no_door_would_believe_is_not_shown(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    REFUSED(admission_expect_code(door.keys, FIX_ORGANISER, 2, span_text(c.text)), ERR_CORRUPT,
            "bad_code"); /* another event's */
    c.text[100] = c.text[100] == 'A' ? 'B' : 'A';
    REFUSED(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(c.text)), ERR_CORRUPT,
            "bad_code");
    REFUSED(admission_expect_code(door.keys, FIX_ORGANISER, 99, span_text(c.text)), ERR_NOT_FOUND,
            "event_not_open");
}

/* The signer's keys are asked for at most every few seconds: what cannot be checked yet is left to the door. */
static void a_code_of_a_key_made_a_moment_ago_is_shown(void **state)
{
    struct ticket_row t = sell(1, 3), u = sell(1, 4);
    struct code c = code_of(&t);
    struct signer_public_key key;
    (void)state;

    assert_int_equal(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(c.text)), OK);
    assert_int_equal(signer_key_rotate(&door.signer, FIX_ORGANISER, false, &key), OK);
    struct code d = code_of(&u);
    assert_int_equal(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(d.text)), OK);
}

/* More events than there is room for: the one that is in use stays, though it came first. */
static void keys_that_are_in_use_are_not_crowded_out(void **state)
{
    enum { FIRST = 1000 };
    struct signer_client deaf = door.signer;
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    struct clock_fixed clock;
    (void)state;

    clock_fixed_init(&clock, 1000000);
    admission_keys_free(door.keys);
    assert_int_equal(admission_keys_new(&deaf, &clock.clock, &door.keys), OK);
    for (uint32_t i = 0; i <= ADMISSION_EVENTS_MAX; i++) {
        const struct signer_event e = {
            .organiser_no = FIX_ORGANISER, .event_no = FIRST + i, .places = 1, .capacity = 1};
        clock_fixed_set(&clock, 1000000 + i);
        assert_int_equal(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(c.text)), OK);
        assert_int_equal(signer_event_open(&door.signer, &e), OK);
        assert_int_equal(admission_keys_load(door.keys, FIX_ORGANISER, FIRST + i, false), OK);
    }
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(proc_channel_open(ends[0], &deaf.channel), OK);
    deaf.timeout_ms = 0; /* whatever is asked for now is not answered: nobody reads it */
    assert_int_equal(admission_expect_code(door.keys, FIX_ORGANISER, 1, span_text(c.text)), OK);
    assert_int_not_equal(admission_keys_load(door.keys, FIX_ORGANISER, FIRST, false), OK);
    proc_channel_close(deaf.channel);
    close(ends[1]);
}

/* --- scanners that are not to be trusted -------------------------------------------------------------------------------------- */

static void a_scan_that_the_device_did_not_sign_leaves_nothing(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    struct scanner stranger = door.scanners[0];
    (void)state;

    at(DOORS_MS);
    ed25519_key_random(&stranger.key);
    struct scan s = scan_of(&stranger, 1, c.text);
    REFUSED(hand_in(&s), ERR_UNAUTHENTICATED, "bad_device_signature");
    scan_over(&s);
    s = scan_of(&door.scanners[0], 1, c.text);
    s.req.sequence = 2; /* signed for another number */
    REFUSED(hand_in(&s), ERR_UNAUTHENTICATED, "bad_device_signature");
    scan_over(&s);
    s = scan_of(&door.scanners[0], 1, c.text);
    s.req.scanned_at = SPAN_LIT("2026-10-21T13:20:01Z");
    REFUSED(hand_in(&s), ERR_UNAUTHENTICATED, "bad_device_signature");
    scan_over(&s);
    stranger = door.scanners[0];
    stranger.id.b[5] ^= 1;
    s = scan_of(&stranger, 1, c.text);
    REFUSED(hand_in(&s), ERR_UNAUTHENTICATED, "bad_device_signature");
    scan_over(&s);
    s = scan_of(&door.scanners[0], 0, c.text);
    REFUSED(hand_in(&s), ERR_INVALID, "bad_sequence");
    scan_over(&s);
    assert_int_equal(number("SELECT count(*) FROM scan"), 0);
    admits(&door.scanners[0], c.text);
}

static void a_revoked_scanner_scans_no_more(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    struct scan s = scan_of(&door.scanners[0], 1, c.text);
    assert_int_equal(store_testing_read(&fix.t, judge_, &s), OK); /* judged before, */
    assert_int_equal(store_testing_run(&fix.t, revoke_, &door.scanners[0].id), OK);
    REFUSED(store_testing_run(&fix.t, record_, &s), ERR_DENIED, "device_revoked");
    REFUSED(hand_in(&s), ERR_DENIED, "device_revoked"); /* and after */
    assert_int_equal(number("SELECT count(*) FROM scan"), 0);
    scan_over(&s);
    admits(&door.scanners[1], c.text);
}

static void numbers_that_a_scanner_leaves_out_are_noted(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    door.scanners[0].sequence = 4;
    admits(&door.scanners[0], c.text);
    assert_int_equal(
        number("SELECT count(*) FROM alert WHERE kind = 'sequence_gap' AND severity = 1 AND "
               "facts LIKE '%\"skipped\":4%'"),
        1);
    door.scanners[0].sequence = 2; /* one that comes late fills the gap */
    rejects(&door.scanners[0], c.text, "already_admitted");
    door.scanners[0].sequence = 5;
    rejects(&door.scanners[0], c.text, "already_admitted");
    assert_int_equal(alerts_of("sequence_gap"), 1);
}

/* --- what is left behind -------------------------------------------------------------------------------------------------------- */

static size_t audit_complaints;

static void complain(void *context, const struct ledger_finding *f)
{
    (void)context;
    /* The orders of this fixture were made by hand. */
    if (strncmp(f->subject, "ord_", 4) == 0 || strncmp(f->subject, "acc_", 4) == 0)
        return;
    audit_complaints++;
}

static enum err audit_(struct store_tx *tx, void *context)
{
    struct ledger_audit_config config = {.found = complain};
    struct ledger_audit_result result;
    (void)context;
    return ledger_audit(tx, fix.catalog.ledger, &config, &result);
}

static void every_scan_stands_in_the_ledger(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
    rejects(&door.scanners[1], c.text, "already_admitted");
    rejects(&door.scanners[1], "GH1:ABC", "malformed");
    assert_int_equal(store_testing_run(&fix.t, revoke_, &door.scanners[2].id), OK);
    audit_complaints = 0;
    assert_int_equal(store_testing_read(&fix.t, audit_, NULL), OK);
    assert_int_equal(audit_complaints, 0);
    sql("UPDATE scan SET reason = 'refunded' WHERE reason = 'already_admitted'");
    assert_int_equal(store_testing_read(&fix.t, audit_, NULL), OK);
    assert_int_equal(audit_complaints, 1);
}

static enum err lists_(struct store_tx *tx, void *context)
{
    struct store_page page = {.limit = 2};
    struct scan_row *rows;
    struct device_row *devices;
    struct arena a;
    size_t count;
    int64_t admitted;
    const struct ticket_row *t = context;

    arena_init(&a, 1 << 20);
    assert_int_equal(store_scan_list(tx, &a, FIX_ORGANISER, 1, &page, &rows, &count), OK);
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].reason, "malformed");
    assert_string_equal(rows[0].gate, "B");
    assert_string_equal(rows[1].reason, "already_admitted");
    page.after_no = rows[1].scan_no;
    assert_int_equal(store_scan_list(tx, &a, FIX_ORGANISER, 1, &page, &rows, &count), OK);
    assert_int_equal(count, 1);
    assert_true(rows[0].admitted && rows[0].admission_no == 1);
    page.after_no = 0;
    assert_int_equal(store_scan_list(tx, &a, FIX_ORGANISER, 2, &page, &rows, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(store_scan_list(tx, &a, FIX_OTHER, 0, &page, &rows, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(store_scan_admitted(tx, 1, &admitted), OK);
    assert_int_equal(admitted, 1);
    assert_int_equal(store_scan_admitted(tx, 2, &admitted), OK);
    assert_int_equal(admitted, 0);
    assert_int_equal(store_scan_uses(tx, t->id, &admitted), OK);
    assert_int_equal(admitted, 1);
    assert_int_equal(store_device_list(tx, &a, 1, &page, &devices, &count), OK);
    assert_int_equal(count, 2);
    page.after_no = devices[1].no;
    assert_int_equal(store_device_list(tx, &a, 1, &page, &devices, &count), OK);
    assert_int_equal(count, 0);
    arena_done(&a);
    return OK;
}

static void scans_are_listed_newest_first_and_by_organiser(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    at(DOORS_MS);
    admits(&door.scanners[0], c.text);
    rejects(&door.scanners[0], c.text, "already_admitted");
    rejects(&door.scanners[1], "x", "malformed");
    assert_int_equal(store_testing_read(&fix.t, lists_, &t), OK);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DOOR_TEST(a_ticket_admits_once_and_then_says_where_and_when),
        DOOR_TEST(an_entry_rule_of_two_admits_twice),
        DOOR_TEST(a_repeat_of_a_scan_gets_the_same_answer),
        DOOR_TEST(of_64_scans_at_once_exactly_one_is_admitted),
        DOOR_TEST(one_flipped_character_is_forged),
        DOOR_TEST(rubbish_is_recorded_and_is_no_alarm),
        DOOR_TEST(a_ticket_of_the_organisers_other_event_is_named_so),
        DOOR_TEST(a_code_of_another_organiser_is_of_an_unknown_key),
        DOOR_TEST(a_signed_ticket_that_was_never_sold_is_an_alarm),
        DOOR_TEST(before_doors_it_is_too_early_and_at_the_end_too_late),
        DOOR_TEST(a_ticket_that_is_not_valid_any_more_is_told_why),
        DOOR_TEST(after_a_resale_only_the_newest_ticket_of_the_place_enters),
        DOOR_TEST(a_key_that_was_rotated_after_the_first_scan_is_found),
        DOOR_TEST(a_key_that_was_rotated_here_is_known_at_once),
        DOOR_TEST(a_code_that_a_door_would_believe_is_shown_even_before_doors),
        DOOR_TEST(a_code_that_no_door_would_believe_is_not_shown),
        DOOR_TEST(a_code_of_a_key_made_a_moment_ago_is_shown),
        DOOR_TEST(keys_that_are_in_use_are_not_crowded_out),
        DOOR_TEST(a_scan_that_the_device_did_not_sign_leaves_nothing),
        DOOR_TEST(a_revoked_scanner_scans_no_more),
        DOOR_TEST(numbers_that_a_scanner_leaves_out_are_noted),
        DOOR_TEST(every_scan_stands_in_the_ledger),
        DOOR_TEST(scans_are_listed_newest_first_and_by_organiser),
    };
    DOOR_MAIN(tests);
}
