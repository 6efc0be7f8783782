/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ground/crypto/crypto.h"
#include "trust/ledger/note.h"
#include "trust/ledger/tile.h"

#define LOG_VKEY "tickets.example/log1+0d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define WITNESS_VKEY "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
#define LOG_LINE                                                                                   \
    "— tickets.example/log1 "                                                                    \
    "DSh4H8AxyRpuUYu8nXI3vmAn+DH6QOFVxRP/RKqd9/"                                                   \
    "b+0fzwz7rJ9KFG84bmX884IKEXpyRXuRO3COZl3tJwM9WWLAI=\n"
#define WITNESS_LINE                                                                               \
    "— witness.example/w1 "                                                                      \
    "IDJKvgAAAABlU/EA174plknpvAS4TDIFqiMWhO0692V3mYQlmgg1RsDg8QOBHUKXMpO+hIbaupQNogoOcoYrPfwdOCkA" \
    "kzMi2nGNCw==\n"
#define TEXT "tickets.example/log1\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n"

static struct vkey log_key, witness_key;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), OK);
    assert_int_equal(vkey_parse(span_text(LOG_VKEY), &log_key), OK);
    assert_int_equal(vkey_parse(span_text(WITNESS_VKEY), &witness_key), OK);
    return 0;
}

static void read_golden(const char *name, struct buf *out)
{
    struct disk d;
    assert_int_equal(disk_open(GOLDEN_DIR, &d), OK);
    assert_int_equal(d.read(d.self, name, out), OK);
    disk_close(&d);
}

static void published_example_verifies(void **state)
{
    static const char text[] = "This is an example message.\n\n— example.com/foo "
                               "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH"
                               "3mFXmRKuwHjG1Yu72IneyaQM=\n";
    struct vkey key;
    struct note note;

    (void)state;
    assert_int_equal(
        vkey_parse(
            span_text("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"),
            &key),
        OK);
    assert_int_equal(note_parse(span_text(text), &note), OK);
    assert_int_equal(note_verify(&note, &key, 1, NULL, NULL), OK);
    assert_true(span_eq_text(note.text, "This is an example message.\n"));
}

static void golden_keys_checkpoint_and_cosignature(void **state)
{
    AUTO(buf_done) struct buf b, mine;
    uint8_t seed[32], signature[64], timed[72];
    struct ed25519_key key;
    struct vkey made;
    struct note note;
    struct checkpoint c;
    bool verified[2];
    uint64_t times[2];
    char text[VKEY_TEXT_MAX + 1];

    (void)state;
    buf_init(&b, 4096);
    buf_init(&mine, 4096);
    read_golden("L/checkpoint", &b);
    assert_int_equal(note_parse(buf_span(&b), &note), OK);
    assert_int_equal(note_verify(&note, (struct vkey[]){log_key, witness_key}, 2, verified, times),
                     OK);
    assert_true(verified[0] && verified[1]);
    assert_true(times[0] == 0 && times[1] == 1700000000);
    assert_int_equal(checkpoint_open(buf_span(&b), &log_key, &c), OK);
    assert_true(c.size == 3);
    assert_int_equal(checkpoint_open(buf_span(&b), &witness_key, &c), ERR_DENIED);

    /* The same bytes from the seeds. */
    checkpoint_format(&mine, "tickets.example/log1", 3, &c.root);
    assert_true(span_eq_text(buf_span(&mine), TEXT));
    for (uint8_t i = 0; i < 32; i++)
        seed[i] = i;
    ed25519_key_from_seed(seed, &key);
    assert_int_equal(vkey_make("tickets.example/log1", NOTE_ED25519, key.public_key, &made), OK);
    vkey_format(&made, text);
    assert_string_equal(text, LOG_VKEY);
    ed25519_sign(&key, buf_span(&mine), signature);
    struct buf message;
    buf_init(&message, 4096);
    cosignature_message(&message, 1700000000, buf_span(&mine));
    buf_put_u8(&mine, '\n');
    note_put_signature(&mine, &made, SPAN_ARRAY(signature));
    for (uint8_t i = 0; i < 32; i++)
        seed[i] = (uint8_t)(32 + i);
    ed25519_key_from_seed(seed, &key);
    assert_int_equal(vkey_make("witness.example/w1", NOTE_COSIGNATURE, key.public_key, &made), OK);
    vkey_format(&made, text);
    assert_string_equal(text, WITNESS_VKEY);
    put_u64be(timed, 1700000000);
    ed25519_sign(&key, buf_span(&message), timed + 8);
    buf_done(&message);
    note_put_signature(&mine, &made, SPAN_ARRAY(timed));
    assert_true(span_eq(buf_span(&mine), buf_span(&b)));
}

static void golden_log_and_proofs_agree(void **state)
{
    struct disk d;
    static struct tile_source source;
    struct merkle_hash root, proof[MERKLE_PROOF_MAX], leaf;
    struct checkpoint c;
    size_t n;

    (void)state;
    assert_int_equal(disk_open(GOLDEN_DIR "/L", &d), OK);
    AUTO(buf_done) struct buf checkpoint;
    buf_init(&checkpoint, 4096);
    read_golden("L/checkpoint", &checkpoint);
    assert_int_equal(checkpoint_open(buf_span(&checkpoint), &log_key, &c), OK);
    tile_source_init(&source, &d, 3);
    assert_int_equal(merkle_root_from(&source.source, 3, &root), OK);
    assert_memory_equal(&root, &c.root, sizeof root);
    for (uint64_t i = 0; i < 3; i++) {
        AUTO(buf_done) struct buf want, mine, entry;
        char name[32];
        struct tlog_proof parsed;
        buf_init(&want, 4096);
        buf_init(&mine, 4096);
        buf_init(&entry, 4096);
        snprintf(name, sizeof name, "L.proof-%d", (int)i);
        read_golden(name, &want);
        assert_int_equal(merkle_inclusion_prove(&source.source, i, 3, proof, &n), OK);
        tlog_proof_format(&mine, span_text(NULL), i, proof, n, buf_span(&checkpoint));
        assert_true(span_eq(buf_span(&mine), buf_span(&want)));
        assert_int_equal(tlog_proof_parse(buf_span(&want), &parsed), OK);
        assert_int_equal(parsed.count, n);
        snprintf(name, sizeof name, "L.entry-%d", (int)i);
        read_golden(name, &entry);
        merkle_leaf(buf_span(&entry), &leaf);
        assert_int_equal(
            merkle_inclusion_verify(parsed.index, 3, &leaf, parsed.hashes, parsed.count, &c.root),
            OK);
    }
    disk_close(&d);
}

static void notes_that_are_not_exact_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "\n\n",
        TEXT,
        TEXT "\n",
        TEXT LOG_LINE,
        TEXT "\n" LOG_LINE "junk\n",
        TEXT "\n" LOG_LINE "\n",
        "a\rb\n\n" LOG_LINE,
        "a\tb\n\n" LOG_LINE,
        "a\xff\n\n" LOG_LINE,
        "text\n\n- tickets.example/log1 DSh4H8Ax\n",
        "text\n\n—  tickets.example/log1 DSh4H8Ax\n",
        "text\n\n— tickets.example/log1  DSh4H8Ax\n",
        "text\n\n— tickets.example/log1 DSh4H8Ax \n",
        "text\n\n— tickets.example/log1 DSh4H8A\n",
        "text\n\n— tickets.example/log1 DSh4Hw\n",
        "text\n\n— tickets.example/log1 DSh4Hx==\n",
        "text\n\n— tickets.example/log1 DSh4-_Ax\n",
        "text\n\n— tickets.example/log1 DSh4\n",
        "text\n\n— tickets.example/log1 DSh4Hw==\n",
        "text\n\n— a+b DSh4H8Ax\n",
        "text\n\n— a\xc2\xa0 DSh4H8Ax\n",
        "text\n\n—  DSh4H8Ax\n",
        "text\n\n— name\n",
    };
    struct note note;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        enum err e = note_parse(span_text(bad[i]), &note);
        /* DSh4Hw== is four bytes: a key id without a signature. */
        if (e != ERR_INVALID)
            fail_msg("case %zu gives %s", i, err_name(e));
    }
    /* The last empty line splits; the text may hold others. */
    assert_int_equal(note_parse(span_text("one\n\ntwo\n\n— n DSh4H8Ax\n"), &note), OK);
    assert_true(span_eq_text(note.text, "one\n\ntwo\n"));
}

static void every_flipped_byte_is_refused(void **state)
{
    static const char good[] = TEXT "\n" LOG_LINE;
    char bad[sizeof good];
    struct checkpoint c;

    (void)state;
    assert_int_equal(checkpoint_open(span_text(good), &log_key, &c), OK);
    for (size_t i = 0; i < sizeof good - 1; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, good, sizeof good);
            bad[i] = (char)(bad[i] ^ (1 << bit));
            assert_int_not_equal(checkpoint_open(span_of(bad, sizeof good - 1), &log_key, &c), OK);
        }
}

static void unknown_lines_are_ignored_and_bad_known_ones_reject(void **state)
{
    AUTO(buf_done) struct buf b;
    struct note note;
    bool verified[2];

    (void)state;
    buf_init(&b, NOTE_BYTES_MAX);
    buf_put_text(&b, TEXT "\n" LOG_LINE);
    for (int i = 0; i < 40;
         i++) { /* grease, before and after, also under our name with another id */
        buf_put_text(&b,
                     i % 2 ? "— tickets.example/log1 AAAAAAAA\n" : "— grease.example/x DSh4H8Ax\n");
    }
    assert_int_equal(note_parse(buf_span(&b), &note), OK);
    assert_int_equal(note_verify(&note, (struct vkey[]){log_key, witness_key}, 2, verified, NULL),
                     OK);
    assert_true(verified[0] && !verified[1]);
    assert_int_equal(note_verify(&note, &witness_key, 1, NULL, NULL), ERR_DENIED);
    buf_put_text(&b, "— tickets.example/log1 DSh4H8Ax\n"); /* our name and id, not our signature */
    assert_int_equal(note_parse(buf_span(&b), &note), OK);
    assert_int_equal(note_verify(&note, &log_key, 1, NULL, NULL), ERR_DENIED);
    for (int i = 0; i < 40; i++)
        buf_put_text(&b, "— grease.example/x DSh4H8Ax\n");
    assert_int_equal(note_parse(buf_span(&b), &note), ERR_LIMIT);
}

static void verifier_keys_are_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "tickets.example/log1",
        "tickets.example/log1+0d28781f",
        "tickets.example/log1+0D28781F+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets.example/log1+d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets.example/log1+0d28781e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets.example/log2+0d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets.example/log1+0d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\n",
        "+0d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets example+0d28781f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "tickets.example/log1+0d28781f+AgOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
    };
    struct vkey key;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (vkey_parse(span_text(bad[i]), &key) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
}

static void checkpoints_are_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "o\n",
        "o\n3\n",
        "\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n03\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n+3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n-3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n3 \nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n18446744073709551616\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n",
        "o\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I\n",
        "o\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=",
        "o\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4Lw==\n",
        "o\n3\nMKkakAhiHwMr3KMXBwmYEe8VXC/6+zrDF/aOUev4L1I=\n\n",
    };
    struct checkpoint c;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (checkpoint_parse(span_text(bad[i]), &c) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(checkpoint_parse(span_text(TEXT), &c), OK);
    assert_int_equal(checkpoint_parse(span_text(TEXT "an extension line\n"), &c), OK);
}

static void proof_texts_are_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nx\n\nx\n",
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nx\n",
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\nx\n",
    };
    struct tlog_proof p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (tlog_proof_parse(span_text(bad[i]), &p) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(
        tlog_proof_parse(span_text("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\nx\n"), &p), OK);
    assert_true(span_eq_text(p.extra, "AAAA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_example_verifies),
        cmocka_unit_test(golden_keys_checkpoint_and_cosignature),
        cmocka_unit_test(golden_log_and_proofs_agree),
        cmocka_unit_test(notes_that_are_not_exact_are_refused),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(unknown_lines_are_ignored_and_bad_known_ones_reject),
        cmocka_unit_test(verifier_keys_are_strict),
        cmocka_unit_test(checkpoints_are_strict),
        cmocka_unit_test(proof_texts_are_strict),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
