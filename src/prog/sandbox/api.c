/* SPDX-License-Identifier: Apache-2.0 */
/* api - from an HTTP request to a Stripe answer: key, misbehaviour, idempotency, the table of resources. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ground/crypto/crypto.h"
#include "ground/encode/base64.h"
#include "ground/encode/hex.h"
#include "prog/sandbox/sandbox.h"

enum {
    LIST_MAX = 100,
    ANSWER_MAX = 4 << 20,
    SLOW_MS = 3000,
    WITHHOLD_MS = 60000,
    DAY_MS = 86400000
};

/* --- Answers --------------------------------------------------------------------------------------------------------- */

enum err api_error(struct call *c, int status, const char *type, const char *code,
                   const char *param, const char *format, ...)
{
    char words[300];
    struct json_writer w;
    va_list more;

    va_start(more, format);
    (void)vsnprintf(words, sizeof words, format, more);
    va_end(more);
    buf_reset(&c->body);
    c->status = status;
    json_w_init(&w, &c->body);
    json_w_object(&w);
    json_w_kv_object(&w, "error");
    if (code)
        json_w_kv_cstr(&w, "code", code);
    json_w_kv_cstr(&w, "message", words);
    if (param)
        json_w_kv_cstr(&w, "param", param);
    json_w_kv_cstr(&w, "type", type);
    json_w_end(&w);
    json_w_end(&w);
    return json_w_finish(&w);
}

enum err api_refuse_unused(struct call *c, bool *ret_refused)
{
    const struct form_field *f = form_unused(&c->form);
    char name[100];

    *ret_refused = f != NULL;
    if (!f)
        return OK;
    (void)snprintf(name, sizeof name, SPAN_FMT, SPAN_ARG(span_sub(f->name, 0, 80)));
    if (!utf8_valid(span_text(name)))
        (void)snprintf(name, sizeof name, "(unreadable)");
    return api_error(c, 400, "invalid_request_error", "parameter_unknown", name,
                     "Received unknown parameter: %s", name);
}

enum err api_int_param(struct call *c, const char *name, int64_t min, int64_t max, int64_t *value,
                       bool *ret_refused)
{
    struct span s = form_get(&c->form, name);
    int64_t n;

    *ret_refused = false;
    if (!s.data)
        return OK;
    if (text_to_i64(s, &n) == OK && n >= min && n <= max) {
        *value = n;
        return OK;
    }
    *ret_refused = true;
    return api_error(c, 400, "invalid_request_error", "parameter_invalid_integer", name,
                     "Invalid integer for %s: it must be between %lld and %lld.", name,
                     (long long)min, (long long)max);
}

enum err api_metadata(struct call *c, struct meta *m, bool *ret_refused)
{
    AUTO(buf_done) struct buf b;
    struct json_writer w;
    char key[48];

    buf_init(&b, META_MAX - 1);
    *ret_refused = false;
    json_w_init(&w, &b);
    json_w_object(&w);
    for (size_t i = 0; i < c->form.count; i++) {
        struct form_field *f = &c->form.fields[i];
        if (!span_starts(f->name, "metadata[") || f->name.data[f->name.len - 1] != ']')
            continue;
        f->used = true;
        *ret_refused |= f->value.len > 500 ||
                        span_to_text(span_sub(f->name, 9, f->name.len - 10), key, sizeof key) != OK;
        if (!*ret_refused)
            json_w_kv_text(&w, key, f->value);
    }
    json_w_end(&w);
    *ret_refused |= json_w_finish(&w) != OK;
    if (*ret_refused)
        return api_error(c, 400, "invalid_request_error", NULL, "metadata",
                         "Metadata keys are at most 40 bytes, values 500, all together 4000.");
    return span_to_text(buf_span(&b), m->json, sizeof m->json);
}

struct list {
    struct call *call;
    struct json_writer w;
    enum err (*keep)(struct call *c, struct span json, bool *ret_keep);
    size_t count, max;
    bool more;
};

static enum err list_one(void *context, const char *key, struct span value)
{
    struct list *l = context;
    bool keep = true;

    (void)key;
    if (l->more)
        return OK;
    if (l->keep)
        TRY(l->keep(l->call, value, &keep));
    if (!keep)
        return OK;
    l->more = l->count == l->max;
    if (!l->more) {
        json_w_raw(&l->w, value);
        l->count++;
    }
    return OK;
}

enum err api_list(struct call *c, const char *bucket, const char *url,
                  enum err (*keep)(struct call *c, struct span json, bool *ret_keep))
{
    struct list l = {.call = c, .keep = keep};
    char after[OBJECT_ID_MAX];
    int64_t limit = 10;
    bool refused;

    TRY(api_int_param(c, "limit", 1, LIST_MAX, &limit, &refused));
    if (refused)
        return OK;
    struct span start = form_get(&c->form, "starting_after");
    if (span_to_text(start, after, sizeof after) != OK)
        return api_error(c, 400, "invalid_request_error", "resource_missing", "starting_after",
                         "No such object.");
    TRY(api_refuse_unused(c, &refused));
    if (refused)
        return OK;
    l.max = (size_t)limit;
    const struct kv_scan scan = {.bucket = bucket,
                                 .after = start.data ? after : NULL,
                                 .descending = true,
                                 .rows_max = 100000};
    json_w_init(&l.w, &c->body);
    json_w_object(&l.w);
    json_w_kv_cstr(&l.w, "object", "list");
    json_w_kv_array(&l.w, "data");
    TRY(kv_scan(c->sb->kv, &scan, list_one, &l));
    json_w_end(&l.w);
    json_w_kv_bool(&l.w, "has_more", l.more);
    json_w_kv_cstr(&l.w, "url", url);
    json_w_end(&l.w);
    return json_w_finish(&l.w);
}

/* --- Who asks -------------------------------------------------------------------------------------------------------- */

static bool key_is_right(const struct sandbox *sb, struct span key)
{
    return key.len == strlen(sb->key) && crypto_eq(key.data, sb->key, key.len);
}

/* Bearer, or Basic with the key as the user's name. */
static bool is_authorized(const struct sandbox *sb, const struct http_request *r)
{
    struct span h = http_field(r, "Authorization");
    uint8_t plain[KEY_TEXT_MAX + 8];
    size_t n = 0;

    if (span_ieq_text(span_sub(h, 0, 7), "bearer "))
        return key_is_right(sb, span_sub(h, 7, h.len));
    if (!span_ieq_text(span_sub(h, 0, 6), "basic ") ||
        base64_decode(span_sub(h, 6, h.len), plain, sizeof plain, &n) != OK)
        return false;
    struct span pair = span_of(plain, n);
    bool right = key_is_right(sb, span_sub(pair, 0, span_find(pair, ':')));
    wipe(plain, sizeof plain);
    return right;
}

/* --- Idempotency ----------------------------------------------------------------------------------------------------- */

struct promise {
    char key[KV_KEY_MAX];
    char fingerprint[2 * SHA256_BYTES + 1];
    bool wanted;
};

/* status time fingerprint body, separated by spaces. */
static enum err keep_answer(struct call *c, const struct promise *p)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, ANSWER_MAX);
    buf_printf(&b, "%d %lld %s ", c->status, (long long)state_now_ms(c->sb), p->fingerprint);
    buf_put_span(&b, buf_span(&c->body));
    TRY(buf_check(&b));
    return kv_put(c->sb->kv, "idempotency", p->key, buf_span(&b));
}

static struct span next_word(struct span *rest)
{
    size_t end = span_find(*rest, ' ');
    struct span word = span_sub(*rest, 0, end);
    *rest = span_sub(*rest, end + 1, rest->len);
    return word;
}

/* *ret_answered: the request was seen before, and the answer is made. */
static enum err replay(struct call *c, struct promise *p, bool *ret_answered)
{
    const struct http_request *r = &c->x->request;
    struct span key = http_field(r, "Idempotency-Key"),
                method = span_text(http_method_name(r->method));
    AUTO(buf_done) struct buf b;
    uint8_t hash[SHA256_BYTES];
    int64_t status, at_ms;

    *ret_answered = false;
    p->wanted = r->method == HTTP_POST && key.len > 0;
    if (!p->wanted)
        return OK;
    if (span_to_text(key, p->key, sizeof p->key) != OK || !utf8_valid(key)) {
        *ret_answered = true;
        return api_error(c, 400, "idempotency_error", NULL, NULL, "The key is too long.");
    }
    sha256_parts((const struct span[]){method, SPAN_LIT(" "), r->path, SPAN_LIT("\n"), r->body}, 5,
                 hash);
    hex_format(SPAN_ARRAY(hash), p->fingerprint);
    buf_init(&b, ANSWER_MAX);
    enum err e = kv_get(c->sb->kv, "idempotency", p->key, &b);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    struct span rest = buf_span(&b);
    TRY(text_to_i64(next_word(&rest), &status));
    TRY(text_to_i64(next_word(&rest), &at_ms));
    struct span fingerprint = next_word(&rest);
    if (at_ms + DAY_MS <= state_now_ms(c->sb))
        return OK;
    *ret_answered = true;
    if (!span_eq_text(fingerprint, p->fingerprint))
        return api_error(c, 400, "idempotency_error", NULL, NULL,
                         "Keys for idempotent requests can only be used with the same parameters "
                         "they were first used with.");
    http_header_text(c->x, "Idempotent-Replayed", "true");
    c->status = (int)status;
    buf_put_span(&c->body, rest);
    return buf_check(&c->body);
}

/* --- The test's levers ----------------------------------------------------------------------------------------------- */

static enum err say_clock(struct call *c)
{
    struct json_writer w;

    json_w_init(&w, &c->body);
    json_w_object(&w);
    json_w_kv_i64(&w, "now_ms", state_now_ms(c->sb));
    json_w_end(&w);
    return json_w_finish(&w);
}

static enum err set_clock(struct call *c)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o;
    int64_t now_ms = state_now_ms(c->sb), advance_ms = 0;

    TRY(json_parse(c->x->request.body, 4096, &doc));
    TRY(json_root(doc, &o));
    TRY(json_opt_i64(&o, "now_ms", 0, INT64_C(253402300799000), &now_ms));
    TRY(json_opt_i64(&o, "advance_ms", 0, INT64_C(1) << 40, &advance_ms));
    TRY(json_object_end(&o));
    TRY(state_set_now(c->sb, now_ms + advance_ms));
    pthread_cond_signal(&c->sb->some_hook);
    return say_clock(c);
}

static enum err say_faults(struct call *c)
{
    struct json_writer w;

    json_w_init(&w, &c->body);
    json_w_object(&w);
    json_w_kv_array(&w, "faults");
    for (int i = 0; i < FAULT_KINDS; i++) {
        const struct fault *f = &c->sb->faults[i];
        if (f->times <= 0)
            continue;
        json_w_object(&w);
        json_w_kv_cstr(&w, "kind", state_fault_name((enum fault_kind)i));
        json_w_kv_i64(&w, "times", f->times);
        json_w_kv_i64(&w, "delay_ms", f->delay_ms);
        json_w_kv_cstr(&w, "path", f->path);
        json_w_end(&w);
    }
    json_w_end(&w);
    json_w_end(&w);
    return json_w_finish(&w);
}

static enum err set_fault(struct call *c)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o;
    struct span kind, path = {0};
    struct fault f = {.times = 1};

    TRY(json_parse(c->x->request.body, 4096, &doc));
    TRY(json_root(doc, &o));
    TRY(json_need_text(&o, "kind", 40, &kind));
    TRY(json_opt_i64(&o, "times", 0, 1000000, &f.times));
    TRY(json_opt_i64(&o, "delay_ms", 0, 600000, &f.delay_ms));
    TRY(json_opt_text(&o, "path", sizeof f.path - 1, &path));
    TRY(json_object_end(&o));
    TRY(span_to_text(path, f.path, sizeof f.path));
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (span_eq_text(kind, state_fault_name((enum fault_kind)i))) {
            c->sb->faults[i] = f;
            return say_faults(c);
        }
    }
    return api_error(c, 400, "invalid_request_error", NULL, "kind", "There is no such fault.");
}

/* --- The table ------------------------------------------------------------------------------------------------------- */

static enum err keep_event_type(struct call *c, struct span json, bool *ret_keep)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct span want = form_get(&c->form, "type"), type;
    struct json_object o;

    if (!want.data)
        return OK;
    TRY(json_parse(json, OBJECT_JSON_MAX + 1024, &doc));
    TRY(json_root(doc, &o));
    TRY(json_need_text(&o, "type", 100, &type));
    *ret_keep = span_eq(want, type);
    return OK;
}

static enum err event_list(struct call *c)
{
    (void)form_get(&c->form, "type"); /* known */
    return api_list(c, "event", "/v1/events", keep_event_type);
}

/* Whether the path is this pattern; "{id}" is one segment. */
static bool path_is(const struct http_request *r, const char *pattern, struct span *ret_id)
{
    size_t i = 0;

    for (const char *p = pattern; *p; i++) {
        const char *end = strchr(p + 1, '/');
        size_t len = end ? (size_t)(end - p - 1) : strlen(p + 1);
        if (i >= r->segment_count)
            return false;
        if (len == 4 && strncmp(p + 1, "{id}", 4) == 0)
            *ret_id = r->segments[i];
        else if (!span_eq(r->segments[i], span_of(p + 1, len)))
            return false;
        p += 1 + len;
    }
    return i == r->segment_count;
}

static enum err run_route(struct call *c, bool *ret_changes)
{
    static const struct {
        enum http_method method;
        const char *pattern;
        enum err (*plain)(struct call *c);
        enum err (*with_id)(struct call *c, struct span id);
    } routes[] = {
        {HTTP_POST, "/v1/checkout/sessions", checkout_create, NULL},
        {HTTP_GET, "/v1/checkout/sessions", checkout_list, NULL},
        {HTTP_GET, "/v1/checkout/sessions/{id}", NULL, checkout_get},
        {HTTP_POST, "/v1/checkout/sessions/{id}/expire", NULL, checkout_expire},
        {HTTP_GET, "/v1/payment_intents/{id}", NULL, intent_get},
        {HTTP_POST, "/v1/refunds", refund_create, NULL},
        {HTTP_GET, "/v1/refunds", refund_list, NULL},
        {HTTP_GET, "/v1/refunds/{id}", NULL, refund_get},
        {HTTP_GET, "/v1/events", event_list, NULL},
        {HTTP_GET, "/sandbox/clock", say_clock, NULL},
        {HTTP_POST, "/sandbox/clock", set_clock, NULL},
        {HTTP_GET, "/sandbox/faults", say_faults, NULL},
        {HTTP_POST, "/sandbox/faults", set_fault, NULL},
    };
    const struct http_request *r = &c->x->request;
    struct span id = {0};

    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (routes[i].method != r->method || !path_is(r, routes[i].pattern, &id))
            continue;
        *ret_changes = r->method == HTTP_POST;
        return routes[i].plain ? routes[i].plain(c) : routes[i].with_id(c, id);
    }
    *ret_changes = false;
    return api_error(c, 404, "invalid_request_error", NULL, NULL, "Unrecognized request URL (%s).",
                     http_method_name(r->method));
}

/* --- One request ----------------------------------------------------------------------------------------------------- */

static enum err read_form(struct call *c)
{
    const struct http_request *r = &c->x->request;

    if (span_starts(r->path, "/sandbox/"))
        return OK;
    if (r->method == HTTP_POST)
        return form_parse(r->body, &c->x->arena, &c->form);
    for (size_t i = 0; i < r->param_count; i++)
        TRY(form_add(&c->form, r->params[i].name, r->params[i].value));
    return OK;
}

static enum err run_in_transaction(struct call *c)
{
    struct promise p = {0};
    bool answered, changes = false;

    TRY(state_expire_due(c->sb));
    TRY(replay(c, &p, &answered));
    if (answered)
        return OK;
    TRY(kv_begin(c->sb->kv));
    enum err e = run_route(c, &changes);
    if (e == OK && p.wanted && changes && c->status == 200)
        e = keep_answer(c, &p);
    if (e == OK)
        e = kv_commit(c->sb->kv);
    if (e != OK)
        kv_rollback(c->sb->kv);
    return e;
}

/* Makes the answer; the exchange is the caller's to finish when it was deferred. */
static void run(struct sandbox *sb, struct http_exchange *x)
{
    struct call *c = calloc(1, sizeof *c);

    if (!c) {
        http_reply_empty(x, 500);
        return;
    }
    c->sb = sb;
    c->x = x;
    c->status = 200;
    buf_init(&c->body, ANSWER_MAX);
    enum err e = read_form(c);
    if (e == OK) {
        pthread_mutex_lock(&sb->lock);
        e = run_in_transaction(c);
        pthread_mutex_unlock(&sb->lock);
    }
    if (e == ERR_INVALID)
        e = api_error(c, 400, "invalid_request_error", NULL, NULL, "%s", err_last()->detail);
    if (e != OK) {
        log_error_info(LOG_ERROR, "answering", err_last());
        e = api_error(c, 500, "api_error", NULL, NULL, "The sandbox failed.");
    }
    if (e != OK)
        http_reply_empty(x, 500);
    else
        http_reply_json(x, c->status, &c->body);
    buf_done(&c->body);
    free(c);
}

/* Hand the exchange to the thread of held answers; false when it cannot be held. */
static bool hold_back(struct sandbox *sb, struct http_exchange *x, bool answered, int64_t delay_ms)
{
    struct held *h = calloc(1, sizeof *h);

    if (!h)
        return false;
    *h = (struct held){
        .x = x, .answered = answered, .due_ms = clock_mono_ms(clock_system()) + delay_ms};
    pthread_mutex_lock(&sb->lock);
    bool late = sb->stopping; /* nobody would let go of it */
    if (!late) {
        h->next = sb->held;
        sb->held = h;
        pthread_cond_signal(&sb->some_held);
    }
    pthread_mutex_unlock(&sb->lock);
    if (late)
        free(h);
    return !late;
}

static bool fault(struct sandbox *sb, enum fault_kind kind, struct http_exchange *x,
                  int64_t *ret_delay_ms)
{
    pthread_mutex_lock(&sb->lock);
    bool hit = state_fault(sb, kind, x->request.path, ret_delay_ms);
    pthread_mutex_unlock(&sb->lock);
    return hit;
}

static bool is_api(const struct http_exchange *x)
{
    return span_starts(x->request.path, "/v1/") || span_starts(x->request.path, "/sandbox/");
}

/* The answer without any misbehaviour of time. */
static void answer(struct sandbox *sb, struct http_exchange *x)
{
    if (is_api(x))
        run(sb, x);
    else
        page_handle(sb, x);
}

void api_handle(void *context, struct http_exchange *x)
{
    struct sandbox *sb = context;
    bool levers = span_starts(x->request.path, "/sandbox/");
    bool post = x->request.method == HTTP_POST && !levers;
    int64_t delay_ms = 0;

    if (is_api(x) && !is_authorized(sb, &x->request)) {
        http_reply_copy(x, 401, "application/json",
                        SPAN_LIT("{\"error\":{\"message\":\"Invalid API Key provided.\","
                                 "\"type\":\"invalid_request_error\"}}"));
    } else if (post && fault(sb, FAULT_error_500_once, x, NULL)) {
        http_reply_copy(x, 500, "application/json",
                        SPAN_LIT("{\"error\":{\"message\":\"An error was asked for.\","
                                 "\"type\":\"api_error\"}}"));
    } else if (post && fault(sb, FAULT_proxy_404_once, x, NULL)) {
        http_reply_copy(x, 404, "text/html",
                        SPAN_LIT("<!doctype html><title>404</title><p>No such page."));
    } else if (post && fault(sb, FAULT_timeout_after_charge, x, &delay_ms)) {
        http_defer(x);
        answer(sb, x);
        if (!hold_back(sb, x, true, delay_ms ? delay_ms : WITHHOLD_MS))
            http_finish(x);
    } else if (!levers && fault(sb, FAULT_slow, x, &delay_ms)) {
        http_defer(x);
        if (hold_back(sb, x, false, delay_ms ? delay_ms : SLOW_MS))
            return;
        answer(sb, x);
        http_finish(x);
    } else {
        answer(sb, x);
    }
}

/* --- Held answers and expiry ----------------------------------------------------------------------------------------- */

/* The first held exchange that is due (or any, at the end); under the lock. */
static struct held *take_due(struct sandbox *sb, int64_t now_ms)
{
    for (struct held **at = &sb->held; *at; at = &(*at)->next) {
        struct held *h = *at;
        if (sb->stopping || h->due_ms <= now_ms) {
            *at = h->next;
            return h;
        }
    }
    return NULL;
}

static void wait_some(struct sandbox *sb, int64_t now_ms)
{
    int64_t at_ms = now_ms + 100;
    struct timespec until;

    for (const struct held *h = sb->held; h; h = h->next)
        at_ms = h->due_ms < at_ms ? h->due_ms : at_ms;
    until = (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = (at_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&sb->some_held, &sb->lock, &until);
}

void *api_let_go(void *context)
{
    struct sandbox *sb = context;

    pthread_mutex_lock(&sb->lock);
    while (!sb->stopping || sb->held) {
        int64_t now_ms = clock_mono_ms(clock_system());
        struct held *h = take_due(sb, now_ms);
        if (h) {
            pthread_mutex_unlock(&sb->lock);
            if (!h->answered)
                answer(sb, h->x);
            http_finish(h->x);
            free(h);
            pthread_mutex_lock(&sb->lock);
            continue;
        }
        if (state_expire_due(sb) != OK)
            log_error_info(LOG_ERROR, "expiring sessions", err_last());
        wait_some(sb, now_ms);
    }
    pthread_mutex_unlock(&sb->lock);
    return NULL;
}
