/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROVIDER_H
#define BENCH_PROVIDER_H

/*
 * provider - the payment provider's side, played over sockets in Stripe's words: it makes sessions when the server's courier
 * asks, is "paid" by a buyer who came with the session's address, and then sends the signed webhook until it is acknowledged.
 * It forgets nothing while the server is killed and started again, as the real one would not.
 */
#include "wire.h"

struct provider;

struct provider *provider_new(struct wire *w, unsigned latency_ms);
void provider_free(struct provider *p);
uint16_t provider_port(const struct provider *p);
/* Where webhooks go; the secret is that of the server's settings. */
void provider_aim(struct provider *p, uint16_t port, const char *secret, size_t connections);
/*
 * Pay the session in this checkout address. acknowledged(context) runs once the server answered the webhook; the step's time is
 * the last sending of it alone. Paying twice is fine.
 */
void provider_pay(struct provider *p, struct span checkout_url, wire_timer_fn *acknowledged,
                  void *context);
int64_t provider_refunds(const struct provider *p);
struct samples *provider_webhook_times(struct provider *p);

#endif
