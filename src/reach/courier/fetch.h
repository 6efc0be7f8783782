/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_COURIER_FETCH_H
#define REACH_COURIER_FETCH_H

/*
 * fetch - one POST, waited for, from the calling thread; for programs that are not serve (gatehouse-sandbox delivers its
 * webhooks with it). The address is the operator's configuration, never a stranger's. In serve, calls go through the courier.
 */
#include "reach/courier/courier.h"

struct fetch_request {
    const char *url;     /* https://..., or http:// on loopback */
    const char *ca_file; /* or NULL */
    const char *bearer;  /* secret, sent as a Bearer token; or NULL */
    struct courier_header headers[COURIER_HEADERS_MAX];
    size_t header_count;
    struct span body;
    int deadline_ms;
};

/* The answer's status; its body is not kept. ERR_INVALID "bad_url"; ERR_UNCERTAIN "no_answer" with curl's words. */
RESULT fetch_post(const struct fetch_request *request, int *ret_status);

#endif
