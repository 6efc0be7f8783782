/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_ADMISSION_TEST_FIXTURE_H
#define DOOR_ADMISSION_TEST_FIXTURE_H

/*
 * test_fixture - two events on sale (the second lets in twice), tickets, scanners with keys of their own, and a real signer as a child:
 * the test program starts itself again with the role "signer".
 */
#include <sys/stat.h>
#include <unistd.h>

#include "door/admission/admission.h"
#include "sale/catalog/test_fixture.h"
#include "sale/ticket/code.h"

enum { WAIT_MS = 20000, DEVICES = 4, PLACES = 56 };

struct scanner {
    struct device_id id;
    struct ed25519_key key;
    int64_t sequence; /* the last one used */
};

struct door {
    char root[64], dir[96], master[96];
    struct proc_child child;
    struct signer_client signer;
    struct admission_keys *keys;
    struct packed *plan;
    struct scanner scanners[DEVICES]; /* 0, 1 of event 1 at gates A, B; 2 of event 2 */
    uint8_t made;                     /* names orders and holds */
    _Atomic int judged_from_memory;
};

static struct door door;
/* What to start as the signer; NULL: this program. Under valgrind /proc/self/exe is valgrind. */
static const char *door_program;

#define DOORS_MS (STORE_TESTING_NOW_MS + 30 * DAY_MS - HOUR_MS)
#define ENDS_MS (STORE_TESTING_NOW_MS + 30 * DAY_MS + 3 * HOUR_MS)

static inline void at(int64_t ms)
{
    clock_fixed_set(&fix.t.clock, ms);
}

static inline void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void sql(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_true(n > 0 && (size_t)n < sizeof text);
    store_testing_sql(&fix.t, text);
}

/* --- tickets -------------------------------------------------------------------------------------------------------------- */

struct issue {
    struct order_row order;
    struct order_line line;
    struct ticket_row ticket;
};

static inline enum err issue_(struct store_tx *tx, void *context)
{
    struct issue *c = context;
    struct order_buyer buyer;
    TRY(store_order_buyer(tx, 1, &buyer));
    return ticket_issue(tx, fix.catalog.ledger, &c->order, &buyer, &c->line, &c->ticket);
}

/* A ticket for a free place, as if its order had just been paid. */
static inline struct ticket_row sell(int64_t event_no, uint32_t place)
{
    struct issue c = {.order = {.organiser_no = FIX_ORGANISER,
                                .event_no = event_no,
                                .account_no = 1,
                                .amount = {4250, {"EUR"}}},
                      .line = {place, 0, 4000, 250}};
    unsigned n = ++door.made;

    fix_id(0xb1, (uint8_t)n, c.order.id.b);
    sql("INSERT INTO hold (id, event_no, organiser_no, account_no, status, fingerprint, places, "
        "created_ms, expires_ms, latest_ms) VALUES (x'b00000000000000000000000000000%02x', %d, 1, "
        "1, 'ordered', zeroblob(32), x'00000000', 1, 2, 3)",
        n, (int)event_no);
    sql("INSERT INTO sale_order (id, organiser_no, event_no, account_no, hold_id, status, "
        "amount_minor, currency, created_ms, pay_until_ms) VALUES "
        "(x'b10000000000000000000000000000%02x', 1, %d, 1, x'b00000000000000000000000000000%02x', "
        "'paid', 4250, 'EUR', 1, 2)",
        n, (int)event_no, n);
    sql("INSERT INTO order_line (order_id, place_no, category_no, price_minor, fee_minor) VALUES "
        "(x'b10000000000000000000000000000%02x', %u, 0, 4000, 250)",
        n, place);
    sql("UPDATE place SET state = 2, order_id = x'b10000000000000000000000000000%02x' "
        "WHERE event_no = %d AND place_no = %u",
        n, (int)event_no, place);
    assert_int_equal(store_testing_run(&fix.t, issue_, &c), OK);
    return c.ticket;
}

struct code {
    char text[CREDENTIAL_TEXT_MAX + 1];
};

static inline struct code code_of(const struct ticket_row *ticket)
{
    AUTO(buf_done) struct buf out = {0};
    struct code c;

    buf_init(&out, CREDENTIAL_TEXT_MAX);
    assert_int_equal(ticket_code(&door.signer, ticket, door.plan, &out), OK);
    assert_int_equal(span_to_text(buf_span(&out), c.text, sizeof c.text), OK);
    return c;
}

/* --- scanners ------------------------------------------------------------------------------------------------------------- */

struct enrolment {
    struct device_enrolment wish;
    char token[AUTH_TOKEN_TEXT];
    struct device_id id;
    uint8_t public_key[ED25519_PUBLIC_BYTES];
    struct arena arena;
    struct device_row row;
};

static inline enum err enrolment_begin_(struct store_tx *tx, void *context)
{
    struct enrolment *e = context;
    return device_enrolment_begin(tx, &e->wish, e->token);
}
static inline enum err enrol_(struct store_tx *tx, void *context)
{
    struct enrolment *e = context;
    return device_enrol(tx, &e->arena, fix.catalog.ledger, span_text(e->token), e->id,
                        e->public_key, &e->row);
}
static inline enum err revoke_(struct store_tx *tx, void *context)
{
    return device_revoke(tx, fix.catalog.ledger, *(struct device_id *)context, 1);
}

static inline struct enrolment enrolment_of(int64_t event_no, const char *gate)
{
    struct enrolment e = {.wish = {.organiser_no = FIX_ORGANISER,
                                   .event_no = event_no,
                                   .name = SPAN_LIT("Scanner"),
                                   .gate = span_text(gate),
                                   .by_account_no = 1}};
    arena_init(&e.arena, 65536);
    return e;
}

static inline void enrol(struct scanner *s, uint8_t n, int64_t event_no, const char *gate)
{
    struct enrolment e = enrolment_of(event_no, gate);

    ed25519_key_random(&s->key);
    fix_id(0xb5, n, s->id.b);
    e.id = s->id;
    memcpy(e.public_key, s->key.public_key, sizeof e.public_key);
    assert_int_equal(store_testing_run(&fix.t, enrolment_begin_, &e), OK);
    assert_int_equal(store_testing_run(&fix.t, enrol_, &e), OK);
    assert_string_equal(e.row.gate, gate);
    arena_done(&e.arena);
}

/* --- scans -------------------------------------------------------------------------------------------------------------------- */

struct scan {
    struct scan_request req;
    struct scan_judged judged;
    struct scan_result result;
    struct arena arena;
};

/* Whatever a test scans: judged from memory, when it can be, it is judged the same. */
static inline void judge_again_from_memory(struct store_tx *tx, struct scan *s, enum err rows)
{
    AUTO(event_facts_release) struct event_facts *facts = NULL;
    struct err_info why;
    struct scan_judged j;
    int64_t event_no = admission_known_event(door.keys, s->req.device);
    bool judged;

    err_save(&why);
    if (event_no != 0) {
        assert_int_equal(event_facts_load(tx, event_no, &facts), OK);
        enum err e =
            scan_judge_known(facts, store_now_ms(tx), &s->arena, door.keys, &s->req, &j, &judged);
        if (rows == ERR_DENIED) /* revoked: scan_record's to find */
            assert_int_equal(e, OK);
        else if (rows != OK)
            assert_int_equal(e, rows);
        door.judged_from_memory += judged;
        if (rows == OK && judged) {
            assert_int_equal(j.verdict.reason, s->judged.verdict.reason);
            assert_int_equal(j.verdict.has_claims, s->judged.verdict.has_claims);
            assert_int_equal(j.device_no, s->judged.device_no);
            assert_int_equal(j.organiser_no, s->judged.organiser_no);
            assert_int_equal(j.event_no, s->judged.event_no);
            assert_int_equal(j.entries_max, s->judged.entries_max);
            assert_true(j.signature_checked);
            assert_memory_equal(j.code_hash, s->judged.code_hash, sizeof j.code_hash);
            assert_string_equal(j.category_name, s->judged.category_name);
            if (j.verdict.has_claims)
                assert_memory_equal(j.verdict.claims.ticket.b, s->judged.verdict.claims.ticket.b,
                                    ID_BYTES);
        }
    }
    if (rows != OK)
        (void)!err_restore(&why);
}

static inline enum err judge_(struct store_tx *tx, void *context)
{
    struct scan *s = context;
    return scan_judge(tx, &s->arena, door.keys, &s->req, &s->judged);
}

static inline enum err judge_both_(struct store_tx *tx, void *context)
{
    enum err e = judge_(tx, context);

    judge_again_from_memory(tx, context, e);
    return e;
}
static inline enum err record_(struct store_tx *tx, void *context)
{
    struct scan *s = context;
    return scan_record(tx, fix.catalog.ledger, &s->req, &s->judged, &s->result);
}

/* As the device sends it. The code must outlive the scan; scan_over when done. */
static inline struct scan scan_of(const struct scanner *scanner, int64_t sequence, const char *code)
{
    AUTO(buf_done) struct buf message = {0};
    struct scan s = {.req = {.device = scanner->id,
                             .sequence = sequence,
                             .scanned_at = SPAN_LIT("2026-10-21T13:20:00Z"),
                             .scanned_ms = 1792588800000,
                             .code = span_text(code)}};

    arena_init(&s.arena, 1 << 20);
    buf_init(&message, 4096);
    scan_message(&s.req, &message);
    assert_int_equal(buf_check(&message), OK);
    ed25519_sign(&scanner->key, buf_span(&message), s.req.signature);
    return s;
}

static inline void scan_over(struct scan *s)
{
    arena_done(&s->arena);
}

static inline enum err hand_in(struct scan *s)
{
    TRY(store_testing_read(&fix.t, judge_both_, s));
    return store_testing_run(&fix.t, record_, s);
}

/* Scan with the next number; the result's texts are static but for category_name, which is dropped. */
static inline struct scan_result scan(struct scanner *scanner, const char *code)
{
    struct scan s = scan_of(scanner, ++scanner->sequence, code);

    if (hand_in(&s) != OK)
        fail_msg("%s: %s", err_last()->slug, err_last()->detail);
    scan_over(&s);
    s.result.category_name = NULL;
    return s.result;
}

static inline void admits(struct scanner *scanner, const char *code)
{
    struct scan_result r = scan(scanner, code);
    assert_string_equal(r.reason, "ok");
    assert_true(r.admitted);
}

static inline void rejects(struct scanner *scanner, const char *code, const char *reason)
{
    int64_t scans = number("SELECT count(*) FROM scan");
    int64_t entries = number("SELECT count(*) FROM entry WHERE kind = 51");
    struct scan_result r = scan(scanner, code);

    assert_string_equal(r.reason, reason);
    assert_false(r.admitted);
    assert_true(strlen(r.say) > 0);
    assert_int_equal(number("SELECT count(*) FROM scan"), scans + 1);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 51"), entries + 1);
}

static inline int64_t alerts_of(const char *kind)
{
    char text[128];
    snprintf(text, sizeof text, "SELECT count(*) FROM alert WHERE kind = '%s'", kind);
    return number(text);
}

/* --- the world -------------------------------------------------------------------------------------------------------------- */

static inline enum err person_(struct store_tx *tx, void *context)
{
    return keyring_person_create(tx, fix.keyring, context);
}

static inline enum err plan_(struct store_tx *tx, void *context)
{
    (void)context;
    return plan_of_event(tx, 1, &door.plan);
}

static inline void start_signer(void)
{
    const char *const argv[] = {"test", "signer", door.dir, door.master, "tickets.example/log1",
                                NULL};
    struct proc_spec spec = {.path = door_program, .argv = argv};

    snprintf(door.root, sizeof door.root, "/tmp/gh-door-XXXXXX");
    assert_non_null(mkdtemp(door.root));
    snprintf(door.dir, sizeof door.dir, "%s/signer", door.root);
    snprintf(door.master, sizeof door.master, "%s/master", door.root);
    assert_int_equal(mkdir(door.dir, 0700), 0);
    assert_int_equal(proc_spawn(&spec, &door.child), OK);
    assert_int_equal(signer_client_open(&door.child, WAIT_MS, &door.signer), OK);
    for (uint32_t event_no = 1; event_no <= 2; event_no++) {
        struct signer_event e = {FIX_ORGANISER, event_no, false, PLACES, PLACES};
        assert_int_equal(signer_event_open(&door.signer, &e), OK);
    }
    assert_int_equal(admission_keys_new(&door.signer, clock_system(), &door.keys), OK);
}

static inline int door_open(void **state)
{
    int64_t person_no = 0;

    memset(&door, 0, sizeof door);
    fix_open(state);
    fix_accounts();
    assert_int_equal(store_testing_run(&fix.t, person_, &person_no), OK);
    sql("UPDATE account SET person_no = %d", (int)person_no);
    for (uint8_t n = 1; n <= 2; n++) {
        struct event_request req = fix_event_request(n, 1);
        req.entries_max = n;
        assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
        assert_int_equal(fix_status(FIX_ORGANISER, EVENT_ID(n), EVENT_ON_SALE), OK);
    }
    assert_int_equal(store_testing_read(&fix.t, plan_, NULL), OK);
    start_signer();
    enrol(&door.scanners[0], 1, 1, "A");
    enrol(&door.scanners[1], 2, 1, "B");
    enrol(&door.scanners[2], 3, 2, "C");
    return 0;
}

static inline int door_close(void **state)
{
    char command[128];

    admission_keys_free(door.keys);
    signer_client_close(&door.signer);
    proc_stop(&door.child, WAIT_MS);
    packed_free(&door.plan);
    snprintf(command, sizeof command, "rm -rf %s", door.root);
    assert_int_equal(system(command), 0);
    return fix_close(state);
}

#define DOOR_TEST(name) cmocka_unit_test_setup_teardown(name, door_open, door_close)

/* The whole main of a test program. */
#define DOOR_MAIN(tests)                                                                           \
    do {                                                                                           \
        if (argc > 4 && strcmp(argv[1], "signer") == 0) {                                          \
            struct signer_config config = {argv[2], argv[3], argv[4]};                             \
            return signer_main(PROC_CHILD_FD, &config);                                            \
        }                                                                                          \
        unsetenv("CREDENTIALS_DIRECTORY");                                                         \
        return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;                \
    } while (0)

#endif
