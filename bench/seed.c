/* SPDX-License-Identifier: Apache-2.0 */
#include "seed.h"

#include <liboath/oath.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/base32.h"

enum { TOTP_BYTES_MAX = 64, FANS_AT_A_TIME = 8, CATEGORIES = 3, MANY_SEATS = 20000 };

static const char password[] = "correct horse battery staple 9";

/* Why not the kernel's: a sale makes half a dozen ids, and each would be a system call of the client. */
static const struct rng *own_rng(void)
{
    static struct rng_seeded own;
    uint64_t seed;

    if (!own.rng.fill) {
        rng_fill(rng_system(), &seed, sizeof seed);
        rng_seeded_init(&own, seed);
    }
    return &own.rng;
}

void new_id(char *out, const char *prefix)
{
    uint8_t id[ID_BYTES];

    id_make(clock_system(), own_rng(), id);
    id_format(prefix, id, out);
}

void request_write(struct buf *out, uint16_t port, const char *method, const char *path,
                   const char *token, struct span json)
{
    buf_put_text(out, method);
    buf_put_u8(out, ' ');
    buf_put_text(out, path);
    buf_put_text(out, " HTTP/1.1\r\nHost: 127.0.0.1:");
    buf_put_i64_text(out, port);
    if (token && token[0]) {
        buf_put_text(out, "\r\nAuthorization: Bearer ");
        buf_put_text(out, token);
    }
    if (json.len) {
        buf_put_text(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
        buf_put_i64_text(out, (int64_t)json.len);
    } else if (method[0] == 'P') {
        buf_put_text(out, "\r\nContent-Length: 0");
    }
    buf_put_text(out, "\r\nGatehouse-Token: yes\r\n\r\n");
    buf_put_span(out, json);
    must(buf_check(out), "request");
}

static const uint8_t *after_key(struct span json, const char *key)
{
    char quoted[64] = "\"";
    size_t n = strlen(key);

    if (n + 4 > sizeof quoted)
        die("a long key: %s", key);
    memcpy(quoted + 1, key, n);
    memcpy(quoted + 1 + n, "\":", 2);
    const uint8_t *at = memmem(json.data, json.len, quoted, n + 3);

    return at ? at + n + 3 : NULL;
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

static int64_t digits(struct span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        n = n * 10 + (text.data[i] - '0');
    return n;
}

bool find_number(struct span json, const char *key, int64_t *ret_number)
{
    return next_number(&json, key, ret_number);
}

bool next_number(struct span *rest, const char *key, int64_t *ret_number)
{
    const uint8_t *at = after_key(*rest, key);

    if (!at)
        return false;
    *rest = span_of(at, (size_t)(rest->data + rest->len - at));
    *ret_number = digits(*rest);
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

struct span seed_ask(struct rig *r, const char *token, const char *method, const char *path,
                     const char *json, int want)
{
    struct buf *request = wire_scratch(r->pool);

    request_write(request, r->world.port, method, path, token, span_text(json));
    int status = wire_ask(r->wire, r->pool, buf_span(request), &r->answer);
    if (status != want)
        die("%s %s was answered %d: %s", method, path, status, buf_text(&r->answer));
    return buf_span(&r->answer);
}

static void keep_token(struct span answer, char *token)
{
    struct span text;

    if (!find_text(answer, "token", &text))
        die("no token in the answer");
    must(span_to_text(text, token, BENCH_TOKEN_MAX), "token");
}

static void make_owner(struct rig *r, char *token)
{
    char json[1024], id[ID_TEXT_MAX], code[8];
    struct span answer, secret;

    new_id(id, "acc");
    (void)snprintf(json, sizeof json,
                   "{\"token\":\"%s\",\"id\":\"%s\",\"mail\":\"owner@bench.invalid\",\"name\":"
                   "\"Owner\",\"password\":\"%s\"}",
                   r->world.owner_link_token, id, password);
    keep_token(seed_ask(r, NULL, "POST", "/api/v1/setup/owner", json, 201), token);
    answer = seed_ask(r, token, "POST", "/api/v1/account/totp", "", 200);
    if (!find_text(answer, "secret", &secret))
        die("no secret in the answer");
    totp_now(secret, code);
    (void)snprintf(json, sizeof json, "{\"code\":\"%s\"}", code);
    keep_token(seed_ask(r, token, "POST", "/api/v1/account/totp/confirm", json, 200), token);
}

void seed_house(struct rig *r, struct house *ret_house)
{
    struct house *h = ret_house;
    char json[1024], path[128];

    make_owner(r, h->owner_token);
    new_id(h->organiser, "org");
    (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"name\":\"Bench\",\"slug\":\"bench\"}",
                   h->organiser);
    (void)seed_ask(r, h->owner_token, "POST", "/api/v1/organisers", json, 201);
    new_id(h->venue, "ven");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/venues", h->organiser);
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"name\":\"Stadium\",\"address\":\"Loopback "
                   "1\",\"time_zone\":\"Europe/Berlin\"}",
                   h->venue);
    (void)seed_ask(r, h->owner_token, "POST", path, json, 201);
}

/* --- shows ----------------------------------------------------------------------------------------------------------------------- */

static void make_plan(struct rig *r, const struct house *h, unsigned seats, char *ret_plan)
{
    char json[1024], path[128];

    new_id(ret_plan, "pln");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/plans", h->organiser);
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"venue\":\"%s\",\"name\":\"Bowl\",\"generate\":{\"kind\":"
                   "\"stadium\",\"seats\":%u,\"tiers\":3,\"sectors\":%u}}",
                   ret_plan, h->venue, seats, seats >= MANY_SEATS ? 48 : 8);
    (void)seed_ask(r, h->owner_token, "POST", path, json, 201);
}

enum { STARTS, ENDS, DOORS, SALE_FROM, SALE_UNTIL, TIMES };

static void write_event(const struct house *h, const struct show *show, const char *plan,
                        const char *id, struct buf *out)
{
    static const int64_t in_a_month[TIMES] = {30 * 86400, 30 * 86400 + 7200, 30 * 86400 - 3600,
                                              -3600, 29 * 86400},
                         now[TIMES] = {3600, 86400, -3600, -7200, 86400};
    const int64_t *in_s = show->doors_open ? now : in_a_month;
    int64_t now_s = clock_now_ms(clock_system()) / 1000;
    char times[TIMES][TIME_TEXT_MAX];

    for (size_t i = 0; i < TIMES; i++)
        time_format((now_s + in_s[i]) * 1000, times[i]);
    buf_printf(out,
               "{\"id\":\"%s\",\"venue\":\"%s\",\"plan\":\"%s\",\"name\":\"%s\","
               "\"description\":\"Bench\",\"currency\":\"EUR\","
               "\"starts_at\":\"%s\",\"ends_at\":\"%s\",\"doors_at\":\"%s\",\"sale_from\":\"%s\","
               "\"sale_until\":\"%s\","
               "\"per_order_max\":%u,\"entries_max\":1,\"categories\":[",
               id, h->venue, plan, show->name, times[STARTS], times[ENDS], times[DOORS],
               times[SALE_FROM], times[SALE_UNTIL], show->per_order_max);
    for (unsigned i = 0; i < CATEGORIES; i++)
        buf_printf(out,
                   "%s{\"category\":%u,\"name\":\"Category "
                   "%u\",\"color\":\"#3366cc\",\"price_minor\":%u,\"fee_minor\":%u}",
                   i ? "," : "", i, i + 1, show->gratis ? 0 : 4000 + i * 500,
                   show->gratis ? 0 : 250);
    buf_put_text(out, "]}");
}

void seed_show(struct rig *r, const struct house *h, const struct show *show,
               struct stage *ret_stage)
{
    AUTO(buf_done) struct buf json = {0};
    char path[128], plan[ID_TEXT_MAX];
    int64_t capacity;

    make_plan(r, h, show->seats, plan);
    new_id(ret_stage->event, "evt");
    buf_init(&json, 65536);
    write_event(h, show, plan, ret_stage->event, &json);
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/events", h->organiser);
    (void)seed_ask(r, h->owner_token, "POST", path, buf_text(&json), 201);
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/status", ret_stage->event);
    struct span answer = seed_ask(r, h->owner_token, "POST", path, "{\"status\":\"on_sale\"}", 200);
    if (!find_number(answer, "capacity", &capacity))
        die("the event's answer is not understood");
    ret_stage->places = (uint32_t)capacity;
    ret_stage->categories = CATEGORIES;
}

/* --- fans ------------------------------------------------------------------------------------------------------------------------ */

struct enrolling {
    struct rig *rig;
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
    struct rig *r = n->all->rig;
    struct buf *request = wire_scratch(r->pool);
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
    request_write(request, r->world.port, "POST", paths[n->step], n->all->fans[n->index].token,
                  span_text(json));
    wire_send(r->pool, buf_span(request), newcomer_answered, n);
}

void seed_fans(struct rig *r, struct fan *fans, size_t count)
{
    struct enrolling all = {.rig = r, .fans = fans, .count = count};
    struct newcomer newcomers[FANS_AT_A_TIME];

    for (size_t i = 0; i < FANS_AT_A_TIME && i < count; i++) {
        newcomers[i] = (struct newcomer){.all = &all, .index = all.begun++};
        newcomer_next(&newcomers[i]);
    }
    while (all.ended < count)
        wire_turn(r->wire, 1000);
}

void seed_sign_in(struct buf *request, uint16_t port, size_t fan)
{
    char json[256];

    (void)snprintf(json, sizeof json, "{\"mail\":\"fan%zu@bench.invalid\",\"password\":\"%s\"}",
                   fan, password);
    request_write(request, port, "POST", "/api/v1/sessions", NULL, span_text(json));
}
