/* SPDX-License-Identifier: Apache-2.0 */
#include "seed.h"

#include <liboath/oath.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/base32.h"

enum { TOTP_BYTES_MAX = 64, FANS_AT_A_TIME = 8 };

static const char password[] = "correct horse battery staple 9";

void new_id(char *out, const char *prefix)
{
    uint8_t id[ID_BYTES];

    id_make(clock_system(), rng_system(), id);
    id_format(prefix, id, out);
}

void request_write(struct buf *out, uint16_t port, const char *method, const char *path,
                   const char *token, struct span json)
{
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", method, path, port);
    if (token && token[0])
        buf_printf(out, "Authorization: Bearer %s\r\n", token);
    if (json.len)
        buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", json.len);
    else if (method[0] == 'P')
        buf_put_text(out, "Content-Length: 0\r\n");
    buf_put_text(out, "Gatehouse-Token: yes\r\n\r\n");
    buf_put_span(out, json);
    must(buf_check(out), "request");
}

static const uint8_t *after_key(struct span json, const char *key)
{
    char quoted[64];
    int n = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const uint8_t *at = memmem(json.data, json.len, quoted, (size_t)n);

    return at ? at + n : NULL;
}

bool find_text(struct span json, const char *key, struct span *ret_text)
{
    const uint8_t *at = after_key(json, key);

    if (!at || at >= json.data + json.len || *at != '"')
        return false;
    struct span rest = span_of(at + 1, (size_t)(json.data + json.len - at) - 1);
    *ret_text = span_sub(rest, 0, span_find(rest, '"'));
    return true;
}

bool find_number(struct span json, const char *key, int64_t *ret_number)
{
    const uint8_t *at = after_key(json, key);
    int64_t n = 0;

    if (!at)
        return false;
    for (; at < json.data + json.len && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (*at - '0');
    *ret_number = n;
    return true;
}

void totp_now(struct span secret, char ret_code[8])
{
    uint8_t key[TOTP_BYTES_MAX];
    char code[8];
    size_t len;

    must(base32_decode(secret, key, sizeof key, &len), "second factor's secret");
    if (oath_totp_generate((const char *)key, len, (time_t)(clock_now_ms(clock_system()) / 1000),
                           30, 0, 6, code) != OATH_OK)
        die("no code for the second factor");
    memcpy(ret_code, code, 7);
}

/* --- one request after the other ----------------------------------------------------------------------------------------------- */

struct client {
    struct wire *wire;
    struct wire_pool *pool;
    uint16_t port;
    char token[BENCH_TOKEN_MAX];
    struct buf answer;
};

static void ask(struct client *c, const char *method, const char *path, const char *json, int want)
{
    AUTO(buf_done) struct buf request = {0};

    buf_init(&request, 1 << 20);
    request_write(&request, c->port, method, path, c->token, span_text(json));
    int status = wire_ask(c->wire, c->pool, buf_span(&request), &c->answer);
    if (status != want)
        die("%s %s was answered %d: %s", method, path, status, buf_text(&c->answer));
}

static void keep_token(struct span answer, char *token)
{
    struct span text;

    if (!find_text(answer, "token", &text))
        die("no token in the answer");
    must(span_to_text(text, token, BENCH_TOKEN_MAX), "token");
}

static void make_owner(struct client *c, const struct world *world)
{
    char json[1024], id[ID_TEXT_MAX], code[8];
    struct span secret;

    new_id(id, "acc");
    (void)snprintf(json, sizeof json,
                   "{\"token\":\"%s\",\"id\":\"%s\",\"mail\":\"owner@bench.invalid\",\"name\":"
                   "\"Owner\",\"password\":\"%s\"}",
                   world->owner_link_token, id, password);
    ask(c, "POST", "/api/v1/setup/owner", json, 201);
    keep_token(buf_span(&c->answer), c->token);
    ask(c, "POST", "/api/v1/account/totp", "", 200);
    if (!find_text(buf_span(&c->answer), "secret", &secret))
        die("no secret in the answer");
    totp_now(secret, code);
    (void)snprintf(json, sizeof json, "{\"code\":\"%s\"}", code);
    ask(c, "POST", "/api/v1/account/totp/confirm", json, 200);
    keep_token(buf_span(&c->answer), c->token);
}

static void time_text(int64_t in_s, char *out)
{
    time_format(clock_now_ms(clock_system()) / 1000 * 1000 + in_s * 1000, out);
}

static void make_event(struct client *c, const char *organiser, const char *venue, const char *plan,
                       unsigned per_order_max, unsigned categories)
{
    AUTO(buf_done) struct buf json = {0};
    char path[128], id[ID_TEXT_MAX], times[5][TIME_TEXT_MAX];
    static const int64_t in_s[5] = {30 * 86400, 30 * 86400 + 7200, 30 * 86400 - 3600, -3600,
                                    29 * 86400};

    new_id(id, "evt");
    for (size_t i = 0; i < 5; i++)
        time_text(in_s[i], times[i]);
    buf_init(&json, 65536);
    buf_printf(&json,
               "{\"id\":\"%s\",\"venue\":\"%s\",\"plan\":\"%s\",\"name\":\"Sell-out\","
               "\"description\":\"Bench\",\"currency\":\"EUR\","
               "\"starts_at\":\"%s\",\"ends_at\":\"%s\",\"doors_at\":\"%s\",\"sale_from\":\"%s\","
               "\"sale_until\":\"%s\","
               "\"per_order_max\":%u,\"entries_max\":1,\"categories\":[",
               id, venue, plan, times[0], times[1], times[2], times[3], times[4], per_order_max);
    for (unsigned i = 0; i < categories; i++)
        buf_printf(&json,
                   "%s{\"category\":%u,\"name\":\"Category "
                   "%u\",\"color\":\"#3366cc\",\"price_minor\":%u,\"fee_minor\":250}",
                   i ? "," : "", i, i + 1, 4000 + i * 500);
    buf_put_text(&json, "]}");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/events", organiser);
    ask(c, "POST", path, buf_text(&json), 201);
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/status", id);
    ask(c, "POST", path, "{\"status\":\"on_sale\"}", 200);
}

void seed_stage(struct wire *w, struct wire_pool *p, const struct world *world, unsigned seats,
                unsigned per_order_max, struct stage *ret_stage)
{
    struct client c = {.wire = w, .pool = p, .port = world->port};
    char json[1024], path[128], organiser[ID_TEXT_MAX], venue[ID_TEXT_MAX], plan[ID_TEXT_MAX];
    struct span event;
    int64_t n;

    buf_init(&c.answer, 1 << 22);
    make_owner(&c, world);
    new_id(organiser, "org");
    (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"name\":\"Bench\",\"slug\":\"bench\"}",
                   organiser);
    ask(&c, "POST", "/api/v1/organisers", json, 201);
    new_id(venue, "ven");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/venues", organiser);
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"name\":\"Stadium\",\"address\":\"Loopback "
                   "1\",\"time_zone\":\"Europe/Berlin\"}",
                   venue);
    ask(&c, "POST", path, json, 201);
    new_id(plan, "pln");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/plans", organiser);
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"venue\":\"%s\",\"name\":\"Bowl\",\"generate\":{\"kind\":"
                   "\"stadium\",\"seats\":%u,\"tiers\":3,\"sectors\":%u}}",
                   plan, venue, seats, seats >= 20000 ? 48 : 8);
    ask(&c, "POST", path, json, 201);
    make_event(&c, organiser, venue, plan, per_order_max, 3);
    if (!find_text(buf_span(&c.answer), "id", &event) ||
        !find_number(buf_span(&c.answer), "capacity", &n))
        die("the event's answer is not understood");
    must(span_to_text(event, ret_stage->event, sizeof ret_stage->event), "event id");
    ret_stage->places = (uint32_t)n;
    ret_stage->categories = 3;
    must(span_to_text(span_text(c.token), ret_stage->owner_token, sizeof ret_stage->owner_token),
         "token");
    buf_done(&c.answer);
}

/* --- fans ------------------------------------------------------------------------------------------------------------------------ */

struct enrolling {
    struct wire_pool *pool;
    uint16_t port;
    struct fan *fans;
    size_t count, begun, ended;
};

struct newcomer {
    struct enrolling *all;
    size_t index;
    int step; /* register, ask for a second factor, confirm it */
    char code[8];
};

static void newcomer_next(struct newcomer *n);

static void newcomer_answered(void *context, const struct wire_answer *a)
{
    struct newcomer *n = context;
    struct fan *fan = &n->all->fans[n->index];
    struct span secret;

    if (a->status != 200 && a->status != 201)
        die("registering a fan was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    if (n->step == 1) {
        if (!find_text(a->body, "secret", &secret))
            die("no secret in the answer");
        totp_now(secret, n->code);
    } else {
        keep_token(a->body, fan->token);
    }
    if (++n->step == 3) {
        n->all->ended++;
        if (n->all->begun == n->all->count)
            return;
        n->index = n->all->begun++;
        n->step = 0;
    }
    newcomer_next(n);
}

static void newcomer_next(struct newcomer *n)
{
    static const char *const paths[] = {"/api/v1/accounts", "/api/v1/account/totp",
                                        "/api/v1/account/totp/confirm"};
    AUTO(buf_done) struct buf request = {0};
    char json[512] = "", id[ID_TEXT_MAX];

    if (n->step == 0) {
        new_id(id, "acc");
        (void)snprintf(json, sizeof json,
                       "{\"id\":\"%s\",\"mail\":\"fan%zu@bench.invalid\",\"name\":\"Fan "
                       "%zu\",\"password\":\"%s\"}",
                       id, n->index, n->index, password);
    } else if (n->step == 2) {
        (void)snprintf(json, sizeof json, "{\"code\":\"%s\"}", n->code);
    }
    buf_init(&request, 8192);
    request_write(&request, n->all->port, "POST", paths[n->step], n->all->fans[n->index].token,
                  span_text(json));
    wire_send(n->all->pool, buf_span(&request), newcomer_answered, n);
}

void seed_fans(struct wire *w, struct wire_pool *p, uint16_t port, struct fan *fans, size_t count)
{
    struct enrolling all = {.pool = p, .port = port, .fans = fans, .count = count};
    struct newcomer newcomers[FANS_AT_A_TIME];

    for (size_t i = 0; i < FANS_AT_A_TIME && i < count; i++) {
        newcomers[i] = (struct newcomer){.all = &all, .index = all.begun++};
        newcomer_next(&newcomers[i]);
    }
    while (all.ended < count)
        wire_turn(w, 1000);
}
