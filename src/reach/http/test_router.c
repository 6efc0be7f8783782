/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

#include "reach/http/parse.h"
#include "reach/http/router.h"

static const int events, event, holds, make_hold, best, tile, root;
static const struct http_route routes[] = {
    {HTTP_GET, "/", &root},
    {HTTP_GET, "/api/v1/events", &events},
    {HTTP_GET, "/api/v1/events/{event}", &event},
    {HTTP_GET, "/api/v1/events/{event}/holds", &holds},
    {HTTP_POST, "/api/v1/events/{event}/holds", &make_hold},
    {HTTP_POST, "/api/v1/events/best/holds", &best},
    {HTTP_GET, "/log/tile/{level}/{path*}", &tile},
};

static struct arena arena;
static struct http_request request;

static const struct http_request *ask(const char *method, const char *path)
{
    char text[512];
    const char *why;
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, path);
    struct span head;
    assert_int_equal(arena_copy(&arena, span_text(text), &head), OK);
    assert_int_equal(http_parse(head, &arena, &request, &why), 0);
    return &request;
}

static struct http_match find(struct http_router *r, const char *method, const char *path)
{
    struct http_match m;
    http_router_find(r, ask(method, path), &m);
    return m;
}

static struct http_router *open_router(void)
{
    struct http_router *r;
    arena_init(&arena, 1 << 20);
    assert_int_equal(http_router_open(routes, COUNT_OF(routes), &r), OK);
    return r;
}

static void close_router(struct http_router *r)
{
    http_router_close(r);
    arena_done(&arena);
}

static void a_path_finds_its_route_and_names_its_parts(void **state)
{
    struct http_router *r = open_router();
    (void)state;
    assert_ptr_equal(find(r, "GET", "/").route, &root);
    assert_ptr_equal(find(r, "GET", "/api/v1/events").route, &events);
    struct http_match m = find(r, "POST", "/api/v1/events/evt_1/holds");
    assert_ptr_equal(m.route, &make_hold);
    assert_true(span_eq_text(http_capture(&m, "event"), "evt_1"));
    assert_null(http_capture(&m, "other").data);
    m = find(r, "GET", "/log/tile/0/x001/x234/067.p/8");
    assert_ptr_equal(m.route, &tile);
    assert_true(span_eq_text(http_capture(&m, "level"), "0"));
    assert_true(span_eq_text(http_capture(&m, "path"), "x001/x234/067.p/8"));
    close_router(r);
}

static void a_literal_wins_over_a_name(void **state)
{
    struct http_router *r = open_router();
    (void)state;
    assert_ptr_equal(find(r, "POST", "/api/v1/events/best/holds").route, &best);
    /* and falls back to the name where the literal leads nowhere */
    struct http_match m = find(r, "GET", "/api/v1/events/best");
    assert_ptr_equal(m.route, &event);
    assert_true(span_eq_text(http_capture(&m, "event"), "best"));
    close_router(r);
}

static void an_unknown_path_has_no_methods(void **state)
{
    const char *unknown[] = {"/api",           "/api/v1/events/", "/api/v1/events/a/b",
                             "/account/x.css", "/log/tile/0",     "/log/tile/0/",
                             "/API/v1/events"};
    struct http_router *r = open_router();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        struct http_match m = find(r, "GET", unknown[i]);
        assert_null(m.route);
        assert_int_equal(m.methods, 0);
    }
    close_router(r);
}

static void another_method_says_which_there_are(void **state)
{
    struct http_router *r = open_router();
    (void)state;
    struct http_match m = find(r, "DELETE", "/api/v1/events/evt_1/holds");
    assert_null(m.route);
    assert_int_equal(m.methods, 1u << HTTP_GET | 1u << HTTP_POST);
    assert_ptr_equal(find(r, "HEAD", "/api/v1/events").route, &events);
    close_router(r);
}

static void a_bad_table_is_refused(void **state)
{
    const struct http_route bad[][2] = {
        {{HTTP_GET, "/a/{x}", &root}, {HTTP_GET, "/a/{y}", &root}},
        {{HTTP_GET, "a", &root}, {HTTP_GET, "/", &root}},
        {{HTTP_GET, "/a/x{y}", &root}, {HTTP_GET, "/", &root}},
        {{HTTP_GET, "/{a*}/b", &root}, {HTTP_GET, "/", &root}},
        {{HTTP_GET, "/{}", &root}, {HTTP_GET, "/", &root}},
    };
    struct http_router *r = NULL;
    (void)state;
    assert_int_equal(http_router_open(bad[0], 2, &r), ERR_CONFLICT);
    for (size_t i = 1; i < COUNT_OF(bad); i++)
        assert_int_equal(http_router_open(bad[i], 2, &r), ERR_INVALID);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_route_and_names_its_parts),
        cmocka_unit_test(a_literal_wins_over_a_name),
        cmocka_unit_test(an_unknown_path_has_no_methods),
        cmocka_unit_test(another_method_says_which_there_are),
        cmocka_unit_test(a_bad_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
