/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_TEST_LOG_H
#define TRUST_LEDGER_TEST_LOG_H

/* test_log - a log beside the fixture's database: two directories, a signer that never forgives, disks that fail on demand. */
#include <sys/stat.h>

#include "trust/ledger/sequencer.h"
#include "trust/ledger/test_fixture.h"
#include "trust/ledger/tile.h"
#include "trust/ledger/verify.h"

enum { SIZES_MAX = 70000 };

/* What trust/signer does, without its process. */
struct test_signer {
    struct ed25519_key key;
    struct vkey vkey;
    uint64_t size, calls;
    struct merkle_hash root;
    bool signed_sizes[SIZES_MAX];
    struct merkle_hash roots[SIZES_MAX];
};
static struct test_signer signer;

/* Fails the n-th changing call: before it did anything, or after all of it was done. */
struct failing {
    struct disk real;
    int64_t *left; /* shared by the disks of a test; counts down, negative: never */
    bool after;
};

static struct failing log_disk, state_disk;
static struct disk log_files, state_files; /* what the sequencer gets */
static int64_t calls_left = -1;
static struct sequencer *seq;

static inline bool fails(struct failing *d)
{
    return *d->left >= 0 && (*d->left)-- <= 0;
}

#define FAILING(call)                                                                              \
    struct failing *d = self;                                                                      \
    bool now = fails(d);                                                                           \
    if (now) {                                                                                     \
        *d->left = 0;                                                                              \
        if (d->after)                                                                              \
            (void)!(call);                                                                         \
        FAIL(ERR_IO, "test_failure", "The disk was told to fail.");                                \
    }                                                                                              \
    return call

static inline enum err failing_replace(void *self, const char *path, struct span s, unsigned mode)
{
    FAILING(d->real.replace(d->real.self, path, s, mode));
}
static inline enum err failing_create(void *self, const char *path, struct span s, unsigned mode)
{
    FAILING(d->real.create(d->real.self, path, s, mode));
}
static inline enum err failing_create_all(void *self, const struct disk_file *files, size_t count,
                                          unsigned mode)
{
    FAILING(d->real.create_all(d->real.self, files, count, mode));
}
static inline enum err failing_remove(void *self, const char *path)
{
    FAILING(d->real.remove(d->real.self, path));
}
static inline enum err failing_read(void *self, const char *path, struct buf *out)
{
    struct failing *d = self;
    return d->real.read(d->real.self, path, out);
}
static inline enum err failing_list(void *self, const char *dir,
                                    enum err (*visit)(void *, const char *), void *context)
{
    struct failing *d = self;
    return d->real.list(d->real.self, dir, visit, context);
}

static inline struct disk failing_disk(struct failing *d, const char *name)
{
    char path[STORE_TESTING_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", f.t.dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(disk_open(path, &d->real), OK);
    d->left = &calls_left;
    return (struct disk){.read = failing_read,
                         .replace = failing_replace,
                         .create = failing_create,
                         .create_all = failing_create_all,
                         .remove = failing_remove,
                         .list = failing_list,
                         .self = d};
}

static inline enum err test_sign(void *context, uint64_t old_size, uint64_t new_size,
                                 const struct merkle_hash *root, const struct merkle_hash *proof,
                                 size_t count, struct buf *note)
{
    struct test_signer *s = context;
    uint8_t signature[64];

    ENSURE(!(calls_left >= 0 && calls_left-- <= 0 && ((calls_left = 0), true)), ERR_IO,
           "test_failure", "The signer was told to fail.");
    assert_true(new_size < SIZES_MAX);
    if (s->signed_sizes[new_size])
        assert_memory_equal(&s->roots[new_size], root, sizeof *root); /* L2b */
    if (new_size != s->size || s->size == 0) {
        assert_true(old_size == s->size && new_size > s->size);
        if (old_size > 0)
            assert_int_equal(
                merkle_consistency_verify(old_size, new_size, &s->root, root, proof, count), OK);
    }
    s->signed_sizes[new_size] = true;
    s->roots[new_size] = *root;
    s->root = *root;
    s->size = new_size;
    s->calls++;
    checkpoint_format(note, s->vkey.name, new_size, root);
    ed25519_sign(&s->key, buf_span(note), signature);
    buf_put_u8(note, '\n');
    note_put_signature(note, &s->vkey, SPAN_ARRAY(signature));
    return buf_check(note);
}

static inline enum err log_start(bool may_create)
{
    struct sequencer_config c = {.disk = &log_files,
                                 .state = &state_files,
                                 .state_path = "size",
                                 .key = &signer.vkey,
                                 .sign = test_sign,
                                 .sign_context = &signer,
                                 .may_create = may_create};
    return sequencer_open(&c, &seq);
}

static inline int log_open(void **state)
{
    static const uint8_t seed[32] = {5};

    fixture_open(state);
    memset(&signer, 0, sizeof signer);
    calls_left = -1;
    ed25519_key_from_seed(seed, &signer.key);
    assert_int_equal(
        vkey_make("tickets.example/test", NOTE_ED25519, signer.key.public_key, &signer.vkey), OK);
    log_files = failing_disk(&log_disk, "log");
    state_files = failing_disk(&state_disk, "state");
    assert_int_equal(log_start(true), OK);
    return 0;
}

static inline int log_close(void **state)
{
    char command[3 * STORE_TESTING_PATH_MAX];

    sequencer_close(seq);
    seq = NULL;
    disk_close(&log_disk.real);
    disk_close(&state_disk.real);
    snprintf(command, sizeof command, "rm -r '%s/log' '%s/state'", f.t.dir, f.t.dir);
    assert_int_equal(system(command), 0);
    return fixture_close(state);
}

static inline enum err log_step(void)
{
    return sequencer_step(seq, f.t.reader, NULL);
}

#endif
