/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_COURIER_TRANSFER_H
#define REACH_COURIER_TRANSFER_H

/* transfer - one call inside the courier's process, from the question's bytes to the answer's. */
#include <curl/curl.h>

#include "reach/courier/wire.h"

/* What the process was told at start; owned texts, NULL where there is none. */
struct settings {
    struct {
        char *origin, *key;
    } targets[COURIER_TARGETS];
    char *ca_file, *mail_url, *mail_user, *mail_password, *mail_from, *mail_dir;
    struct disk mails; /* open when mail_dir is set */
};

/* ERR_INVALID "bad_origin" or "bad_mail_settings". */
RESULT settings_read(struct span payload, struct settings *s);
void settings_done(struct settings *s);

struct transfer {
    struct transfer *next, *before; /* before: on the network only */
    uint16_t type;                  /* of its frame */
    uint32_t id;
    int64_t deadline_ms; /* monotonic */
    bool post;
    enum courier_target target;
    char *path, *name, *to;
    struct curl_slist *headers, *recipients;
    struct buf out; /* request's body or mail */
    size_t out_at;
    struct buf in; /* answer's body */
    bool overflow;
    CURL *easy;
};

/* ERR_INVALID when the question cannot be read. */
RESULT transfer_new(const struct proc_frame *question, int64_t now_ms, struct transfer **ret);
/*
 * Handles of calls that ended, for those to come: making one costs as much as a call. What is the same for all calls stays set in
 * them, what is a call's own is set anew by transfer_begin.
 */
struct spare_handles {
    CURL *easy[COURIER_ACTIVE_MAX];
    size_t count;
};
void spare_handles_done(struct spare_handles *spares);
/* The handle, when it was a call's, goes to the spare ones. NULL is fine. */
void transfer_free(struct transfer *t, struct spare_handles *spares);
/* Prepare t->easy; deadline counted from now. ERR_INVALID "no_target", ERR_NOMEM. */
RESULT transfer_begin(struct transfer *t, const struct settings *s, struct spare_handles *spares,
                      int64_t now_ms);
/* What its end means; the body is borrowed from t. */
void transfer_end(struct transfer *t, CURLcode code, struct courier_answer *ret_answer);
/* Put a mail into the demonstration's folder. */
void transfer_to_folder(struct transfer *t, const struct settings *s,
                        struct courier_answer *ret_answer);

/* Set, and remember whether any was refused: CURL_SET(bad, easy, CURLOPT_X, value). */
#define CURL_SET(bad, easy, option, value)                                                         \
    ((bad) |= curl_easy_setopt((easy), (option), (value)) != CURLE_OK)

/* "https://host[:port]", or http where the host is loopback; nothing after it. */
bool origin_is_allowed(const char *origin);

#endif
