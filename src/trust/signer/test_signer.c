/* SPDX-License-Identifier: Apache-2.0 */
/* The whole signer as a real child process in a real directory: this program starts itself again with the role "signer". */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trust/ledger/note.h"
#include "trust/signer/signer.h"
#include "trust/signer/wire.h"

enum { WAIT_MS = 20000, EVENT = 7, ORGANISER = 3, LEAVES_MAX = 64 };
#define ORIGIN "tickets.example/log1"

struct site {
    char root[64], dir[96], master[96];
    struct proc_child child;
    struct signer_client client;
    bool running;
};

/* --- The site -------------------------------------------------------------------------------------------------------- */

static enum err launch(struct site *t, const char *role, const char *origin)
{
    const char *const argv[] = {"test", role, t->dir, t->master, origin, NULL};
    struct proc_spec spec = {.argv = argv};

    assert_int_equal(proc_spawn(&spec, &t->child), OK);
    enum err e = signer_client_open(&t->child, WAIT_MS, &t->client);
    t->running = e == OK;
    if (e != OK)
        proc_stop(&t->child, WAIT_MS);
    return e;
}

static void halt(struct site *t)
{
    if (!t->running)
        return;
    signer_client_close(&t->client);
    proc_stop(&t->child, WAIT_MS);
    t->running = false;
}

static void crash(struct site *t)
{
    kill(t->child.pid, SIGKILL);
    halt(t);
}

static struct signer_event event(uint32_t capacity)
{
    return (struct signer_event){ORGANISER, EVENT, false, 100, capacity};
}

static void open_event(struct site *t, uint32_t capacity)
{
    struct signer_event e = event(capacity);
    assert_int_equal(signer_event_open(&t->client, &e), OK);
}

static int setup(void **state)
{
    static struct site t;

    memset(&t, 0, sizeof t);
    snprintf(t.root, sizeof t.root, "/tmp/gh-signer-XXXXXX");
    assert_non_null(mkdtemp(t.root));
    snprintf(t.dir, sizeof t.dir, "%s/signer", t.root);
    snprintf(t.master, sizeof t.master, "%s/master", t.root);
    assert_int_equal(mkdir(t.dir, 0700), 0);
    assert_int_equal(launch(&t, "signer", ORIGIN), OK);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct site *t = *state;
    char command[128];

    halt(t);
    snprintf(command, sizeof command, "rm -rf %s", t->root);
    return system(command);
}

static void restart(struct site *t)
{
    halt(t);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
}

static struct ticket_claims claims(uint32_t place_no, uint32_t generation)
{
    struct ticket_claims c = {.event_number = EVENT,
                              .generation = generation,
                              .place_no = place_no,
                              .form = CREDENTIAL_PAPER,
                              .entry_class = 1};
    c.ticket.b[0] = 1;
    put_u32be(c.ticket.b + 8, place_no);
    put_u32be(c.ticket.b + 12, generation);
    snprintf(c.place, sizeof c.place, "A 1 %u", place_no);
    return c;
}

static struct signer_minted mint(struct site *t, const struct ticket_claims *c)
{
    struct signer_minted m;
    assert_int_equal(signer_mint(&t->client, c, 1, &m), OK);
    return m;
}

static void refuses(struct site *t, const struct ticket_claims *c, enum err code, const char *slug)
{
    struct signer_minted m = mint(t, c);
    assert_int_equal(m.code, code);
    assert_string_equal(m.slug, slug);
    assert_string_equal(m.text, "");
}

static void path_in(struct site *t, const char *name, char out[400])
{
    snprintf(out, 400, "%s/%s", t->dir, name);
}

/* --- Reading codes as a door does ------------------------------------------------------------------------------------- */

struct ring {
    struct signer_gate_key gate;
    struct signer_public_key keys[SIGNER_KEYS_MAX];
    size_t count;
};

static bool ring_gate(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key)
{
    struct ring *r = self;
    *ret_key = r->gate.key;
    return get_u32be(kid) == r->gate.kid;
}

static bool ring_issuer(void *self, const uint8_t kid[COSE_KID_BYTES], uint8_t *ret_key)
{
    struct ring *r = self;
    for (size_t i = 0; i < r->count; i++) {
        if (r->keys[i].kid != get_u32be(kid))
            continue;
        memcpy(ret_key, r->keys[i].public_key, ED25519_PUBLIC_BYTES);
        return true;
    }
    return false;
}

static enum credential_reason read_code(struct site *t, const char *text, uint32_t event_no,
                                        bool test_mode, struct ticket_claims *ret_claims)
{
    struct ring ring;
    struct credential_keys keys = {.gate_key = ring_gate, .issuer_key = ring_issuer, .self = &ring};
    struct credential_expect expect = {event_no, 1000, 0, 2000, true, test_mode};
    struct credential_verdict v;

    assert_int_equal(signer_gate_key(&t->client, event_no, &ring.gate), OK);
    assert_int_equal(signer_public_keys(&t->client, ORGANISER, test_mode, ring.keys, &ring.count),
                     OK);
    assert_int_equal(credential_read(span_text(text), &keys, &expect, &v), OK);
    *ret_claims = v.claims;
    return v.reason;
}

/* --- Minting ---------------------------------------------------------------------------------------------------------- */

static void a_minted_code_is_valid_at_the_door(void **state)
{
    struct site *t = *state;
    struct ticket_claims c = claims(4, 1), read;

    open_event(t, 10);
    struct signer_minted m = mint(t, &c);
    assert_int_equal(m.code, OK);
    assert_int_equal(read_code(t, m.text, EVENT, false, &read), CREDENTIAL_VALID);
    uint8_t wanted[SHA256_BYTES], got[SHA256_BYTES];
    assert_int_equal(wire_claims_hash(&c, wanted), OK);
    assert_int_equal(wire_claims_hash(&read, got), OK);
    assert_memory_equal(wanted, got, sizeof got);
    m.text[40] = m.text[40] == 'A' ? 'B' : 'A';
    assert_int_not_equal(read_code(t, m.text, EVENT, false, &read), CREDENTIAL_VALID);
}

static void the_same_claims_give_the_same_code_for_ever(void **state)
{
    struct site *t = *state;
    struct ticket_claims c = claims(4, 1), other = claims(5, 1), read;
    struct signer_public_key key;

    open_event(t, 10);
    struct signer_minted first = mint(t, &c);
    assert_string_equal(mint(t, &c).text, first.text);
    assert_int_equal(signer_key_rotate(&t->client, ORGANISER, false, &key), OK);
    assert_int_equal(key.generation, 2);
    assert_string_equal(mint(t, &c).text, first.text);
    crash(t);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
    struct signer_minted again = mint(t, &c);
    assert_string_equal(again.text, first.text);
    assert_int_equal(again.kid, first.kid);
    struct signer_minted newer = mint(t, &other);
    assert_int_equal(newer.kid, key.kid);
    assert_int_equal(read_code(t, newer.text, EVENT, false, &read), CREDENTIAL_VALID);
    assert_int_equal(read_code(t, first.text, EVENT, false, &read), CREDENTIAL_VALID);
}

static void conflicting_and_superseded_mints_are_refused(void **state)
{
    struct site *t = *state;
    struct ticket_claims c = claims(4, 2), changed = c, wallet = c;

    open_event(t, 10);
    assert_int_equal(mint(t, &c).code, OK);
    changed.entry_class = 9;
    refuses(t, &changed, ERR_CONFLICT, "mint_conflict");
    changed = c;
    changed.ticket.b[5] ^= 1;
    refuses(t, &changed, ERR_CONFLICT, "mint_conflict");
    wallet.form = CREDENTIAL_WALLET;
    assert_int_equal(mint(t, &wallet).code, OK);
    changed = claims(4, 1);
    refuses(t, &changed, ERR_CONFLICT, "superseded");
    changed = claims(4, 3);
    assert_int_equal(mint(t, &changed).code, OK);
    refuses(t, &c, ERR_CONFLICT, "superseded");
    restart(t);
    refuses(t, &c, ERR_CONFLICT, "superseded");
    changed.entry_class = 9;
    refuses(t, &changed, ERR_CONFLICT, "mint_conflict");
}

static void claims_out_of_range_are_refused(void **state)
{
    struct site *t = *state;
    struct ticket_claims c = claims(4, 0);

    open_event(t, 10);
    refuses(t, &c, ERR_INVALID, "bad_claims");
    c = claims(4, 1);
    c.form = CREDENTIAL_LIVE; /* without a holder key */
    refuses(t, &c, ERR_INVALID, "bad_claims");
    c.has_holder = true; /* all zero: a key of small order */
    refuses(t, &c, ERR_INVALID, "bad_public_key");
    struct ed25519_key holder;
    ed25519_key_random(&holder);
    memcpy(c.holder_key, holder.public_key, sizeof c.holder_key);
    assert_int_equal(mint(t, &c).code, OK);
}

static void no_more_places_than_the_capacity_get_tickets(void **state)
{
    struct site *t = *state;
    struct signer_event e = event(101);
    struct ticket_claims c = claims(0, 1);

    refuses(t, &c, ERR_NOT_FOUND, "event_not_open");
    assert_int_equal(signer_event_open(&t->client, &e), ERR_INVALID); /* more than places */
    open_event(t, 2);
    assert_int_equal(mint(t, &c).code, OK);
    c = claims(100, 1);
    refuses(t, &c, ERR_LIMIT, "capacity"); /* no such place */
    c = claims(99, 1);
    assert_int_equal(mint(t, &c).code, OK);
    c = claims(50, 1);
    refuses(t, &c, ERR_LIMIT, "capacity");
    restart(t);
    refuses(t, &c, ERR_LIMIT, "capacity");
    c = claims(99, 2); /* a live place goes on counting its generations */
    assert_int_equal(mint(t, &c).code, OK);
    c.form = CREDENTIAL_WALLET;
    assert_int_equal(mint(t, &c).code, OK);
}

static void a_raise_needs_the_owner(void **state)
{
    struct site *t = *state;
    struct signer_config config = {t->dir, t->master, ORIGIN};
    struct signer_event e = event(3);
    struct ticket_claims c;
    char path[400];

    open_event(t, 2);
    open_event(t, 2);
    assert_int_equal(signer_event_open(&t->client, &e), ERR_DENIED);
    assert_string_equal(err_last()->slug, "not_approved");
    assert_int_equal(signer_approve_capacity(&config, clock_system(), EVENT + 1, 100, 50), OK);
    assert_int_equal(signer_event_open(&t->client, &e), ERR_DENIED);
    assert_int_equal(signer_approve_capacity(&config, clock_system(), EVENT, 100, 3), OK);
    assert_int_equal(signer_event_open(&t->client, &e), OK);
    for (uint32_t i = 0; i < 3; i++) {
        c = claims(i, 1);
        assert_int_equal(mint(t, &c).code, OK);
    }
    e.capacity = 4;
    assert_int_equal(signer_event_open(&t->client, &e), ERR_DENIED);
    e.capacity = 2;
    assert_int_equal(signer_event_open(&t->client, &e), ERR_CONFLICT); /* three are in use */
    e = event(3);
    e.organiser_no = ORGANISER + 1;
    assert_int_equal(signer_event_open(&t->client, &e), ERR_CONFLICT);
    restart(t);
    open_event(t, 3);

    path_in(t, "approvals", path); /* a forged approval */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\x00\x00\x00\x64", 4, 64 + 8), 4);
    close(fd);
    e = event(4);
    assert_int_equal(signer_event_open(&t->client, &e), ERR_CORRUPT);
    assert_int_equal(signer_approve_capacity(&config, clock_system(), EVENT, 10, 11), ERR_INVALID);
}

static void test_mode_has_its_own_keys_and_prefix(void **state)
{
    struct site *t = *state;
    struct signer_event e = {ORGANISER, EVENT + 1, true, 10, 10};
    struct ticket_claims c = claims(1, 1), read;
    struct signer_public_key live[SIGNER_KEYS_MAX], test[SIGNER_KEYS_MAX];
    size_t live_count, test_count;

    open_event(t, 10);
    assert_int_equal(signer_event_open(&t->client, &e), OK);
    c.event_number = EVENT + 1;
    struct signer_minted m = mint(t, &c);
    assert_memory_equal(m.text, "GHT1:", 5);
    assert_int_equal(read_code(t, m.text, EVENT + 1, true, &read), CREDENTIAL_VALID);
    assert_int_equal(signer_public_keys(&t->client, ORGANISER, false, live, &live_count), OK);
    assert_int_equal(signer_public_keys(&t->client, ORGANISER, true, test, &test_count), OK);
    assert_int_equal(live_count, 1);
    assert_int_equal(test_count, 1);
    assert_memory_not_equal(live[0].public_key, test[0].public_key, 32);
    assert_int_equal(signer_public_keys(&t->client, 99, false, live, &live_count), OK);
    assert_int_equal(live_count, 0);
    assert_int_equal(signer_key_rotate(&t->client, 99, false, live), ERR_NOT_FOUND);
}

/* --- Crashes ---------------------------------------------------------------------------------------------------------- */

struct stream {
    struct site *site;
    uint32_t thread, acknowledged;
    char texts[3000][CREDENTIAL_TEXT_MAX + 1];
};

static struct ticket_claims nth(uint32_t thread, uint32_t i)
{
    return claims(thread * 10 + i % 10, 1 + i / 10);
}

static void *mint_until_it_dies(void *context)
{
    struct stream *s = context;
    struct signer_minted m;

    for (uint32_t i = 0; i < COUNT_OF(s->texts); i++) {
        struct ticket_claims c = nth(s->thread, i);
        if (signer_mint(&s->site->client, &c, 1, &m) != OK || m.code != OK)
            break;
        memcpy(s->texts[i], m.text, sizeof m.text);
        __atomic_store_n(&s->acknowledged, i + 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static enum err collect(void *context, const struct journal_record *r)
{
    uint32_t *newest = context;
    if (r->kind == JOURNAL_MINT)
        newest[r->place_no] = r->generation;
    return OK;
}

static void what_was_answered_survives_kill_9(void **state)
{
    struct site *t = *state;
    static struct stream streams[4];
    static uint32_t newest[100];
    pthread_t threads[4];

    open_event(t, 100);
    for (uint32_t i = 0; i < 4; i++) {
        memset(&streams[i], 0, sizeof streams[i]);
        streams[i].site = t;
        streams[i].thread = i;
        assert_int_equal(pthread_create(&threads[i], NULL, mint_until_it_dies, &streams[i]), 0);
    }
    while (__atomic_load_n(&streams[0].acknowledged, __ATOMIC_RELAXED) < 200)
        sched_yield();
    kill(t->child.pid, SIGKILL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    halt(t);
    memset(newest, 0, sizeof newest);
    assert_int_equal(signer_journal_scan(t->dir, collect, newest, NULL), OK);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t n = streams[i].acknowledged;
        for (uint32_t k = n < 10 ? 0 : n - 10; k < n; k++) {
            struct ticket_claims c = nth(i, k);
            assert_true(newest[c.place_no] >= c.generation);
            struct signer_minted m = mint(t, &c);
            if (newest[c.place_no] == c.generation)
                assert_string_equal(m.text, streams[i].texts[k]);
            else
                assert_string_equal(m.slug, "superseded");
        }
    }
}

static void a_torn_journal_end_is_dropped_and_minting_goes_on(void **state)
{
    struct site *t = *state;
    struct ticket_claims a = claims(1, 1), b = claims(2, 1);
    struct signer_status status;
    struct stat st;
    char path[400];

    open_event(t, 10);
    struct signer_minted first = mint(t, &a);
    assert_int_equal(mint(t, &b).code, OK);
    halt(t);
    path_in(t, "mint/00000001.journal", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 3 * JOURNAL_RECORD_BYTES);
    assert_int_equal(truncate(path, st.st_size - 30), 0);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(signer_status(&t->client, &status), OK);
    assert_int_equal(status.journal.sequence, 2);
    assert_string_equal(mint(t, &a).text, first.text);
    assert_int_equal(mint(t, &b).code, OK);
}

static void a_full_disk_fails_the_mint_and_nothing_else(void **state)
{
    struct site *t = *state;
    struct signer_status status;
    struct signer_minted m;
    struct ticket_claims c;
    uint32_t done = 0;

    open_event(t, 100);
    halt(t);
    assert_int_equal(launch(t, "signer-small", ORIGIN), OK); /* no file may pass 4 KiB */
    for (; done < 100; done++) {
        c = claims(done, 1);
        if (signer_mint(&t->client, &c, 1, &m) != OK)
            break;
        assert_int_equal(m.code, OK);
    }
    assert_int_equal(done, 4096 / JOURNAL_RECORD_BYTES - 1);
    assert_int_equal(signer_mint(&t->client, &c, 1, &m), ERR_IO);
    assert_int_equal(signer_status(&t->client, &status), OK);
    assert_int_equal(status.journal.sequence, done + 1);
    c = claims(0, 1);
    assert_int_equal(mint(t, &c).code, OK); /* what is known is still answered */
    restart(t);
    c = claims(done, 1);
    assert_int_equal(mint(t, &c).code, OK);
}

/* --- Start ------------------------------------------------------------------------------------------------------------- */

static void a_wrong_or_exposed_master_key_is_refused(void **state)
{
    struct site *t = *state;
    uint8_t key[32], other[32] = {1};

    halt(t);
    int fd = open(t->master, O_RDWR | O_CLOEXEC);
    assert_int_equal(read(fd, key, 32), 32);
    assert_int_equal(pwrite(fd, other, 32, 0), 32);
    assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(pwrite(fd, key, 32, 0), 32);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(ftruncate(fd, 31), 0);
    assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(pwrite(fd, key, 32, 0), 32);
    close(fd);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
}

static void a_directory_that_lost_a_file_is_refused(void **state)
{
    static const char *const names[] = {"keystore", "log_head", "mint/00000001.journal"};
    struct site *t = *state;
    char path[400], aside[400];

    open_event(t, 10);
    halt(t);
    path_in(t, "aside", aside);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        path_in(t, names[i], path);
        assert_int_equal(rename(path, aside), 0);
        assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
        assert_int_equal(rename(aside, path), 0);
        assert_int_equal(launch(t, "signer", ORIGIN), OK);
        halt(t);
    }
    assert_int_equal(rename(t->master, aside), 0);
    assert_int_not_equal(launch(t, "signer", ORIGIN), OK);
    assert_int_equal(access(t->master, F_OK), -1); /* no second key is made */
    assert_int_equal(rename(aside, t->master), 0);
    assert_int_not_equal(launch(t, "signer", "tickets.example/log2"), OK);
    assert_int_not_equal(launch(t, "signer", "no key+name"), OK);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
}

static void two_signers_never_share_a_directory(void **state)
{
    struct site *t = *state, second = *t;

    second.running = false;
    assert_int_not_equal(launch(&second, "signer", ORIGIN), OK);
    restart(t);
}

static void no_key_stands_in_a_file(void **state)
{
    struct site *t = *state;
    struct signer_gate_key gate;
    char path[400];
    uint8_t bytes[8192];
    struct dirent *e;

    open_event(t, 10);
    assert_int_equal(signer_gate_key(&t->client, EVENT, &gate), OK);
    DIR *dir = opendir(t->dir);
    while ((e = readdir(dir)) != NULL) {
        struct stat st;
        path_in(t, e->d_name, path);
        assert_int_equal(stat(path, &st), 0);
        if (!S_ISREG(st.st_mode))
            continue;
        assert_int_equal(st.st_mode & 077, 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, bytes, sizeof bytes);
        close(fd);
        assert_true(n >= 0);
        assert_null(memmem(bytes, (size_t)n, gate.key.b, 16));
    }
    closedir(dir);
}

/* --- The log ------------------------------------------------------------------------------------------------------------ */

struct tree {
    struct merkle_hash leaves[LEAVES_MAX];
};

static enum err tree_node(void *self, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
    struct tree *t = self;
    merkle_fold(t->leaves + (index << level), (size_t)1 << level, ret_hash);
    return OK;
}

static struct tree grow(const char *name)
{
    struct tree t;
    for (size_t i = 0; i < LEAVES_MAX; i++) {
        char entry[40];
        int n = snprintf(entry, sizeof entry, "%s %zu", i < 10 ? "common" : name, i);
        merkle_leaf(span_of(entry, (size_t)n), &t.leaves[i]);
    }
    return t;
}

static enum err sign(struct site *site, struct tree *tree, uint64_t old_size, uint64_t new_size,
                     struct buf *note)
{
    struct merkle_source source = {tree_node, tree};
    struct merkle_hash root, proof[MERKLE_PROOF_MAX];
    size_t count = 0;

    assert_int_equal(merkle_root_from(&source, new_size, &root), OK);
    if (old_size > 0 && old_size <= new_size)
        assert_int_equal(merkle_consistency_prove(&source, old_size, new_size, proof, &count), OK);
    buf_init(note, SIGNER_NOTE_MAX);
    return signer_log_sign(&site->client, old_size, new_size, &root, proof, count, note);
}

static void refuses_log(struct site *site, struct tree *tree, uint64_t old_size, uint64_t new_size,
                        const char *slug)
{
    struct buf note;
    assert_int_equal(sign(site, tree, old_size, new_size, &note), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, slug);
    assert_int_equal(note.len, 0);
}

static void a_log_that_grows_is_signed_and_a_fork_never(void **state)
{
    struct site *t = *state;
    struct tree ours = grow("ours"), fork = grow("fork");
    struct signer_status status;
    struct vkey vkey;
    struct checkpoint cp;
    struct buf first, again, next;

    assert_int_equal(signer_status(&t->client, &status), OK);
    assert_int_equal(vkey_parse(span_text(status.vkey), &vkey), OK);
    assert_int_equal(sign(t, &ours, 0, 12, &first), OK);
    assert_int_equal(checkpoint_open(buf_span(&first), &vkey, &cp), OK);
    assert_int_equal(cp.size, 12);
    assert_true(span_eq_text(cp.origin, ORIGIN));
    assert_int_equal(sign(t, &ours, 12, 12, &again), OK);
    assert_true(span_eq(buf_span(&first), buf_span(&again)));
    refuses_log(t, &fork, 12, 12, "log_fork");
    refuses_log(t, &fork, 12, 20, "log_fork");
    refuses_log(t, &ours, 12, 11, "log_rollback");
    refuses_log(t, &ours, 0, 5, "log_rollback");
    refuses_log(t, &ours, 0, 30, "log_stale");
    refuses_log(t, &ours, 10, 30, "log_stale");
    crash(t);
    assert_int_equal(launch(t, "signer", ORIGIN), OK);
    refuses_log(t, &fork, 12, 20, "log_fork");
    refuses_log(t, &ours, 0, 11, "log_rollback");
    buf_done(&again);
    assert_int_equal(sign(t, &ours, 12, 12, &again), OK);
    assert_true(span_eq(buf_span(&first), buf_span(&again)));
    assert_int_equal(sign(t, &ours, 12, 33, &next), OK);
    assert_int_equal(checkpoint_open(buf_span(&next), &vkey, &cp), OK);
    assert_int_equal(cp.size, 33);
    assert_int_equal(signer_status(&t->client, &status), OK);
    assert_int_equal(status.log_size, 33);
    buf_done(&first);
    buf_done(&again);
    buf_done(&next);
}

/* --- The rest ------------------------------------------------------------------------------------------------------------ */

static void a_webhook_is_signed_by_its_endpoints_key(void **state)
{
    struct site *t = *state;
    uint8_t id[16] = {1}, other[16] = {2}, key[32], again[32], sig[64];

    assert_int_equal(signer_webhook_sign(&t->client, id, "msg_1", 5, SPAN_LIT("{}"), sig),
                     ERR_NOT_FOUND);
    assert_int_equal(signer_webhook_key(&t->client, id, key), OK);
    assert_int_equal(signer_webhook_key(&t->client, other, again), OK);
    assert_memory_not_equal(key, again, 32);
    restart(t);
    assert_int_equal(signer_webhook_key(&t->client, id, again), OK);
    assert_memory_equal(key, again, 32);
    assert_int_equal(signer_webhook_sign(&t->client, id, "msg_1", 1700000000, SPAN_LIT("{}"), sig),
                     OK);
    assert_int_equal(ed25519_verify(key, SPAN_LIT("msg_1.1700000000.{}"), sig), OK);
    assert_int_equal(ed25519_verify(key, SPAN_LIT("msg_1.1700000001.{}"), sig), ERR_DENIED);
    assert_int_equal(signer_webhook_sign(&t->client, id, "a.b", 5, SPAN_LIT("{}"), sig),
                     ERR_INVALID);
}

static void the_journal_can_be_read_beside_and_through_the_signer(void **state)
{
    struct site *t = *state;
    static struct ticket_claims many[SIGNER_MINT_MAX];
    static struct signer_minted minted[SIGNER_MINT_MAX];
    static struct journal_record records[SIGNER_JOURNAL_READ_MAX];
    static uint32_t newest[100];
    struct journal_head head;
    struct signer_status status;
    size_t count;

    open_event(t, 100);
    for (uint32_t i = 0; i < SIGNER_MINT_MAX; i++)
        many[i] = claims(i, 1);
    many[3].place_no = 100; /* one of them fails alone */
    assert_int_equal(signer_mint(&t->client, many, SIGNER_MINT_MAX, minted), OK);
    for (uint32_t i = 0; i < SIGNER_MINT_MAX; i++)
        assert_int_equal(minted[i].code, i == 3 ? ERR_LIMIT : OK);
    assert_int_equal(signer_journal_read(&t->client, 1, records, &count), OK);
    assert_int_equal(count, SIGNER_MINT_MAX);
    assert_int_equal(records[0].kind, JOURNAL_EVENT_OPEN);
    assert_int_equal(records[0].capacity, 100);
    assert_int_equal(records[1].kind, JOURNAL_MINT);
    assert_memory_equal(records[1].ticket_id, many[0].ticket.b, 16);
    assert_int_equal(records[1].kid, minted[0].kid);
    assert_int_equal(signer_journal_read(&t->client, 1000, records, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(signer_journal_scan(t->dir, collect, newest, &head), OK);
    assert_int_equal(newest[63], 1);
    assert_int_equal(newest[3], 0);
    assert_int_equal(signer_status(&t->client, &status), OK);
    assert_int_equal(status.journal.sequence, head.sequence);
    assert_memory_equal(status.journal.hash, head.hash, 32);
}

static void questions_that_are_none_are_refused_and_change_nothing(void **state)
{
    struct site *t = *state;
    struct rng_seeded rng;
    struct signer_status before, after;
    uint8_t junk[300];

    open_event(t, 10);
    assert_int_equal(signer_status(&t->client, &before), OK);
    rng_seeded_init(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        AUTO(buf_done) struct buf out = {0};
        uint16_t type = (uint16_t)rng_below(&rng.rng, SIGNER_JOURNAL_READ + 3);
        size_t len = rng_below(&rng.rng, sizeof junk);
        rng_fill(&rng.rng, junk, sizeof junk);
        /* not what random bytes may lawfully ask for: a key for a random endpoint, the first log head */
        if (type == SIGNER_WEBHOOK_KEY && len == SIGNER_WEBHOOK_ID_BYTES)
            continue;
        if (type == SIGNER_LOG_SIGN && len >= 48 && len % 32 == 16)
            continue;
        if (type == SIGNER_EVENT_OPEN && len == 17)
            continue;
        buf_init(&out, PROC_PAYLOAD_MAX);
        enum err e = proc_call(t->client.channel, type, span_of(junk, len), WAIT_MS, &out);
        assert_true(e == OK || e == ERR_INVALID || e == ERR_NOT_FOUND);
    }
    assert_int_equal(signer_status(&t->client, &after), OK);
    assert_int_equal(before.journal.sequence, after.journal.sequence);
    assert_int_equal(before.keys, after.keys);
    assert_int_equal(before.log_size, after.log_size);
}

int main(int argc, char **argv)
{
#define SITE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        SITE_TEST(a_minted_code_is_valid_at_the_door),
        SITE_TEST(the_same_claims_give_the_same_code_for_ever),
        SITE_TEST(conflicting_and_superseded_mints_are_refused),
        SITE_TEST(claims_out_of_range_are_refused),
        SITE_TEST(no_more_places_than_the_capacity_get_tickets),
        SITE_TEST(a_raise_needs_the_owner),
        SITE_TEST(test_mode_has_its_own_keys_and_prefix),
        SITE_TEST(what_was_answered_survives_kill_9),
        SITE_TEST(a_torn_journal_end_is_dropped_and_minting_goes_on),
        SITE_TEST(a_full_disk_fails_the_mint_and_nothing_else),
        SITE_TEST(a_wrong_or_exposed_master_key_is_refused),
        SITE_TEST(a_directory_that_lost_a_file_is_refused),
        SITE_TEST(two_signers_never_share_a_directory),
        SITE_TEST(no_key_stands_in_a_file),
        SITE_TEST(a_log_that_grows_is_signed_and_a_fork_never),
        SITE_TEST(a_webhook_is_signed_by_its_endpoints_key),
        SITE_TEST(the_journal_can_be_read_beside_and_through_the_signer),
        SITE_TEST(questions_that_are_none_are_refused_and_change_nothing),
    };
    if (argc > 4 && strncmp(argv[1], "signer", 6) == 0) {
        struct signer_config config = {argv[2], argv[3], argv[4]};
        if (strcmp(argv[1], "signer-small") == 0) {
            struct rlimit small = {4096, 4096};
            struct sigaction ignore = {.sa_handler = SIG_IGN};
            sigaction(SIGXFSZ, &ignore, NULL);
            setrlimit(RLIMIT_FSIZE, &small);
        }
        return signer_main(PROC_CHILD_FD, &config);
    }
    unsetenv("CREDENTIALS_DIRECTORY");
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
