/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEED_H
#define BENCH_SEED_H

/* seed - through the public API, as people would: the owner, an organiser, a venue, shows on sale; fans with both factors. */
#include "rig.h"

/* --- requests and answers -------------------------------------------------------------------------------------------------- */

/* One request; token may be NULL, json empty for none. */
void request_write(struct buf *out, uint16_t port, const char *method, const char *path,
                   const char *token, struct span json);
void new_id(char *out, const char *prefix);
/* The text after "key":" in a JSON answer, up to the quote; false when there is none (or it is null). */
bool find_text(struct span json, const char *key, struct span *ret_text);
bool find_number(struct span json, const char *key, int64_t *ret_number);
/* The same, and *rest is what comes after the key: for one after the other. */
bool next_number(struct span *rest, const char *key, int64_t *ret_number);
/* One request, waited for; dies unless it is answered as wanted. The answer is good until the next one. */
struct span seed_ask(struct rig *r, const char *token, const char *method, const char *path,
                     const char *json, int want);

/* --- what is sold ---------------------------------------------------------------------------------------------------------- */

struct house {
    char owner_token[BENCH_TOKEN_MAX], organiser[ID_TEXT_MAX], venue[ID_TEXT_MAX];
};
void seed_house(struct rig *r, struct house *ret_house);

struct show {
    const char *name;
    unsigned seats, per_order_max;
    bool gratis; /* orders are paid as they are made */
    bool
        doors_open; /* it begins in an hour and is on sale until it ends; else it is a month away */
};
struct stage {
    char event[ID_TEXT_MAX];
    uint32_t places; /* a few more or less than the seats wished for */
    uint32_t categories;
};
/* A stadium of its own, on sale. */
void seed_show(struct rig *r, const struct house *h, const struct show *show,
               struct stage *ret_stage);

/* --- who buys -------------------------------------------------------------------------------------------------------------- */

/* The code of an authenticator app now. */
void totp_now(struct span secret, char ret_code[8]);

struct fan {
    char token[BENCH_TOKEN_MAX];
};
/* Registers count fans, each with a second factor; their tokens are of level 2. */
void seed_fans(struct rig *r, struct fan *fans, size_t count);
/* The request with which the fan of this index signs in: password only. */
void seed_sign_in(struct buf *request, uint16_t port, size_t fan);

#endif
