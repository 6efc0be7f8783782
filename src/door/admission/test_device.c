/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolling and revoking scanners; the codes of tickets they will see. */
#include "door/admission/test_fixture.h"

static void an_enrolment_works_once(void **state)
{
    struct enrolment e = enrolment_of(1, "Gate 7");
    struct ed25519_key key, other;
    int64_t entries = number("SELECT count(*) FROM entry WHERE kind = 52");
    (void)state;

    ed25519_key_random(&key);
    ed25519_key_random(&other);
    fix_id(0xb5, 50, e.id.b);
    memcpy(e.public_key, key.public_key, sizeof e.public_key);
    assert_int_equal(store_testing_run(&fix.t, enrolment_begin_, &e), OK);
    assert_int_equal(store_testing_run(&fix.t, enrol_, &e), OK);
    assert_true(e.row.active);
    assert_int_equal(e.row.event_no, 1);
    assert_int_equal(e.row.organiser_no, FIX_ORGANISER);
    assert_string_equal(e.row.name, "Scanner");
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 52"), entries + 1);
    fix_id(0xb5, 51, e.id.b);
    memcpy(e.public_key, other.public_key, sizeof e.public_key);
    REFUSED(store_testing_run(&fix.t, enrol_, &e), ERR_EXPIRED, "link_used");
    arena_done(&e.arena);
}

static void an_enrolment_is_over_after_its_time(void **state)
{
    struct enrolment e = enrolment_of(1, "A");
    struct ed25519_key key;
    (void)state;

    ed25519_key_random(&key);
    fix_id(0xb5, 50, e.id.b);
    memcpy(e.public_key, key.public_key, sizeof e.public_key);
    assert_int_equal(store_testing_run(&fix.t, enrolment_begin_, &e), OK);
    at(STORE_TESTING_NOW_MS + DEVICE_ENROLMENT_MS + 1);
    REFUSED(store_testing_run(&fix.t, enrol_, &e), ERR_EXPIRED, "link_used");
    arena_done(&e.arena);
}

static void ids_and_keys_are_not_shared_and_a_refusal_keeps_the_token(void **state)
{
    struct enrolment e = enrolment_of(1, "A");
    struct ed25519_key key;
    (void)state;

    ed25519_key_random(&key);
    assert_int_equal(store_testing_run(&fix.t, enrolment_begin_, &e), OK);
    e.id = door.scanners[0].id;
    memcpy(e.public_key, key.public_key, sizeof e.public_key);
    REFUSED(store_testing_run(&fix.t, enrol_, &e), ERR_CONFLICT, "id_reused");
    fix_id(0xb5, 50, e.id.b);
    memcpy(e.public_key, door.scanners[0].key.public_key, sizeof e.public_key);
    REFUSED(store_testing_run(&fix.t, enrol_, &e), ERR_CONFLICT, "id_reused");
    memset(e.public_key, 0, sizeof e.public_key); /* a point of small order */
    REFUSED(store_testing_run(&fix.t, enrol_, &e), ERR_INVALID, "bad_public_key");
    memcpy(e.public_key, key.public_key, sizeof e.public_key);
    assert_int_equal(store_testing_run(&fix.t, enrol_, &e), OK);
    arena_done(&e.arena);
}

static void an_enrolment_names_an_event_of_its_organiser_and_clean_texts(void **state)
{
    struct enrolment e = enrolment_of(1, "A");
    (void)state;

    e.wish.organiser_no = FIX_OTHER;
    REFUSED(store_testing_run(&fix.t, enrolment_begin_, &e), ERR_NOT_FOUND, "no_event");
    e.wish.organiser_no = FIX_ORGANISER;
    e.wish.event_no = 99;
    REFUSED(store_testing_run(&fix.t, enrolment_begin_, &e), ERR_NOT_FOUND, "no_event");
    e.wish.event_no = 1;
    e.wish.name = SPAN_LIT("");
    REFUSED(store_testing_run(&fix.t, enrolment_begin_, &e), ERR_INVALID, "bad_text");
    e.wish.name = SPAN_LIT("Scanner");
    e.wish.gate = SPAN_LIT("a\nb");
    REFUSED(store_testing_run(&fix.t, enrolment_begin_, &e), ERR_INVALID, "bad_text");
    assert_int_equal(number("SELECT count(*) FROM one_time WHERE used_ms IS NULL"), 0);
    arena_done(&e.arena);
}

static void revoking_twice_writes_one_entry(void **state)
{
    struct device_id none = {{1}};
    (void)state;

    assert_int_equal(store_testing_run(&fix.t, revoke_, &door.scanners[0].id), OK);
    assert_int_equal(store_testing_run(&fix.t, revoke_, &door.scanners[0].id), OK);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 53"), 1);
    assert_int_equal(number("SELECT count(*) FROM device WHERE status = 'revoked'"), 1);
    REFUSED(store_testing_run(&fix.t, revoke_, &none), ERR_NOT_FOUND, "no_device");
}

static void a_ticket_has_one_code_while_it_is_valid(void **state)
{
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t), again = code_of(&t);
    AUTO(buf_done) struct buf out = {0};
    (void)state;

    assert_string_equal(c.text, again.text);
    buf_init(&out, CREDENTIAL_TEXT_MAX);
    t.status = TICKET_REFUNDED;
    assert_int_equal(ticket_code(&door.signer, &t, door.plan, &out), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "ticket_not_valid");
    t.status = TICKET_VALID;
    t.event_no = 50; /* never opened */
    assert_int_equal(ticket_code(&door.signer, &t, door.plan, &out), ERR_NOT_FOUND);
    assert_string_equal(err_last()->slug, "event_not_open");
    t.place_no = PLACES; /* not of the plan */
    assert_int_equal(ticket_code(&door.signer, &t, door.plan, &out), ERR_CORRUPT);
    assert_int_equal(out.len, 0);
}

static void many_codes_come_in_few_messages_each_with_its_own_outcome(void **state)
{
    enum { COUNT = SIGNER_MINT_MAX + 6 };
    static struct ticket_row rows[COUNT];
    static struct signer_minted codes[COUNT];
    struct ticket_row t = sell(1, 3);
    struct code c = code_of(&t);
    (void)state;

    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = t;
        if (i % 10 == 9)
            rows[i].status = TICKET_REVOKED;
    }
    assert_int_equal(ticket_codes(&door.signer, rows, COUNT, door.plan, codes), OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(codes[i].code, i % 10 == 9 ? ERR_CONFLICT : OK);
        assert_string_equal(codes[i].text, i % 10 == 9 ? "" : c.text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DOOR_TEST(an_enrolment_works_once),
        DOOR_TEST(an_enrolment_is_over_after_its_time),
        DOOR_TEST(ids_and_keys_are_not_shared_and_a_refusal_keeps_the_token),
        DOOR_TEST(an_enrolment_names_an_event_of_its_organiser_and_clean_texts),
        DOOR_TEST(revoking_twice_writes_one_entry),
        DOOR_TEST(a_ticket_has_one_code_while_it_is_valid),
        DOOR_TEST(many_codes_come_in_few_messages_each_with_its_own_outcome),
    };
    DOOR_MAIN(tests);
}
