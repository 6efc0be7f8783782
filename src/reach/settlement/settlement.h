/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_SETTLEMENT_SETTLEMENT_H
#define REACH_SETTLEMENT_SETTLEMENT_H

/*
 * settlement - drives every payment and refund to its end: looks at what is due, asks the provider through the courier, and gives
 * the answers to the writer. Also the clockwork of small things: due mails (reach/notify), holds that are over, old answers.
 *
 * What it is: one thread with a reader of its own, and calls in flight. It decides nothing: what an answer means for an order is
 * sale/order's, in the writer's transaction. Losing this process at any moment loses nothing: what is due is in the rows.
 * What it is not: the webhook (reach/api), which says the same things sooner.
 *
 *   payment open, its session unknown -> ask for it, under the attempt's own key: known then (checkouts.h), and its page shown. Refused:
 *                         the order ends. Nobody knows, or the provider is busy: a new attempt with a new key, later; but where
 *                         somebody may have seen the session, the same question again, as long as the provider keeps the key.
 *   payment open, due  -> ask what it is; past its time or cancelled: ask to expire it, and when it cannot be, what it is.
 *   refund asked, due  -> ask for it, under its own key, until there is an answer.
 *
 * Invariants:
 *   T1  a payment or refund has at most one call in flight, from the question to the end of its command;
 *   T2  one attempt's question is always the same words, so that its key gives the same session, and a new attempt is made only
 *       instead of one whose session nobody has seen;
 *   T3  an order's places are freed only by a session that cannot be paid any more: expired by the provider's own word, never made by
 *       its own word, one whose address nobody has seen; or, with an alert, one that it has not answered about for a day.
 */
#include "reach/courier/courier.h"
#include "sale/order/order.h"
#include "store/store/writer.h"
#include "trust/keyring/keyring.h"

struct settlement;

enum {
    SETTLEMENT_CALLS_MAX =
        384, /* from the question until its answer is committed; the courier takes more, for mails */
    SETTLEMENT_LOOK_MS = 250,
};

struct settlement_config {
    struct store *store;
    struct writer *writer;
    struct ledger *ledger;
    struct keyring *keyring;
    struct courier_client *courier;
    const struct clock *clock; /* the store's: for expiry of sessions */
    const struct rng *rng;
    const char *origin;       /* of the pages, for mails; no slash at the end */
    const char *mail_from;    /* reach/notify */
    struct seat_maps *maps;   /* for the plans in mails; or NULL */
    bool mail;                /* false: there is no way for mails, and they wait */
    const char *zoneinfo_dir; /* NULL: the system's */
    size_t calls_max;         /* in flight at once; 0: SETTLEMENT_CALLS_MAX, the most */
    int call_ms;              /* how long the provider may take to answer; 0: 20 seconds */
    bool provider;            /* false: there is none to ask, and orders that need payment end */
    /* This order can be paid at this address now (borrowed). On the courier's thread; not after settlement_stop. May be NULL. */
    void (*opened)(void *context, struct order_id order, const char *url);
    void (*told)(void *context); /* after one or more of them, soon; with opened */
    void *opened_context;
};

/* The config is copied, its strings must stay. */
RESULT settlement_start(const struct settlement_config *config, struct settlement **ret_settlement);
/*
 * Ends the thread; nothing reaches the writer, the courier or config.opened after this returns. Calls in flight end by themselves: their
 * answers are dropped, and found again at the next start. What is known may still be read. NULL is fine.
 */
void settlement_stop(struct settlement *s);
/* After settlement_stop, when nobody reads any more. NULL is fine. */
void settlement_free(struct settlement *s);
/* Something may be due. Any thread. NULL is fine. */
void settlement_wake(struct settlement *s);
/* A mail may be due. */
void settlement_wake_mail(struct settlement *s);
/*
 * The first attempt of an order was committed just now: its session is asked for without reading the rows again. On the writer
 * thread, before a later batch is committed: whoever found the attempt in the rows meanwhile still has its flight, because the flight's
 * own command comes in such a batch, and so T1 holds. False when it was not taken, because too many wait: it is asked for when the buyer
 * looks (settlement_want_page), or in a minute. NULL takes none.
 */
bool settlement_offer(struct settlement *s, const struct payment_row *attempt, int64_t event_no);
/*
 * A buyer came back from the provider: ask about this order's session now (at most every two seconds). Any thread. False when too many
 * wait already: to be asked again. NULL: true, there is nobody to wait for.
 */
bool settlement_ask_now(struct settlement *s, struct order_id order);
/*
 * Where this order, which awaits its payment, can be paid; false when that is not known, or not any more. Any thread. NULL: it is not.
 */
bool settlement_page(struct settlement *s, struct order_id order, char ret_url[STRIPE_URL_MAX]);
/* Have the provider asked for it, unless that is so already; config.opened tells. As settlement_ask_now. */
bool settlement_want_page(struct settlement *s, struct order_id order);
/* What the writer committed: the sessions of orders that ended are forgotten. On the writer thread. NULL is fine. */
void settlement_committed(struct settlement *s, const struct store_note *notes, size_t count);

#endif
