/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_APP_H
#define REACH_CLI_APP_H

/*
 * app - a running gatehouse: the parts put together in the order they need each other, and taken apart in reverse.
 * serve and demo run one; parts are handed out by name, never the whole.
 */
#include "reach/api/api.h"
#include "reach/cli/install.h"

struct app;

struct app_config {
    struct install *install;
    const char *mail_dir; /* demonstration: mails go there and are shown on a page; or NULL */
};

/* From the main thread, before any other thread runs (children die with the thread that made them). */
RESULT app_open(const struct app_config *config, struct app **ret_app);
/* Stops taking requests, finishes what is under way, and ends everything. NULL is fine. */
void app_close(struct app *app);
/* True once a part has failed for good (signer or courier gone, ledger in doubt): the process should end. */
bool app_failed(const struct app *app);

const char *app_origin(const struct app *app);      /* where people should go */
const char *app_http_origin(const struct app *app); /* loopback, or "" */
const char *app_tls_origin(const struct app *app);  /* or "" */
/* A one-time link to create the owner, made anew when there is no owner yet; "" otherwise. */
const char *app_owner_link(const struct app *app);

/* For seeding the demonstration. */
struct writer *app_writer(struct app *app);
struct store *app_store(struct app *app);
struct ledger *app_ledger(struct app *app);
struct keyring *app_keyring(struct app *app);
struct seat_maps *app_maps(struct app *app);
const struct signer_client *app_signer(struct app *app);
const struct clock *app_clock(struct app *app);

#endif
