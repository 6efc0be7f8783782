/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_TEST_FIXTURE_H
#define TRUST_LEDGER_TEST_FIXTURE_H

/* test_fixture - a database with keys, a ledger on it, and ways to append; for the tests of this room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/store/testing.h"
#include "trust/keyring/keyring.h"
#include "trust/ledger/ledger.h"

struct fixture {
    struct store_testing t;
    struct disk disk; /* of t.dir */
    struct keyring *keyring;
    struct ledger *ledger;
};

static struct fixture f;

static inline int fixture_open(void **state)
{
    static const uint8_t master[SECRET_BYTES] = {7};
    struct keyring_config c = {
        .disk = &f.disk, .path = "keys", .master = master, .may_create = true};

    (void)state;
    assert_int_equal(crypto_init(), OK);
    store_testing_open(&f.t);
    assert_int_equal(disk_open(f.t.dir, &f.disk), OK);
    c.clock = &f.t.clock.clock;
    c.rng = &f.t.rng.rng;
    assert_int_equal(keyring_open(&c, &f.keyring), OK);
    assert_int_equal(ledger_new(f.keyring, &f.ledger), OK);
    store_testing_sql(&f.t, "PRAGMA foreign_keys=OFF");
    return 0;
}

static inline int fixture_close(void **state)
{
    (void)state;
    ledger_free(f.ledger);
    keyring_close(f.keyring);
    disk_close(&f.disk);
    store_testing_close(&f.t);
    return 0;
}

static inline enum err fixture_person_(struct store_tx *tx, void *context)
{
    return keyring_person_create(tx, f.keyring, context);
}

static inline int64_t fixture_person(void)
{
    int64_t no = 0;
    assert_int_equal(store_testing_run(&f.t, fixture_person_, &no), OK);
    return no;
}

struct fixture_append {
    uint64_t first, count;
};
static inline enum err fixture_append_(struct store_tx *tx, void *context)
{
    const struct fixture_append *a = context;
    for (uint64_t i = 0; i < a->count; i++) {
        struct entry_draft d;
        entry_begin(&d, tx, ENTRY_key_rotated, 0, 0);
        entry_str(&d, FIELD_key_id, "k");
        entry_int(&d, FIELD_count, (int64_t)(a->first + i));
        TRY(ledger_append(tx, f.ledger, &d, NULL));
    }
    return OK;
}
/* So many entries without rows. */
static inline void fixture_append(uint64_t count)
{
    struct fixture_append a = {0, count};
    assert_int_equal(store_testing_run(&f.t, fixture_append_, &a), OK);
}

#endif
