/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "trust/ledger/tile.h"

static void paths_are_spelled_as_the_specification_says(void **state)
{
    static const struct {
        struct tile_path path;
        const char *text;
    } rows[] = {
        {{false, 0, 0, 256}, "tile/0/000"},
        {{false, 0, 999, 256}, "tile/0/999"},
        {{false, 1, 1000, 256}, "tile/1/x001/000"},
        {{false, 63, 1234067, 256}, "tile/63/x001/x234/067"},
        {{false, 0, 273, 112}, "tile/0/273.p/112"},
        {{true, 0, 0, 1}, "tile/entries/000.p/1"},
        {{true, 0, 1234067, 255}, "tile/entries/x001/x234/067.p/255"},
        {{false, 0, UINT64_MAX, 256}, "tile/0/x018/x446/x744/x073/x709/x551/615"},
    };
    char text[TILE_PATH_MAX];
    struct tile_path p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        tile_path_format(&rows[i].path, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(tile_path_parse(span_text(text), &p), OK);
        assert_int_equal(p.entries, rows[i].path.entries);
        assert_int_equal(p.level, rows[i].path.level);
        assert_true(p.index == rows[i].path.index);
        assert_int_equal(p.width, rows[i].path.width);
    }
}

static void other_spellings_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/x001/",
        "tile/0/001/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1/",
        "tile/0/000.p/1 ",
        "tile/0/000/../000",
        "/tile/0/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/entries/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/000",
    };
    struct tile_path p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (tile_path_parse(span_text(bad[i]), &p) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
}

static void widths_follow_the_size(void **state)
{
    (void)state;
    assert_int_equal(tile_width(70000, 0, 272), 256);
    assert_int_equal(tile_width(70000, 0, 273), 112);
    assert_int_equal(tile_width(70000, 0, 274), 0);
    assert_int_equal(tile_width(70000, 1, 0), 256);
    assert_int_equal(tile_width(70000, 1, 1), 17);
    assert_int_equal(tile_width(70000, 2, 0), 1);
    assert_int_equal(tile_width(256, 0, 0), 256);
    assert_int_equal(tile_width(256, 0, 1), 0);
    assert_int_equal(tile_width(256, 1, 0), 1);
    assert_int_equal(tile_width(0, 0, 0), 0);
    assert_int_equal(tile_width(UINT64_MAX, 0, UINT64_MAX), 0);
    assert_int_equal(tile_width(UINT64_MAX, 63, 0), 0);
}

static void bundles_hold_what_was_put_and_nothing_else(void **state)
{
    AUTO(buf_done) struct buf b;
    struct merkle_hash hashes[TILE_WIDTH], want;

    (void)state;
    buf_init(&b, BUNDLE_BYTES_MAX);
    bundle_put(&b, SPAN_LIT("one"));
    bundle_put(&b, SPAN_LIT(""));
    assert_int_equal(bundle_hashes(buf_span(&b), 2, hashes), OK);
    merkle_leaf(SPAN_LIT("one"), &want);
    assert_memory_equal(&hashes[0], &want, 32);
    merkle_leaf(SPAN_LIT(""), &want);
    assert_memory_equal(&hashes[1], &want, 32);
    assert_int_equal(bundle_hashes(buf_span(&b), 1, hashes), ERR_INVALID);
    assert_int_equal(bundle_hashes(buf_span(&b), 3, hashes), ERR_INVALID);
    assert_int_equal(bundle_hashes(span_sub(buf_span(&b), 0, b.len - 1), 2, hashes), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_spelled_as_the_specification_says),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(widths_follow_the_size),
        cmocka_unit_test(bundles_hold_what_was_put_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
