/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - the way of every request: route, rate, session, origin, level, idempotency key, handler, writer, answer.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reach/api/call.h"
#include "reach/api/pages.h"

const struct route api_routes[] = {
#define ROUTE(method, pattern, mode, handler, level, permission, rate, body_max, summary)          \
    {HTTP_##method,           pattern,     #handler, MODE_##mode, api_##handler, level,            \
     PERMISSION_##permission, RATE_##rate, body_max, summary},
#include "reach/api/routes.def"
#undef ROUTE
};
const size_t api_route_count = COUNT_OF(api_routes);

enum { IDEMPOTENCY_MS = 24 * 60 * 60 * 1000, IDEMPOTENCY_KEY_MAX = 255 };

static void call_free(struct call *c)
{
    if (c->finally)
        c->finally(c);
    json_doc_free(&c->doc);
    buf_done(&c->body);
}

/* Answers whose status says more than the error's kind does (RFC 6585, RFC 9110, the Idempotency-Key draft). */
static const struct {
    const char *slug;
    int status;
} particular[] = {{"precondition_required", 428},
                  {"version_changed", 412},
                  {"idempotency_key_reused", 422},
                  {"bad_content_type", 415}};

static void reply_error(struct call *c, const struct err_info *info)
{
    if (info->code == ERR_BUSY)
        http_header_text(c->x, "Retry-After", "1");
    if (info->code >= ERR_UNCERTAIN)
        log_error_info(LOG_ERROR, c->route ? c->route->pattern : "request", info);
    for (size_t i = 0; i < COUNT_OF(particular); i++)
        if (strcmp(particular[i].slug, info->slug) == 0) {
            http_reply_problem(c->x, &(struct http_problem){.status = particular[i].status,
                                                            .type = info->slug,
                                                            .detail = info->detail});
            return;
        }
    /* P3: one answer for what is not there and for what is not the caller's, whichever room found out. */
    if (info->code == ERR_NOT_FOUND) {
        http_reply_problem(c->x, &(struct http_problem){.status = 404,
                                                        .type = "not_found",
                                                        .detail = "There is no such thing."});
        return;
    }
    http_reply_error(c->x, info);
}

static void reply_answer(struct call *c)
{
    if (c->set_cookie[0])
        http_header_text(c->x, "Set-Cookie", c->set_cookie);
    if (c->location)
        http_header_text(c->x, "Location", c->location);
    if (c->body.len == 0 && c->status != 200)
        http_reply_empty(c->x, c->status);
    else if (c->etag[0])
        http_reply_tagged(c->x, c->type ? c->type : "application/json", &c->body, c->etag);
    else if (c->type)
        http_reply_buf(c->x, c->status, c->type, &c->body);
    else
        http_reply_json(c->x, c->status, &c->body);
}

/* --- who asks ---------------------------------------------------------------------------------------------------------- */

int call_origin_no(const struct call *c)
{
    const struct api_config *config = &c->api->config;
    struct span origin = http_field(&c->x->request, "Origin");

    if (!origin.data)
        return -1;
    for (size_t i = 0; i < COUNT_OF(config->origins); i++)
        if (config->origins[i] && span_eq_text(origin, config->origins[i]))
            return (int)i + 1;
    return span_eq_text(origin, config->origin) ? 0 : -1;
}

const char *call_return_origin(const struct call *c)
{
    int no = call_origin_no(c);

    return no > 0 ? c->api->config.origins[no - 1] : c->api->config.origin;
}

/* A write that carries the cookie must come from a page of ours (Fetch standard: browsers send both headers on such requests). */
static enum err check_origin(struct call *c)
{
    const struct http_request *r = &c->x->request;
    struct span site = http_field(r, "Sec-Fetch-Site");

    if (r->method == HTTP_GET || r->method == HTTP_HEAD || !c->by_cookie)
        return OK;
    ENSURE(call_origin_no(c) >= 0, ERR_DENIED, "cross_origin",
           "Writes with the session cookie are taken from our own pages only.");
    ENSURE(!site.data || span_eq_text(site, "same-origin"), ERR_DENIED, "cross_origin",
           "Writes with the session cookie are taken from our own pages only.");
    return OK;
}

static enum err open_snapshot(struct call *c)
{
    struct store_reader *reader;

    if (c->tx)
        return OK;
    TRY(api_reader(c->api, &reader));
    if (c->pooled)
        return store_read_begin(reader, &c->tx);
    /* A loop does not wait for the disk: the answer does, in answer_read. */
    TRY(store_read_early(reader, &c->tx));
    c->seen = store_seen(c->tx);
    return OK;
}

static void end_snapshot(struct call *c)
{
    if (c->tx)
        store_read_end(c->tx);
    c->tx = NULL;
}

/* From the rows. The mark is older than the snapshot: see stamps.h. */
static enum err read_session(struct call *c, struct span token)
{
    end_snapshot(c);
    c->session_mark = session_cache_mark(c->api->sessions);
    TRY(open_snapshot(c));
    enum err e = session_cache_load(c->api->sessions, c->session_mark, c->tx, token, &c->session,
                                    &c->access);
    if (e == ERR_UNAUTHENTICATED)
        return OK; /* signed out is not an error until the route asks for more */
    TRY(e);
    c->signed_in = true;
    return OK;
}

static enum err find_session(struct call *c)
{
    const struct http_request *r = &c->x->request;
    struct span bearer = http_field(r, "Authorization"), token = {0};

    if (bearer.data && span_starts(bearer, "Bearer "))
        token = span_sub(bearer, 7, bearer.len);
    else if (http_cookie(r, r->secure ? "__Host-gatehouse" : "gatehouse-dev", &token) == OK)
        c->by_cookie = true;
    else
        return OK;
    c->signed_in = session_cache_find(c->api->sessions, token, call_now_ms(c), &c->session_mark,
                                      &c->session, &c->access);
    return c->signed_in ? OK : read_session(c, token);
}

static enum err check_level(struct call *c)
{
    if (c->route->level == 0 || c->route->level == 3)
        return OK;
    ENSURE(c->signed_in, ERR_UNAUTHENTICATED, "no_session", "Sign in first.");
    ENSURE(c->route->level == 1 || c->session.level == 2, ERR_UNAUTHENTICATED,
           "second_factor_required", "Finish the sign-in with the second factor.");
    return OK;
}

enum err call_snapshot(struct call *c)
{
    if (c->tx)
        return OK;
    TRY(open_snapshot(c));
    /* Why: who asks and what is read agree with each other, as if both had been read in this snapshot. */
    if (!c->signed_in ||
        session_cache_unchanged(c->api->sessions, c->session.account_no, c->session_mark))
        return OK;
    c->signed_in = c->by_cookie = false;
    c->session = (struct session){0};
    c->access.count = 0;
    TRY(find_session(c));
    TRY(open_snapshot(c));
    return check_level(c);
}

int64_t call_now_ms(const struct call *c)
{
    return c->tx ? store_now_ms(c->tx) : store_time_ms(c->api->config.store);
}

/* --- repeated requests ------------------------------------------------------------------------------------------------- */

static enum err read_idempotency_key(struct call *c)
{
    const struct http_request *r = &c->x->request;
    struct span key = http_field(r, "Idempotency-Key");
    uint8_t who[8];

    if (!key.data || r->method == HTTP_GET || r->method == HTTP_HEAD)
        return OK;
    if (key.len >= 2 && key.data[0] == '"' && key.data[key.len - 1] == '"')
        key = span_sub(key, 1, key.len - 2);
    ENSURE(key.len >= 1 && key.len <= IDEMPOTENCY_KEY_MAX, ERR_INVALID, "bad_idempotency_key",
           "An Idempotency-Key has 1 to %d characters.", IDEMPOTENCY_KEY_MAX);
    for (size_t i = 0; i < key.len; i++)
        ENSURE(key.data[i] > 0x20 && key.data[i] < 0x7f && key.data[i] != '"', ERR_INVALID,
               "bad_idempotency_key",
               "An Idempotency-Key has printable characters without spaces.");
    put_u64be(who, c->signed_in ? (uint64_t)c->session.account_no : 0);
    struct span method = span_text(http_method_name(r->method));
    sha256_parts((const struct span[]){SPAN_LIT("idempotency-key\0"), SPAN_ARRAY(who), key}, 3,
                 c->key_hash);
    sha256_parts((const struct span[]){method, SPAN_LIT(" "), r->target, SPAN_LIT("\n"),
                                       SPAN_ARRAY(who), r->body},
                 6, c->fingerprint);
    c->has_key = true;
    return OK;
}

enum err call_answered(struct call *c, bool *ret_answered)
{
    struct store_answer answer;

    *ret_answered = false;
    if (!c->has_key)
        return OK;
    buf_init(&c->body, CALL_BODY_MAX);
    enum err e = store_idempotency_get(c->tx, c->key_hash, &answer, &c->body);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    if (memcmp(answer.fingerprint, c->fingerprint, sizeof answer.fingerprint) != 0)
        FAIL(ERR_INVALID, "idempotency_key_reused",
             "This Idempotency-Key was used for another request.");
    c->status = answer.status;
    *ret_answered = true;
    return OK;
}

/* Answers that open a session hold a secret and are never stored: their routes are safe to repeat, or fail the second time. */
static enum err keep_answer(struct call *c)
{
    struct store_answer answer = {.status = c->status,
                                  .expires_ms = store_now_ms(c->tx) + IDEMPOTENCY_MS};

    if (!c->has_key || c->set_cookie[0] || c->refused)
        return OK;
    memcpy(answer.fingerprint, c->fingerprint, sizeof answer.fingerprint);
    return store_idempotency_put(c->tx, c->key_hash, &answer, buf_span(&c->body));
}

/* --- the writer's half --------------------------------------------------------------------------------------------------- */

/* A role that was taken away while the command waited counts no more: two who end each other's role do not both succeed. */
static enum err permit_again(struct call *c)
{
    if (c->route->permission == PERMISSION_none)
        return OK;
    TRY(access_load(c->tx, c->session.account_no, &c->access));
    return c->asked ? access_check(&c->access, c->route->permission, c->asked_organiser_no,
                                   c->asked_event_no)
                    : OK;
}

static enum err run_write(struct store_tx *tx, struct command *command)
{
    struct call *c = (struct call *)command;
    bool answered;

    c->tx = tx;
    c->writing = true;
    /* It may be the second run: what the first one answered never happened. */
    if (!c->answered_before)
        buf_done(&c->body);
    c->refused = false;
    c->set_cookie[0] = c->etag[0] = '\0';
    c->location = NULL;
    c->show = NULL;
    c->committed = NULL;
    c->waiting = false;
    TRY(permit_again(c));
    TRY(call_answered(c, &answered));
    if (answered)
        return OK;
    TRY(c->write(c));
    TRY(buf_check(&c->body));
    return keep_answer(c);
}

/* The write is committed: a full pool must not sound as if nothing had happened. */
static enum err finish_in_pool(struct call *c)
{
    if (pool_submit(c->api->pool, c) != OK)
        FAIL(ERR_UNCERTAIN, "answer_lost",
             "It is done, but the server is too busy to show it: ask for it again.");
    return OK;
}

/* On the loop, after the writer or once what was read is durable: the error was saved in the command. */
static void answer_call(void *context)
{
    struct call *c = context;

    if (c->command.error.code != OK)
        reply_error(c, &c->command.error);
    else if (c->refused)
        reply_error(c, &c->failure);
    else if (c->show && c->show(c) != OK)
        reply_error(c, err_last());
    else if (!c->replied)
        reply_answer(c);
    call_free(c);
}

/* Leave it with the loop, which is told of all calls of the list at once. */
static void answer_with(struct call *c, struct http_exchange **list)
{
    c->x->complete = answer_call;
    c->x->complete_context = c;
    c->x->next = *list;
    *list = c->x;
}

/* On the writer thread. */
static void answer_with_batch(struct call *c)
{
    answer_with(c, &c->api->ended);
}

/* The exchange is deferred. False when it must be answered now. Else the ticker owns the call: nothing of it is touched afterwards. */
static bool wait_in_ticker(struct call *c)
{
    int64_t until = clock_mono_ms(c->api->config.clock) + c->wait_ms;

    return ticker_wait_order(c->api->ticker, c, c->wait_order, c->wait_version, until) == OK;
}

static void write_done(struct command *command, const struct err_info *error)
{
    struct call *c = (struct call *)command;
    bool open = __atomic_load_n(&c->api->open, __ATOMIC_ACQUIRE);

    c->tx = NULL;
    c->writing = false;
    if (!error && c->committed)
        c->committed(c);
    /* Who cannot wait is told what was done. */
    if (!error && c->waiting && open && wait_in_ticker(c))
        return;
    if (!error && !c->refused && c->after) {
        c->written = true;
        if (finish_in_pool(c) == OK)
            return;
        err_save(&c->command.error);
    }
    answer_with_batch(c);
}

void api_ended(struct api *api)
{
    http_finish_many(api->ended);
    api->ended = NULL;
}

/* The exchange is deferred from here on, whoever runs it. */
static void submit_write(struct call *c)
{
    c->command.run = run_write;
    c->command.done = write_done;
    c->command.lane = c->lane;
    c->command.refused_at_once = c->refused_at_once;
    if (writer_submit(c->api->writer, &c->command) != OK) {
        reply_error(c, err_last());
        struct http_exchange *x = c->x;
        call_free(c);
        http_finish(x);
    }
}

/* --- the handler's half -------------------------------------------------------------------------------------------------- */

static bool is_pooled(const struct route *route)
{
    return route->mode == MODE_WORK || route->mode == MODE_HASH;
}

static enum err run_handler(struct call *c, enum err (*handler)(struct call *c))
{
    enum err e = OK;

    if (is_pooled(c->route))
        e = open_snapshot(c);
    else if (c->route->mode != MODE_MEMORY && c->route->mode != MODE_COMMAND)
        e = call_snapshot(c);
    if (e == OK)
        e = handler(c);
    end_snapshot(c);
    if (e == OK && c->route->permission != PERMISSION_none)
        INVARIANT(c->permitted, "a route with a permission asks for it");
    return e;
}

void call_answer_waiting(struct call *c, enum err read, const struct order_row *row)
{
    struct json_writer w;
    enum err e = read;

    call_begin(c, c->waited_status, &w);
    if (e == OK)
        e = shape_order(c, &w, row);
    if (e == OK)
        e = call_end(c, &w);
    c->tx = NULL;
    if (e != OK && c->show) /* what was done is no error because it cannot be read now */
        e = c->show(c);
    if (e != OK)
        reply_error(c, err_last());
    else
        reply_answer(c);
    struct http_exchange *x = c->x;
    call_free(c);
    http_finish(x);
}

struct opened_args {
    struct recent_order order;
    struct scene scene;
    char url[STRIPE_URL_MAX];
};

static enum err opened_show(struct call *c)
{
    struct opened_args *args = c->args;
    struct json_writer w;

    call_begin(c, c->waited_status, &w);
    shape_order_opened(&w, &args->scene, &args->order, args->url);
    return call_end(c, &w);
}

static void opened_finally(struct call *c)
{
    scene_done(&((struct opened_args *)c->args)->scene);
}

enum err call_answer_opened(struct call *c, const struct recent_order *order, const char *url,
                            const struct scene *scene)
{
    struct opened_args *args;

    TRY(call_alloc(c, sizeof *args, &args));
    args->order = *order;
    (void)snprintf(args->url, sizeof args->url, "%s", url);
    args->scene = *scene;
    event_facts_keep(args->scene.facts);
    if (c->finally)
        c->finally(c);
    c->args = args;
    c->finally = opened_finally;
    c->show = opened_show;
    c->command.error.code = OK;
    answer_with(c, &c->api->opened);
    return OK;
}

/* On a thread of the pool. */
void call_run_work(struct call *c)
{
    c->pooled = true;
    if (run_handler(c, c->written ? c->after : c->route->handler) != OK)
        reply_error(c, err_last());
    else if (c->write && !c->written) {
        submit_write(c);
        return;
    } else if (!c->replied)
        reply_answer(c);
    struct http_exchange *x = c->x;
    call_free(c);
    http_finish(x);
}

/* Leaves a snapshot that was needed open for a handler that runs on this thread. */
static enum err before_handler(struct call *c)
{
    TRY(find_session(c));
    if (is_pooled(c->route))
        end_snapshot(c);
    TRY(check_origin(c));
    TRY(check_level(c));
    return read_idempotency_key(c);
}

/* By account where there is one, by client address otherwise; a device's scans are keyed by its address too. */
static bool rate_allows(struct call *c)
{
    uint8_t account[9] = {'a'};
    char text[HTTP_ADDRESS_TEXT_MAX];
    struct span key;

    if (c->api->config.rates_off)
        return true;
    put_u64be(account + 1, (uint64_t)c->session.account_no);
    if (c->signed_in) {
        key = SPAN_ARRAY(account);
    } else {
        http_address_format(c->x->request.client, text);
        key = span_text(text);
    }
    struct http_rate_verdict v = http_rate_check(c->api->rates, c->route->rate, key);
    if (!v.allowed) {
        http_rate_refuse(c->x, &v);
        return false;
    }
    http_rate_headers(c->x, &v);
    return true;
}

static void touch_done(struct command *command, const struct err_info *error)
{
    (void)error; /* a session that was not touched is touched by the next request */
    free(command);
}

struct touch {
    struct command command;
    struct session_id id;
};

static enum err touch_run(struct store_tx *tx, struct command *command)
{
    return auth_session_touch(tx, ((struct touch *)command)->id);
}

static void touch_session(struct call *c)
{
    struct touch *t;

    if (!c->signed_in || !c->session.needs_touch)
        return;
    t = calloc(1, sizeof *t);
    if (!t)
        return;
    t->command = (struct command){.run = touch_run, .done = touch_done, .lane = LANE_BACK};
    t->id = c->session.id;
    if (writer_submit(c->api->writer, &t->command) != OK)
        free(t);
}

static void read_durable(struct store_waiter *w)
{
    struct call *c = (struct call *)((char *)w - offsetof(struct call, durable));
    http_finish_with(c->x, answer_call, c);
}

/*
 * What was read may not be durable yet, and then nobody is told before it is; a refusal that rests on it neither. What a handler replied
 * by itself comes from memory that holds only what is durable.
 */
static void answer_read(struct call *c, enum err read)
{
    struct store *store = c->api->config.store;

    c->command.error.code = OK;
    if (read != OK)
        err_save(&c->command.error);
    if (c->replied || store_is_durable(store, c->seen)) {
        answer_call(c);
        return;
    }
    http_defer(c->x);
    c->durable = (struct store_waiter){.commit = c->seen, .durable = read_durable};
    if (!store_await(store, &c->durable))
        http_finish_with(c->x, answer_call, c);
}

static void wait_on_loop(struct call *c)
{
    http_defer(c->x);
    if (wait_in_ticker(c))
        return;
    struct http_exchange *x = c->x;
    reply_error(c, err_last());
    call_free(c);
    http_finish(x);
}

static void run_route(struct call *c)
{
    enum err e = before_handler(c);
    if (e != OK) {
        end_snapshot(c);
        answer_read(c, e);
        return;
    }
    if (!rate_allows(c)) {
        end_snapshot(c);
        call_free(c);
        return;
    }
    touch_session(c);
    if (is_pooled(c->route)) {
        http_defer(c->x);
        if (pool_submit(c->route->mode == MODE_HASH ? c->api->hashers : c->api->pool, c) != OK) {
            reply_error(c, err_last());
            struct http_exchange *x = c->x;
            call_free(c);
            http_finish(x);
        }
        return;
    }
    e = run_handler(c, c->route->handler);
    if (e == OK && c->write) {
        http_defer(c->x);
        submit_write(c);
    } else if (e == OK && c->waiting) {
        wait_on_loop(c);
    } else {
        answer_read(c, e);
    }
}

void api_handle(void *context, struct http_exchange *x)
{
    struct api *api = context;
    const struct http_match *match = x->user; /* found by api_head */
    struct call *c;

    if (!span_starts(x->request.path, "/api/")) {
        pages_reply(api, x);
        return;
    }
    if (!__atomic_load_n(&api->open, __ATOMIC_ACQUIRE)) {
        http_header_text(x, "Retry-After", "1");
        http_reply_problem(x, &(struct http_problem){.status = 503, .type = "queue_full"});
        return;
    }
    if (!match) {
        http_reply_empty(x, 500);
        return;
    }
    if (!match->route) {
        if (match->methods)
            http_reply_not_allowed(x, match->methods);
        else
            http_reply_problem(x, &(struct http_problem){.status = 404, .type = "not_found"});
        return;
    }
    c = arena_alloc(&x->arena, sizeof *c);
    if (!c) {
        http_reply_empty(x, 500);
        return;
    }
    /* Member by member: the arena gave zeros, and it is large. */
    c->api = api;
    c->x = x;
    c->route = match->route;
    c->match = *match;
    c->arena = &x->arena;
    c->lane = LANE_SALE;
    c->status = 200;
    run_route(c);
}

void api_head(void *context, struct http_exchange *x, uint64_t *max_body)
{
    struct api *api = context;
    struct http_match *match = arena_alloc(&x->arena, sizeof *match);

    *max_body = 0;
    x->user = match;
    if (!match)
        return;
    http_router_find(api->router, &x->request, match);
    const struct route *route = match->route;
    if (route)
        *max_body = route->body_max;
}
