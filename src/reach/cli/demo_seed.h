/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_DEMO_SEED_H
#define REACH_CLI_DEMO_SEED_H

/*
 * demo_seed - what the demonstration sells: the organiser Northlight Live with a stadium of 80,000 seats in six weeks, a theatre
 * drawn in a plan file (examples/theatre.pretix.json, part of the program) in ten days, and a club whose doors are open now.
 *
 * Everything goes the way an organiser's own request would: the commands of sale/catalog in the writer, the signer opened with
 * the capacity before an event goes on sale. What is there is kept: a later start only puts on sale what an interrupted one
 * left as a draft, and adds a club night when the last one is over.
 */
#include "ground/base/base.h"
#include "reach/cli/app.h"
#include "trust/auth/auth.h"

/* Made by tools/embed.py from examples/. */
struct demo_file {
    const char *name, *data;
    size_t len;
};
extern const struct demo_file demo_files[];
extern const size_t demo_files_count;

/*
 * Nothing happens in a store with organisers that are not ours. say (may be NULL) is told in a few words what takes a while.
 */
RESULT demo_seed(struct app *app, void (*say)(const char *words));
/*
 * A one-time token, good for DEVICE_ENROLMENT_MS, that makes a browser a scanner of the newest club night. ERR_NOT_FOUND "no_event"
 * when the store has none.
 */
RESULT demo_scanner(struct app *app, char ret_token[AUTH_TOKEN_TEXT]);

#endif
