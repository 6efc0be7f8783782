/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/json.h"

static enum err parse_only(struct span text)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    return json_parse(text, 1 << 20, &doc);
}

static void check_failed(enum err got, enum err code, const char *slug, const char *pointer)
{
    assert_int_equal(got, code);
    assert_string_equal(err_last()->slug, slug);
    assert_string_equal(err_last()->pointer, pointer);
}

static void hostile_documents_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "1",
                                      "\"a\"",
                                      "null",
                                      "{",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "{'a':1}",
                                      "{a:1}",
                                      "[1] [2]",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":1,\"\\u0061\":2}",
                                      "[1e999]",
                                      "[-1e999]",
                                      "[9223372036854775808]",
                                      "[01]",
                                      "[+1]",
                                      "[.5]",
                                      "[NaN]",
                                      "[Infinity]",
                                      "[\"\xff\"]",
                                      "[\"\xc0\x80\"]",
                                      "[\"\xed\xa0\x80\"]",
                                      "[\"\\ud800\"]",
                                      "[\"\\udc00\\ud800\"]",
                                      "[\"\\u0000\"]",
                                      "{\"\\u0000\":1}",
                                      "[\"a\nb\"]",
                                      "[\"\\x41\"]",
                                      "\xef\xbb\xbf[]",
                                      "[1]//"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (parse_only(span_text(bad[i])) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(parse_only(SPAN_LIT("[1]\0")), ERR_INVALID);
    assert_int_equal(parse_only(SPAN_LIT("[\"a\0b\"]")), ERR_INVALID);
    assert_int_equal(parse_only(SPAN_LIT(" {\"a\":[1,-2,\"\\ud83d\\ude00\",null,true]}\n")), OK);
    assert_int_equal(parse_only(SPAN_LIT("{\"__proto__\":{}}")), OK);
}

static void depth_and_size_are_bounded(void **state)
{
    size_t n = 100000;
    char *deep = malloc(2 * n);
    struct json_doc *doc = NULL;
    (void)state;

    memset(deep, '[', n);
    memset(deep + n, ']', n);
    check_failed(parse_only(span_of(deep, 2 * n)), ERR_INVALID, "too_deep", "");
    assert_int_equal(parse_only(span_of(deep + n - JSON_DEPTH_MAX, 2 * JSON_DEPTH_MAX)), OK);
    assert_int_equal(parse_only(span_of(deep + n - JSON_DEPTH_MAX - 1, 2 * JSON_DEPTH_MAX + 2)),
                     ERR_INVALID);
    /* Brackets inside a text are no depth, whatever is escaped before them. */
    assert_int_equal(parse_only(SPAN_LIT("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]")),
                     OK);
    check_failed(json_parse(SPAN_LIT("[1,2]"), 4, &doc), ERR_LIMIT, "too_large", "");
    assert_null(doc);
    free(deep);
}

/* A document has memory by its length: these take the most of it a byte. */
static void documents_of_many_small_values_are_read(void **state)
{
    static const char *const items[] = {"{}", "[]", "1", "0.5", "\"\"", "[{}]", "{\"\":{}}"};
    size_t size = 1 << 18;
    char *text = malloc(size);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        struct span item = span_text(items[i]);
        size_t at = 0;
        text[at++] = '[';
        while (at + item.len + 2 < size) {
            memcpy(text + at, item.data, item.len);
            at += item.len;
            text[at++] = ',';
        }
        text[at - 1] = ']';
        assert_int_equal(parse_only(span_of(text, at)), OK);
    }
    size_t at = 0;
    text[at++] = '{';
    for (unsigned i = 0; at + 16 < size; i++)
        at += (size_t)snprintf(text + at, size - at, "\"%x\":{},", i);
    text[at - 1] = '}';
    assert_int_equal(parse_only(span_of(text, at)), OK);
    free(text);
}

static void getters_take_what_is_expected(void **state)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, in, item;
    struct json_array a, inner;
    struct span s = SPAN_LIT("default"), absent = SPAN_LIT("default");
    int64_t n = 0, same = 7;
    bool yes = false;
    (void)state;

    assert_int_equal(json_parse(SPAN_LIT("{\"name\":\"Ann\",\"count\":5,\"yes\":true,\"no\":null,"
                                         "\"seats\":[\"A-1\",{\"row\":2},[3]],\"in\":{\"n\":-4}}"),
                                1000, &doc),
                     OK);
    assert_int_equal(json_root(doc, &o), OK);
    assert_true(json_has(&o, "name"));
    assert_false(json_has(&o, "no"));
    assert_false(json_has(&o, "nowhere"));
    assert_int_equal(json_need_text(&o, "name", 3, &s), OK);
    assert_true(span_eq_text(s, "Ann"));
    assert_int_equal(json_opt_text(&o, "no", 3, &absent), OK);
    assert_int_equal(json_opt_text(&o, "nowhere", 3, &absent), OK);
    assert_true(span_eq_text(absent, "default"));
    assert_int_equal(json_opt_i64(&o, "nowhere", 0, 1, &same), OK);
    assert_int_equal(same, 7);
    assert_int_equal(json_need_i64(&o, "count", 5, 5, &n), OK);
    assert_int_equal(n, 5);
    assert_int_equal(json_need_bool(&o, "yes", &yes), OK);
    assert_true(yes);
    assert_int_equal(json_need_array(&o, "seats", 3, &a), OK);
    assert_int_equal(a.count, 3);
    assert_int_equal(json_item_text(&a, 0, 10, &s), OK);
    assert_true(span_eq_text(s, "A-1"));
    assert_int_equal(json_item_object(&a, 1, &item), OK);
    assert_int_equal(json_need_i64(&item, "row", 1, 9, &n), OK);
    assert_int_equal(json_object_end(&item), OK);
    assert_int_equal(json_item_array(&a, 2, 1, &inner), OK);
    assert_int_equal(json_item_i64(&inner, 0, 1, 9, &n), OK);
    assert_int_equal(n, 3);
    check_failed(json_object_end(&o), ERR_INVALID, "unknown_field", "#/in");
    assert_int_equal(json_need_object(&o, "in", &in), OK);
    assert_int_equal(json_need_i64(&in, "n", -4, 0, &n), OK);
    assert_int_equal(n, -4);
    assert_int_equal(json_object_end(&in), OK);
    assert_int_equal(json_object_end(&o), OK);
}

static void errors_name_the_member(void **state)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, a, b;
    struct json_array list;
    struct span s;
    int64_t n;
    bool yes;
    char pointer[ERR_POINTER_MAX];
    (void)state;

    assert_int_equal(
        json_parse(SPAN_LIT("{\"a\":{\"b\":[{\"n\":1.0,\"t\":\"long\"}]},\"z\":null}"), 1000, &doc),
        OK);
    assert_int_equal(json_root(doc, &o), OK);
    check_failed(json_need_text(&o, "a", 9, &s), ERR_INVALID, "wrong_type", "#/a");
    check_failed(json_need_text(&o, "name", 9, &s), ERR_INVALID, "missing_field", "#/name");
    check_failed(json_need_text(&o, "z", 9, &s), ERR_INVALID, "wrong_type", "#/z");
    check_failed(json_opt_bool(&o, "a", &yes), ERR_INVALID, "wrong_type", "#/a");
    assert_int_equal(json_need_object(&o, "a", &a), OK);
    check_failed(json_need_array(&a, "b", 0, &list), ERR_INVALID, "out_of_range", "#/a/b");
    assert_int_equal(json_need_array(&a, "b", 1, &list), OK);
    check_failed(json_item_text(&list, 0, 9, &s), ERR_INVALID, "wrong_type", "#/a/b/0");
    assert_int_equal(json_item_object(&list, 0, &b), OK);
    check_failed(json_need_i64(&b, "n", 0, 9, &n), ERR_INVALID, "wrong_type", "#/a/b/0/n");
    check_failed(json_need_text(&b, "t", 3, &s), ERR_INVALID, "out_of_range", "#/a/b/0/t");
    json_pointer(&b, "own", pointer);
    assert_string_equal(pointer, "#/a/b/0/own");
    assert_string_equal(((void)!json_root_array(doc, 1, &list), err_last()->slug), "wrong_type");
}

static void unknown_members_are_named_safely(void **state)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o;
    int64_t n;
    (void)state;

    assert_int_equal(json_parse(SPAN_LIT("{\"n\":10,\"a/b~<script>\\n\":1}"), 1000, &doc), OK);
    assert_int_equal(json_root(doc, &o), OK);
    check_failed(json_need_i64(&o, "n", 0, 9, &n), ERR_INVALID, "out_of_range", "#/n");
    check_failed(json_object_end(&o), ERR_INVALID, "unknown_field", "#/a~1b~0%3Cscript%3E%0A");
    char long_key[300] = "{\"";
    memset(long_key + 2, '<', 290);
    memcpy(long_key + 292, "\":1}", 5);
    json_doc_free(&doc);
    assert_int_equal(json_parse(span_text(long_key), 1000, &doc), OK);
    assert_int_equal(json_root(doc, &o), OK);
    assert_int_equal(json_object_end(&o), ERR_INVALID);
    assert_true(strlen(err_last()->pointer) < ERR_POINTER_MAX);
}

static enum err count_visit(void *context, struct span key, struct span value)
{
    *(size_t *)context += key.len * 10 + value.len;
    return OK;
}

static void free_keys_are_visited(void **state)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, m;
    size_t sum = 0;
    (void)state;

    assert_int_equal(
        json_parse(SPAN_LIT("{\"m\":{\"a\":\"xy\",\"bc\":\"\"},\"n\":{\"a\":1}}"), 1000, &doc), OK);
    assert_int_equal(json_root(doc, &o), OK);
    assert_int_equal(json_need_object(&o, "m", &m), OK);
    assert_int_equal(json_each_text(&m, 1, 9, count_visit, &sum), ERR_INVALID);
    assert_int_equal(json_each_text(&m, 2, 9, count_visit, &sum), OK);
    assert_int_equal(sum, 32);
    assert_int_equal(json_object_end(&m), OK);
    assert_int_equal(json_need_object(&o, "n", &m), OK);
    check_failed(json_each_text(&m, 2, 9, count_visit, &sum), ERR_INVALID, "wrong_type", "#/n/a");
}

static void the_writer_writes_what_the_reader_reads(void **state)
{
    AUTO(buf_done) struct buf b;
    struct json_writer w;
    (void)state;

    buf_init(&b, 1000);
    json_w_init(&w, &b);
    json_w_object(&w);
    json_w_kv_cstr(&w, "a", "1");
    json_w_kv_i64(&w, "n", INT64_MIN);
    json_w_kv_array(&w, "list");
    json_w_bool(&w, false);
    json_w_null(&w);
    json_w_array(&w);
    json_w_end(&w);
    json_w_object(&w);
    json_w_end(&w);
    json_w_raw(&w, SPAN_LIT("{\"raw\":1}"));
    json_w_end(&w);
    json_w_kv_cstr(&w, "none", NULL);
    json_w_kv_time(&w, "at", 0);
    json_w_kv_bool(&w, "yes", true);
    json_w_end(&w);
    assert_int_equal(json_w_finish(&w), OK);
    assert_string_equal(buf_text(&b),
                        "{\"a\":\"1\",\"n\":-9223372036854775808,\"list\":[false,null,[],{},"
                        "{\"raw\":1}],\"none\":null,\"at\":\"1970-01-01T00:00:00Z\",\"yes\":true}");
    assert_int_equal(parse_only(buf_span(&b)), OK);
}

static void texts_are_escaped_for_html_too(void **state)
{
    AUTO(buf_done) struct buf b;
    struct json_writer w;
    (void)state;

    buf_init(&b, 1000);
    json_w_init(&w, &b);
    json_w_text(
        &w,
        SPAN_LIT("</script>&\"\\\n\t\0\x7f J\xc3\xbcrgen \xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac"));
    assert_int_equal(json_w_finish(&w), OK);
    assert_string_equal(buf_text(&b),
                        "\"\\u003c/script\\u003e\\u0026\\\"\\\\\\n\\u0009\\u0000\\u007f "
                        "J\xc3\xbcrgen \\u2028\\u2029\xe2\x82\xac\"");
}

static enum err write_with(void (*calls)(struct json_writer *w), size_t max)
{
    AUTO(buf_done) struct buf b;
    struct json_writer w;
    buf_init(&b, max);
    json_w_init(&w, &b);
    calls(&w);
    return json_w_finish(&w);
}

static void nothing_at_all(struct json_writer *w)
{
    (void)w;
}
static void two_values(struct json_writer *w)
{
    json_w_null(w);
    json_w_null(w);
}
static void value_without_key(struct json_writer *w)
{
    json_w_object(w);
    json_w_null(w);
    json_w_end(w);
}
static void key_without_value(struct json_writer *w)
{
    json_w_object(w);
    json_w_key(w, "a");
    json_w_end(w);
}
static void key_in_array(struct json_writer *w)
{
    json_w_array(w);
    json_w_key(w, "a");
    json_w_null(w);
    json_w_end(w);
}
static void left_open(struct json_writer *w)
{
    json_w_array(w);
}
static void closed_twice(struct json_writer *w)
{
    json_w_array(w);
    json_w_end(w);
    json_w_end(w);
}
static void bad_text(struct json_writer *w)
{
    json_w_text(w, SPAN_LIT("a\xff"));
}
static void too_deep(struct json_writer *w)
{
    for (int i = 0; i <= JSON_WRITE_DEPTH_MAX; i++)
        json_w_array(w);
    for (int i = 0; i <= JSON_WRITE_DEPTH_MAX; i++)
        json_w_end(w);
}
static void deep_enough(struct json_writer *w)
{
    for (int i = 0; i < JSON_WRITE_DEPTH_MAX; i++)
        json_w_array(w);
    for (int i = 0; i < JSON_WRITE_DEPTH_MAX; i++)
        json_w_end(w);
}

static void wrong_calls_make_no_document(void **state)
{
    static void (*const wrong[])(struct json_writer *) = {
        nothing_at_all, two_values,   value_without_key, key_without_value, key_in_array,
        left_open,      closed_twice, bad_text,          too_deep};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (write_with(wrong[i], 1000) != ERR_INVALID)
            fail_msg("case %zu made a document", i);
    assert_int_equal(write_with(deep_enough, 1000), OK);
    assert_int_equal(write_with(deep_enough, 60), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(documents_of_many_small_values_are_read),
        cmocka_unit_test(getters_take_what_is_expected),
        cmocka_unit_test(errors_name_the_member),
        cmocka_unit_test(unknown_members_are_named_safely),
        cmocka_unit_test(free_keys_are_visited),
        cmocka_unit_test(the_writer_writes_what_the_reader_reads),
        cmocka_unit_test(texts_are_escaped_for_html_too),
        cmocka_unit_test(wrong_calls_make_no_document),
    };
    return cmocka_run_group_tests_name("encode/json", tests, NULL, NULL);
}
