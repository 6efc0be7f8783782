/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_NOTIFY_NOTIFY_H
#define REACH_NOTIFY_NOTIFY_H

/*
 * notify - what is written to people, and the outbox jobs that say when.
 *
 * A command that changes something adds a job in its own transaction (store_core.h); notify_run finds what is due, writes the
 * mail from the rows as they are then, hands it to the courier, and notes the end: done, again later, or dead after
 * NOTIFY_TRIES_MAX. A mail may arrive twice (its answer was lost), never not at all without a dead job that says so.
 * What it is not: the transport (reach/courier), the reason for a mail (sale, trust).
 *
 * Kinds: mail.order_paid and mail.late_money (subject: the order), mail.account_created (subject: the account). Jobs whose
 * kind does not begin with "mail." are somebody else's.
 *
 * Invariants:
 *   N1  addresses and names are in the mail only: never in a log line, an error or the job's row;
 *   N2  no text of a person or organiser can end a header line.
 */
#include "reach/courier/courier.h"
#include "sale/hold/seat_map.h"
#include "store/store/store_core.h"
#include "store/store/writer.h"
#include "trust/keyring/keyring.h"

enum { NOTIFY_TRIES_MAX = 12, NOTIFY_ACTIVE_MAX = 16, NOTIFY_MAIL_MAX = 48 * 1024 };

struct notify_config {
    struct writer *writer;
    struct keyring *keyring;
    struct courier_client *courier;
    struct seat_maps *maps;   /* plans of events that are loaded; NULL: each mail reads its own */
    const char *origin;       /* of the pages, for links; no slash at the end */
    const char *mail_from;    /* sender's address; NULL or "": no-reply at the origin's host */
    const char *zoneinfo_dir; /* NULL: the system's */
};

struct notify;

/* The config is copied, its strings must stay. */
RESULT notify_new(const struct notify_config *config, struct notify **ret_notify);
/* Nothing is submitted after this returns; mails under way end by themselves. NULL is fine. */
void notify_free(struct notify *n);
/* Hand every due mail to the courier. The reader is the calling thread's, without an open snapshot. */
RESULT notify_run(struct notify *n, struct store_reader *reader);

/* A mail as it will be sent. */
struct notify_mail {
    char to[COURIER_ADDRESS_MAX + 1];
    struct buf message; /* headers and body, lines end in CRLF; buf_done by the caller */
};
/*
 * Write the mail of a job. ERR_NOT_FOUND "unknown_kind"; ERR_EXPIRED "erased" when the person is no more; ERR_NOT_FOUND for a
 * subject that is not there.
 */
RESULT notify_compose(struct store_tx *tx, const struct notify_config *config,
                      const struct store_job *job, struct notify_mail *ret_mail);

#endif
