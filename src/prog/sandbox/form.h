/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROG_SANDBOX_FORM_H
#define PROG_SANDBOX_FORM_H

/* form - parameters as Stripe's clients send them: application/x-www-form-urlencoded, nested names in brackets ("a[0][b]"). */
#include "ground/base/arena.h"
#include "ground/base/span.h"

enum { FORM_FIELDS_MAX = 128 };

struct form_field {
    struct span name, value; /* decoded; in the arena */
    bool used;
};

struct form {
    struct form_field fields[FORM_FIELDS_MAX];
    size_t count;
};

/* ERR_INVALID "bad_form": bad escapes, not UTF-8, a name twice, too many. */
RESULT form_parse(struct span body, struct arena *arena, struct form *ret_form);
RESULT form_add(struct form *f, struct span name, struct span value);
/* Marks it as used; data is NULL when it is absent. */
struct span form_get(struct form *f, const char *name);
/* A field nobody asked for, or NULL. */
const struct form_field *form_unused(const struct form *f);

#endif
