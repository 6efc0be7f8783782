/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEED_H
#define BENCH_SEED_H

/* seed - through the public API, as people would: the owner, an organiser, a venue, a stadium on sale; fans with both factors. */
#include "wire.h"

struct stage {
    char owner_token[BENCH_TOKEN_MAX];
    char event[ID_TEXT_MAX];
    uint32_t places;
    uint32_t categories;
};

/* One request; token may be NULL, json empty for none. */
void request_write(struct buf *out, uint16_t port, const char *method, const char *path,
                   const char *token, struct span json);
void new_id(char *out, const char *prefix);
/* The text after "key":" in a JSON answer, up to the quote; false when there is none (or it is null). */
bool find_text(struct span json, const char *key, struct span *ret_text);
bool find_number(struct span json, const char *key, int64_t *ret_number);
/* The code of an authenticator app now. */
void totp_now(struct span secret, char ret_code[8]);

void seed_stage(struct wire *w, struct wire_pool *p, const struct world *world, unsigned seats,
                unsigned per_order_max, struct stage *ret_stage);

struct fan {
    char token[BENCH_TOKEN_MAX];
};
/* Registers count fans, each with a second factor; their tokens are of level 2. */
void seed_fans(struct wire *w, struct wire_pool *p, uint16_t port, struct fan *fans, size_t count);

#endif
