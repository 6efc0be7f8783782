/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

/*
 * bare - the floor of everything that is asked over HTTP: a forked process with one epoll set that answers each request with
 * the same bytes. It knows no HTTP: a request ends at its empty line, so it must have no body.
 */
#include "bench.h"

/*
 * Requests a second of this program's client (wire.h) with so many connections in a closed loop; answer is a whole one, with
 * its head.
 */
double bare_requests_per_s(struct span answer, unsigned connections, double seconds);
/* The same with a page of a few bytes. */
double bare_small_requests_per_s(unsigned connections, double seconds);

#endif
