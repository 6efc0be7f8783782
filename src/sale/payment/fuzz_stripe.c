/* SPDX-License-Identifier: Apache-2.0 */
/* What the provider sends: a session, a refund, a refusal, a signed event; and the signature header itself. The first byte chooses. */
#include "sale/payment/stripe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_ms = INT64_C(1790000000000);

static void signed_event(struct span body)
{
    AUTO(buf_done) struct buf header = {0};
    struct stripe_event event;

    buf_init(&header, 256);
    stripe_webhook_sign(SPAN_LIT("whsec_fuzz"), body, now_ms, &header);
    (void)!stripe_webhook_read(SPAN_LIT("whsec_fuzz"), buf_span(&header), body, now_ms, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stripe_session session;
    struct stripe_refund refund;
    struct stripe_event event;

    if (size == 0)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] == 's' && stripe_session_read(rest, &session) == OK)
        INVARIANT(!session.paid || (session.status == STRIPE_COMPLETE && session.intent_ref[0]),
                  "a paid session is complete and names its payment");
    if (data[0] == 'r' && stripe_refund_read(rest, &refund) == OK)
        INVARIANT(!refund.done || !refund.failed, "a refund has one end");
    if (data[0] == 'e')
        signed_event(rest);
    if (data[0] == 'k')
        (void)stripe_refusal_read(rest);
    if (data[0] == 'h')
        INVARIANT(
            stripe_webhook_read(SPAN_LIT("whsec_fuzz"), rest, SPAN_LIT("{}"), now_ms, &event) != OK,
            "nobody guesses a signature, and {} is no event");
    return 0;
}
