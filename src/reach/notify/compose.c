/* SPDX-License-Identifier: Apache-2.0 */
/* compose - the words of each mail, from the rows as they are. */
#include <string.h>

#include "reach/notify/mime.h"
#include "reach/notify/notify.h"
#include "sale/catalog/catalog.h"
#include "sale/catalog/zone.h"
#include "store/store/store_auth.h"
#include "store/store/store_order.h"
#include "trust/auth/auth.h"

enum { SCRATCH_MAX = 64 * 1024 };

struct letter {
    struct store_tx *tx;
    const struct notify_config *config;
    struct account to;
    struct order_row order;
    struct event_row event;
    struct arena arena;
    struct buf subject, body;
};

static void letter_done(struct letter *l)
{
    arena_done(&l->arena);
    buf_done(&l->subject);
    buf_done(&l->body);
    wipe(&l->to, sizeof l->to);
}

static void packed_done(struct packed **p)
{
    packed_free(p);
}

static void zone_done(struct zone **z)
{
    zone_free(z);
}

static enum err find_account(struct letter *l, int64_t account_no)
{
    struct auth auth = {.keyring = l->config->keyring};

    TRY(auth_account_by_no(l->tx, &auth, account_no, &l->to));
    ENSURE(l->to.mail[0], ERR_EXPIRED, "erased", "The person is no more.");
    return OK;
}

static enum err find_order(struct letter *l, const struct store_job *job)
{
    struct order_id id;

    memcpy(id.b, job->subject_id, ID_BYTES);
    TRY(store_order_by_id(l->tx, id, &l->order));
    TRY(store_event_by_no(l->tx, &l->arena, l->order.event_no, &l->event));
    return find_account(l, l->order.account_no);
}

/* Line feeds of an address become commas. */
static void put_one_line(struct buf *b, const char *text)
{
    for (; *text; text++)
        buf_put_text(b, *text == '\n' ? ", " : (const char[]){*text, '\0'});
}

static enum err put_event(struct letter *l)
{
    AUTO(zone_done) struct zone *zone = NULL;
    char when[ZONE_TEXT_MAX];

    TRY(zone_open(l->config->zoneinfo_dir, span_text(l->event.time_zone), &zone));
    zone_format(zone, l->event.starts_ms, when);
    buf_printf(&l->body, "  %s\n  %s\n  %s", l->event.name, when, l->event.venue_name);
    if (l->event.venue_address[0]) {
        buf_put_text(&l->body, ", ");
        put_one_line(&l->body, l->event.venue_address);
    }
    buf_put_text(&l->body, "\n\n");
    return OK;
}

static void put_money(struct letter *l, struct money m)
{
    char text[MONEY_TEXT_MAX];
    money_format(m, text);
    buf_put_text(&l->body, text);
}

static void put_place(struct letter *l, const struct packed *plan, const struct order_line *line)
{
    struct place_names n;

    place_names(plan, line->place_no, &n);
    buf_put_text(&l->body, "  ");
    if (n.zone[0])
        buf_printf(&l->body, "%s, ", n.zone);
    if (n.area[0])
        buf_put_text(&l->body, n.area);
    else
        buf_printf(&l->body, "row %s, seat %s", n.row, n.seat);
    buf_put_text(&l->body, ": ");
    put_money(l, (struct money){line->price_minor + line->fee_minor, l->order.amount.currency});
    buf_put_text(&l->body, "\n");
}

static enum err put_places(struct letter *l)
{
    AUTO(packed_done) struct packed *read = NULL;
    struct seat_map *map = NULL;
    struct order_line lines[ORDER_LINES_MAX];
    size_t count;

    TRY(store_order_lines(l->tx, l->order.id, lines, &count));
    if (l->config->maps)
        map = seat_maps_find(l->config->maps, l->order.event_no);
    if (!map)
        TRY(plan_of_event(l->tx, l->order.event_no, &read));
    for (size_t i = 0; i < count; i++)
        put_place(l, map ? seat_map_plan(map) : read, &lines[i]);
    return OK;
}

static void put_order_id(struct letter *l)
{
    char id[ID_TEXT_MAX];
    order_id_format(l->order.id, id);
    buf_printf(&l->body, "Order: %s\n", id);
}

static enum err order_paid(struct letter *l, const struct store_job *job)
{
    TRY(find_order(l, job));
    buf_printf(&l->subject, "Your tickets: %s", l->event.name);
    buf_printf(&l->body, "Hello %s,\n\nthank you. These are your places for\n\n", l->to.name);
    TRY(put_event(l));
    TRY(put_places(l));
    buf_put_text(&l->body, "\nPaid: ");
    put_money(l, l->order.amount);
    buf_put_text(&l->body, "\n");
    put_order_id(l);
    buf_printf(&l->body, "\nYour tickets, to show at the door:\n%s/tickets\n", l->config->origin);
    return OK;
}

static enum err late_money(struct letter *l, const struct store_job *job)
{
    TRY(find_order(l, job));
    buf_printf(&l->subject, "Your money goes back: %s", l->event.name);
    buf_printf(&l->body,
               "Hello %s,\n\nyour payment arrived after your order had ended, and its places had "
               "gone to others by then:\n\n",
               l->to.name);
    TRY(put_event(l));
    buf_put_text(&l->body, "The whole amount goes back to your card by itself: ");
    put_money(l, l->order.amount);
    buf_put_text(&l->body, "\nYou need to do nothing. Banks take a few days to show it.\n");
    put_order_id(l);
    buf_printf(&l->body, "\nOther places: %s/\n", l->config->origin);
    return OK;
}

static enum err account_created(struct letter *l, const struct store_job *job)
{
    struct account_id id;
    struct account_row row;

    memcpy(id.b, job->subject_id, ID_BYTES);
    TRY(store_account_by_id(l->tx, id, &row));
    TRY(find_account(l, row.no));
    buf_put_text(&l->subject, "Your account");
    buf_printf(&l->body,
               "Hello %s,\n\nyour account is ready. If it was not you who made it, you can ignore "
               "this mail.\n\n%s/\n",
               l->to.name, l->config->origin);
    return OK;
}

/* "example.org" of "https://example.org:8443" */
static struct span host_of(const char *origin)
{
    struct span s = span_text(origin);
    size_t from = span_find(s, ':');

    s = span_sub(s, from + 3 < s.len ? from + 3 : 0, s.len);
    return span_sub(s, 0, span_find(s, ':'));
}

static enum err put_mail(struct letter *l, const struct store_job *job, struct notify_mail *mail)
{
    const struct notify_config *c = l->config;
    char from[COURIER_ADDRESS_MAX + 1], id[ID_TEXT_MAX], name[COURIER_ADDRESS_MAX + ID_TEXT_MAX];
    struct span host = host_of(c->origin);
    struct buf *b = &mail->message;

    if (c->mail_from && c->mail_from[0])
        (void)snprintf(from, sizeof from, "%s", c->mail_from);
    else
        (void)snprintf(from, sizeof from, "no-reply@" SPAN_FMT, SPAN_ARG(host));
    job_id_format(job->id, id);
    (void)snprintf(name, sizeof name, "<%s@" SPAN_FMT ">", id, SPAN_ARG(host));
    TRY(buf_check(&l->subject));
    TRY(buf_check(&l->body));
    buf_init(b, NOTIFY_MAIL_MAX);
    mime_put_date(b, store_now_ms(l->tx));
    mime_put_header(b, "From", span_text(from));
    mime_put_header(b, "To", span_text(l->to.mail));
    mime_put_header(b, "Subject", buf_span(&l->subject));
    buf_printf(b, "Message-ID: %s\r\n", name);
    buf_put_text(b, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    mime_put_body(b, buf_span(&l->body));
    enum err e = buf_check(b);
    if (e != OK)
        buf_done(b);
    else
        memcpy(mail->to, l->to.mail, sizeof mail->to);
    return e;
}

enum err notify_compose(struct store_tx *tx, const struct notify_config *config,
                        const struct store_job *job, struct notify_mail *ret_mail)
{
    static const struct {
        const char *kind;
        enum err (*write)(struct letter *l, const struct store_job *job);
    } kinds[] = {{"mail.order_paid", order_paid},
                 {"mail.late_money", late_money},
                 {"mail.account_created", account_created}};
    AUTO(letter_done) struct letter l = {.tx = tx, .config = config};

    _Static_assert(sizeof l.to.mail == sizeof ret_mail->to, "one limit of addresses");
    arena_init(&l.arena, SCRATCH_MAX);
    buf_init(&l.subject, 1024);
    buf_init(&l.body, NOTIFY_MAIL_MAX / 4);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].kind, job->kind) != 0)
            continue;
        TRY(kinds[i].write(&l, job));
        return put_mail(&l, job, ret_mail);
    }
    FAIL(ERR_NOT_FOUND, "unknown_kind", "Nobody knows this kind of mail.");
}
