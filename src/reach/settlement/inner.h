/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_SETTLEMENT_INNER_H
#define REACH_SETTLEMENT_INNER_H

/* inner - shared by the files of this room: settlement.c (the thread), calls.c (what is asked), deeds.c (what the writer is told). */
#include <pthread.h>

#include "reach/notify/notify.h"
#include "reach/settlement/checkouts.h"
#include "reach/settlement/settlement.h"

enum { ASKED_MAX = 4096, ASKED_BUCKETS = 4096, OFFERS_MAX = 1024, FLIGHT_BUCKETS = 1024 };

enum question { ASK_CREATE, ASK_STATE, ASK_EXPIRE, ASK_REFUND };

/* What the writer is to do with an answer. */
enum deed {
    DEED_FAILED,       /* no session was made that anybody saw */
    DEED_NEVER,        /* none was made under this key, says the provider */
    DEED_OVER,         /* whatever was made can be paid no more; whether it was, nobody says */
    DEED_DOUBT,        /* there is one, and the provider does not say which: a person must look */
    DEED_SAYS,         /* what the session is */
    DEED_LATER,        /* look again at next_ms */
    DEED_REFUND_SAYS,  /* how the refund stands */
    DEED_REFUND_LATER, /* try again at next_ms */
    DEED_REFUND_DOUBT, /* whether it was made cannot be asked: a person must look */
};

/* One payment or refund from the question to the end of its command. */
struct flight {
    struct command command; /* first */
    struct flight *next;
    struct settlement *s;
    uint8_t id[ID_BYTES]; /* of the payment or refund */
    struct order_id order;
    enum question question;
    char session_ref[STRIPE_REF_MAX];
    struct money amount;
    int64_t tries, organiser_no, event_no;
    int64_t until_ms; /* by when the session was to be paid */
    bool asked;       /* somebody waits for it, who does not ask again */
    /* ASK_CREATE: */
    bool seen; /* somebody may have seen the session that this key made */
    bool due;  /* once the session is known, what it is must be asked too */
    bool over; /* or rather, it is to be expired */
    enum deed deed;
    bool again; /* DEED_FAILED */
    int64_t wait_ms;
    struct stripe_session session;
    struct stripe_refund refund;
    bool waits;    /* the writer's queue was full; under the lock */
    bool ask_soon; /* the thread is to send the question; under the lock */
};

/* An order whose buyer came back, or waits for its page. */
struct asked {
    struct order_id order;
    int64_t at_ms;  /* monotonic */
    bool page;      /* only if its page is not known */
    uint64_t older; /* as asked_newest: the one before in its bucket */
};

/* A first attempt that was committed just now. */
struct offer {
    struct payment_row attempt;
    int64_t event_no;
    bool taken; /* a flight has begun for it since: T2 */
};

struct settlement {
    struct settlement_config config;
    struct notify *notify;
    struct store_reader *reader; /* the thread's */
    struct checkouts *checkouts;
    pthread_t thread;

    pthread_mutex_t telling; /* held while config.opened runs */
    bool silent, told; /* under it: nobody is told any more; somebody was, since the last rest */

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t some;  /* monotonic */
    bool stopped, sweeping;
    bool woken;               /* something may be due in the rows */
    bool mail_due;            /* only a mail */
    bool stirred;             /* a flight waits for the thread */
    size_t references;        /* the thread's owner, and one for each flight and sweep */
    size_t offer_flights_max; /* with more in flight, offers wait */
    struct flight *flights[FLIGHT_BUCKETS]; /* by the end of their ids, which is random */
    size_t flight_count;
    struct flight *spare;            /* at most SETTLEMENT_CALLS_MAX with those in flight */
    struct offer offers[OFFERS_MAX]; /* a ring */
    size_t offers_first, offer_count;
    struct asked asked[ASKED_MAX];        /* a ring; those before asked_first are done */
    uint64_t asked_first, asked_end;      /* counted from the start */
    uint64_t asked_newest[ASKED_BUCKETS]; /* one more than its count; 0: none */

    /* the thread's */
    int64_t swept_ms, looked_ms;
    bool courier_busy; /* offers wait for the next look */
    struct payment_id payments[SETTLEMENT_CALLS_MAX];
    struct refund_id refunds[SETTLEMENT_CALLS_MAX];
    struct {
        struct flight *flight;
        bool refund;
    } chosen[SETTLEMENT_CALLS_MAX]; /* of the look that runs */
    size_t chosen_count;
};

void settlement_drop_reference(struct settlement *s);
/* Zeros but for its id. NULL when it is in flight already, when enough is, or at the end. */
struct flight *flight_begin(struct settlement *s, const uint8_t id[ID_BYTES]);
bool flight_known(struct settlement *s, const uint8_t id[ID_BYTES]);
/* The same, under the lock. */
bool flight_is_out(struct settlement *s, const uint8_t id[ID_BYTES]);
void flight_end(struct flight *f);
/* The first flight, then the next; NULL after the last. Under the lock. */
struct flight *flight_next(struct settlement *s, const struct flight *before);
/* Hand the deed to the writer; the flight ends by itself. */
void flight_submit(struct flight *f, enum deed deed);
/* Nothing is known: the question again after a while, which grows with f->tries. */
void flight_later(struct flight *f, int64_t at_least_ms);

/*
 * Have the thread send the flight's question. Why not at once: answers come on the courier client's own thread, and a thread that
 * waits to send there cannot read, which is what the other side may be waiting for.
 */
void flight_ask_soon(struct flight *f);

/*
 * calls.c: send the question (on the thread only); the answer's deed is submitted. attempt: for ASK_CREATE, whose words are all here;
 * intent_ref: for ASK_REFUND. ERR_BUSY when the courier has too much: then nothing was sent, and the flight has ended.
 */
enum err flight_ask(struct flight *f, const struct payment_row *attempt, const char *intent_ref);

/* On the courier's thread: whoever was told of pages is told that it was all for now. */
void settlement_rested(void *settlement);

#endif
