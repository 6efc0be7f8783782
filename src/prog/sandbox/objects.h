/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROG_SANDBOX_OBJECTS_H
#define PROG_SANDBOX_OBJECTS_H

/*
 * objects - what the provider knows: sessions, payments, refunds. Each is kept in the database as the very JSON that the API
 * answers (a member "sandbox" holds what Stripe does not show), so a row can be read by eye. Never a card number: brand and
 * the last four digits.
 */
#include "ground/base/base.h"
#include "ground/encode/json.h"

enum { OBJECT_ID_MAX = 64, OBJECT_URL_MAX = 2048, OBJECT_JSON_MAX = 32 * 1024, META_MAX = 4096 };

struct meta {
    char json[META_MAX]; /* one object of texts; "" is {} */
};

struct session {
    char id[OBJECT_ID_MAX], intent[OBJECT_ID_MAX]; /* intent empty until paid */
    char status[12], payment_status[12], currency[4];
    char client_reference[201], customer_email[256], title[256];
    char success_url[OBJECT_URL_MAX], cancel_url[OBJECT_URL_MAX], url[OBJECT_URL_MAX];
    int64_t amount_minor, created_s, expires_s;
    struct meta metadata;
};

struct intent {
    char id[OBJECT_ID_MAX], charge[OBJECT_ID_MAX], session[OBJECT_ID_MAX];
    char currency[4], card_brand[16], card_last4[8];
    int64_t amount_minor, refunded_minor, created_s;
};

struct refund {
    char id[OBJECT_ID_MAX], intent[OBJECT_ID_MAX], charge[OBJECT_ID_MAX];
    char currency[4], reason[32], status[16];
    int64_t amount_minor, created_s;
    struct meta metadata;
};

/* Append the object's JSON. */
RESULT session_write(const struct session *s, struct buf *out);
RESULT session_read(struct span json, struct session *ret_session);
RESULT intent_write(const struct intent *i, struct buf *out);
RESULT intent_read(struct span json, struct intent *ret_intent);
RESULT refund_write(const struct refund *r, struct buf *out);
RESULT refund_read(struct span json, struct refund *ret_refund);

#endif
