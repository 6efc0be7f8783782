/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gatehouse-cost - how many instructions the things done most often take: the commands of a sale as the writer runs them (a batch
 * in one transaction, commit included), a scan in both its halves, a proof of inclusion. Run under callgrind, which counts; between
 * the parts it dumps its counters, one file for each (tests/scenario/test_cost.py reads them). Alone it only runs.
 *
 * Everything that could make two runs differ is fixed: the clock stands, randomness is seeded.
 */
#include <valgrind/callgrind.h>

#include "door/admission/test_fixture.h"
#include "sale/hold/seat_map.h"
#include "sale/order/order.h"
#include "store/store/internal.h"
#include "trust/ledger/merkle.h"

enum { BATCH = 32, ROUNDS = 8, SEATS = 20000, STADIUM = 3, SEATS_APART = 62, LEAVES = 4096 };

static struct seat_maps *maps;
static uint32_t next_id, next_seat = SEATS / 2; /* the best are taken from the front */

static const char *part; /* what is counted now */

static void begin(const char *name)
{
    part = name;
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
}

static void end(void)
{
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(part);
}

/* Ids as buyers make them: time first, then what is random. */
static void make_id(uint8_t out[ID_BYTES])
{
    id_make(&fix.t.clock.clock, &fix.t.rng.rng, out);
    next_id++;
}

struct sale {
    struct hold_request hold;
    struct hold held;
    struct order_request order;
    struct order_row ordered;
    struct stripe_session session;
};

static struct sale sales[BATCH];

typedef enum err command_fn(struct store_tx *tx, void *context);

/* As the writer does. */
static void run_batch(command_fn *run, char *first, size_t size)
{
    struct store_tx *tx;
    size_t first_note;
    bool lost;

    assert_int_equal(tx_begin(fix.t.store, &tx), OK);
    for (size_t i = 0; i < BATCH; i++) {
        if (tx_attempt(tx, run, first + i * size, &first_note, &lost) != OK)
            fail_msg("%s: %s", err_last()->slug, err_last()->detail);
        seat_maps_released(maps, tx->notes + first_note, tx->note_count - first_note);
    }
    assert_int_equal(tx_commit(tx), OK);
    seat_maps_committed(maps, tx->notes, tx->note_count);
}

static enum err hold_(struct store_tx *tx, void *context)
{
    struct sale *s = context;
    return hold_place(tx, maps, &s->hold, &s->held);
}

static enum err order_(struct store_tx *tx, void *context)
{
    struct sale *s = context;
    struct order_placed placed;
    TRY(order_place(tx, fix.catalog.ledger, maps, &s->order, &placed));
    s->ordered = placed.order;
    return OK;
}

static enum err paid_(struct store_tx *tx, void *context)
{
    struct sale *s = context;
    return order_session_says(tx, fix.catalog.ledger, &s->session);
}

static enum err payment_(struct store_tx *tx, void *context)
{
    struct sale *s = context;
    struct payment_row p;

    TRY(store_payment_newest(tx, s->order.id, &p));
    payment_id_format(p.id, s->session.client_reference);
    return OK;
}

static void choose(void)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct sale *s = &sales[i];
        memset(s, 0, sizeof *s);
        make_id(s->hold.id.b);
        make_id(s->order.id.b);
        s->hold.event = EVENT_ID(STADIUM);
        s->hold.account_no = 1000 + (int64_t)i;
        if (i % 2) {
            s->hold.want = HOLD_BEST;
            s->hold.count = 2;
        } else {
            s->hold.want = HOLD_NAMED;
            s->hold.place_count = 2;
            s->hold.places[0] = next_seat;
            s->hold.places[1] = next_seat + 1;
            next_seat += SEATS_APART;
        }
        s->order.hold = s->hold.id;
        s->order.account_no = s->hold.account_no;
        s->order.return_origin = "https://shop.example";
    }
}

static void pay_all(void)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct sale *s = &sales[i];
        assert_int_equal(store_testing_read(&fix.t, payment_, s), OK);
        s->session.status = STRIPE_COMPLETE;
        s->session.paid = true;
        s->session.amount = s->ordered.amount;
        (void)snprintf(s->session.ref, sizeof s->session.ref, "cs_cost_%08u%02u", next_id,
                       (unsigned)i);
        (void)snprintf(s->session.intent_ref, sizeof s->session.intent_ref, "pi_cost_%08u%02u",
                       next_id, (unsigned)i);
    }
}

/* One after the other, so that each part is one stretch of counting. */
static void sell_all(const char *const names[3])
{
    command_fn *const steps[3] = {hold_, order_, paid_};

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        if (i == 0)
            choose();
        if (i == 2)
            pay_all();
        if (names)
            begin(names[i]);
        run_batch(steps[i], (char *)sales, sizeof sales[0]);
        if (names)
            end();
    }
}

/* --- scans ---------------------------------------------------------------------------------------------------------------- */

static struct scan scans[BATCH];
static struct code codes[BATCH];

static enum err tickets_(struct store_tx *tx, void *context)
{
    struct ticket_row *rows = context;

    for (size_t i = 0; i < BATCH; i++) {
        struct ticket_row of_order[ORDER_LINES_MAX];
        size_t count;
        TRY(store_tickets_of_order(tx, sales[i].order.id, of_order, ORDER_LINES_MAX, &count));
        assert_int_equal(count, 2);
        rows[i] = of_order[0];
    }
    return OK;
}

static void scan_all(bool counted)
{
    static struct ticket_row rows[BATCH];
    struct scanner *scanner = &door.scanners[3];

    assert_int_equal(store_testing_read(&fix.t, tickets_, rows), OK);
    for (size_t i = 0; i < BATCH; i++) {
        codes[i] = code_of(&rows[i]);
        scans[i] = scan_of(scanner, ++scanner->sequence, codes[i].text);
    }
    if (counted)
        begin("scan_judge");
    for (size_t i = 0; i < BATCH; i++)
        assert_int_equal(store_testing_read(&fix.t, judge_, &scans[i]), OK);
    if (counted) {
        end();
        begin("scan_record");
    }
    run_batch(record_, (char *)scans, sizeof scans[0]);
    if (counted) {
        end();
        begin("scan_judge_checked"); /* the issuer's signature was found right before */
        for (size_t i = 0; i < BATCH; i++)
            assert_int_equal(store_testing_read(&fix.t, judge_, &scans[i]), OK);
        end();
    }
    for (size_t i = 0; i < BATCH; i++) {
        assert_true(scans[i].result.admitted);
        scan_over(&scans[i]);
    }
}

/* --- proofs --------------------------------------------------------------------------------------------------------------- */

static struct merkle_hash nodes[13][LEAVES]; /* by level */

static enum err node(void *self, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
    (void)self;
    *ret_hash = nodes[level][index];
    return OK;
}

static void prove(void)
{
    const struct merkle_source source = {node, NULL};
    struct merkle_hash proof[MERKLE_PROOF_MAX], root;
    size_t count;

    for (uint32_t i = 0; i < LEAVES; i++) {
        uint8_t leaf[ENTRY_LEAF_BYTES] = {1, 1};
        put_u32be(leaf + 2, i);
        merkle_leaf(SPAN_ARRAY(leaf), &nodes[0][i]);
    }
    for (size_t level = 1; level < COUNT_OF(nodes); level++)
        for (size_t i = 0; i < (size_t)LEAVES >> level; i++)
            merkle_node(&nodes[level - 1][2 * i], &nodes[level - 1][2 * i + 1], &nodes[level][i]);
    assert_int_equal(merkle_root_from(&source, LEAVES, &root), OK);
    begin("proof");
    for (uint64_t i = 0; i < BATCH; i++) {
        assert_int_equal(merkle_inclusion_prove(&source, i * 97, LEAVES, proof, &count), OK);
        assert_int_equal(
            merkle_inclusion_verify(i * 97, LEAVES, &nodes[0][i * 97], proof, count, &root), OK);
    }
    end();
}

/* --- the world ------------------------------------------------------------------------------------------------------------ */

static enum err buyers_(struct store_tx *tx, void *context)
{
    int64_t *persons = context;

    for (size_t i = 0; i < BATCH; i++)
        TRY(keyring_person_create(tx, fix.keyring, &persons[i]));
    return OK;
}

static enum err stadium_plan_(struct store_tx *tx, void *context)
{
    (void)context;
    packed_free(&door.plan);
    return plan_of_event(tx, STADIUM, &door.plan);
}

static void make_stadium(void)
{
    const struct plan_stadium wish = {SPAN_LIT("Bowl"), SEATS, 2, 24};
    const struct signer_event opened = {FIX_ORGANISER, STADIUM, false, SEATS, SEATS};
    struct event_request req = fix_event_request(STADIUM, 2);
    int64_t persons[BATCH];
    struct plan *plan;

    assert_int_equal(plan_generate_stadium(&wish, &plan), OK);
    fix_store_plan(2, plan);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(signer_event_open(&door.signer, &opened), OK);
    assert_int_equal(store_testing_read(&fix.t, stadium_plan_, NULL), OK);
    enrol(&door.scanners[3], 4, STADIUM, "D");
    assert_int_equal(store_testing_run(&fix.t, buyers_, persons), OK);
    for (size_t i = 0; i < BATCH; i++)
        sql("INSERT INTO account (account_no, id, person_no, status, created_ms) VALUES (%d, "
            "x'02000000000000000000000000000%03x', %d, 'active', 1)",
            1000 + (int)i, (unsigned)i, (int)persons[i]);
    assert_int_equal(seat_maps_new(fix.t.store, &maps), OK);
}

static void count_all(void)
{
    static const char *const names[] = {"hold", "order", "paid"};

    at(STORE_TESTING_NOW_MS + 1000);
    sell_all(NULL); /* caches fill, statements are prepared */
    at(DOORS_MS + 1000);
    scan_all(false);
    for (int i = 0; i < ROUNDS; i++) {
        at(STORE_TESTING_NOW_MS + 2000 + i);
        sell_all(names);
    }
    at(DOORS_MS + 2000);
    scan_all(true);
    prove();
    (void)printf("%d\n", BATCH);
}

int main(int argc, char **argv)
{
    if (argc > 4 && strcmp(argv[1], "signer") == 0) {
        struct signer_config config = {argv[2], argv[3], argv[4]};
        return signer_main(PROC_CHILD_FD, &config);
    }
    door_program = argv[0];
    unsetenv("CREDENTIALS_DIRECTORY");
    door_open(NULL);
    make_stadium();
    count_all();
    seat_maps_free(maps);
    door_close(NULL);
    return 0;
}
