/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_NOTES_H
#define STORE_STORE_NOTES_H

/* notes - the kinds of struct store_note and what their members mean. */
#include "ground/base/base.h"

enum note_kind {
    /* a place changed: a = event_no, b = place_no, c = enum place_state, of a held one with HOLD_TAG << 32, d = held until ms */
    NOTE_PLACE = 1,
    NOTE_ENTRY, /* a ledger entry was appended: a = entry_no */
    NOTE_JOB,   /* an outbox job was added: a = due ms */
    NOTE_ALERT, /* an alert was raised: a = alert_no, c = organiser_no */
    NOTE_ORDER, /* an order changed: a = event_no, b = enum order_change, c and d = its id, big-endian halves */
    NOTE_EVENT,   /* an event or its prices changed: a = event_no, c = its version now */
    NOTE_SESSION, /* sessions, grants or devices changed, what was remembered of them is void: a = account_no, 0: of no
                     one account */
};

/* Which change of an order it was. */
enum order_change {
    ORDER_CHANGE,       /* any */
    ORDER_CHANGE_ENDED, /* it is paid or over: its status is another than before */
};

enum place_state {
    PLACE_FREE = 0,
    PLACE_HELD = 1,    /* until a time; free again by itself after it */
    PLACE_ORDERED = 2, /* an order waits for its payment; only the order's end frees it */
    PLACE_SOLD = 3,    /* a valid ticket */
    PLACE_BLOCKED = 4, /* never for sale */
};

/* Of a hold's id, four of its random bytes: enough to tell holds apart in memory, where a mistake costs one look. Never 0. */
#define HOLD_TAG(id) (get_u32be((id).b + ID_BYTES - 4) | 1u)

static inline int64_t note_place_state(int64_t c)
{
    return c & 0xffff;
}
static inline struct order_id note_order_id(int64_t c, int64_t d)
{
    struct order_id id;

    put_u64be(id.b, (uint64_t)c);
    put_u64be(id.b + 8, (uint64_t)d);
    return id;
}
static inline uint32_t note_hold_tag(int64_t c)
{
    return (uint32_t)((uint64_t)c >> 32);
}

#endif
