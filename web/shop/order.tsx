// SPDX-License-Identifier: Apache-2.0
//
// order - from "place the order" to "paid": the way to the provider's page, the way back, and how it ended.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, isAbort, Problem, post, sleep } from '../shared/api';
import { amount, clock, dateAndTime, hereZone, plural } from '../shared/format';
import { isId } from '../shared/id';
import { Link, navigate, useTitle } from '../shared/router';
import { checkoutAddress } from '../shared/urls';
import type { Order, OrderStatus, Page } from '../shared/types';
import { Announce, Button, ErrorSummary, Heading, Notice, Pending, useLoad, useSubmit } from '../shared/ui';
import { PlaceLines } from './hold';
import { takePlaced } from './placed';
import { useSignedIn } from './guard';
import { SITE } from './site';

const WAIT_SECONDS = 20;

/**
 * Follow an order while somebody may still be waiting for something to happen to it. ask: somebody has come back from the
 * provider, so it is asked too, should its message have been lost. first: how it was answered a moment ago.
 */
function useOrder(id: string, ask: boolean, waiting: (order: Order) => boolean, first?: Order): { order: Order | undefined; error: unknown; set: (order: Order) => void } {
    const [order, setOrder] = useState<Order | undefined>(first);
    const [error, setError] = useState<unknown>();
    useEffect(() => {
        if (first && !waiting(first)) return;
        const abort = new AbortController();
        const { signal } = abort;
        const follow = async (): Promise<void> => {
            let known = first;
            while (!signal.aborted) {
                try {
                    const query = [ask ? 'ask=yes' : '', known ? `wait=${WAIT_SECONDS}&version=${known.version}` : ''].filter(Boolean).join('&');
                    const asked = Date.now();
                    const next: Order = await get<Order>(`/api/v1/orders/${id}${query && `?${query}`}`, { signal, timeoutMs: (WAIT_SECONDS + 10) * 1000, attempts: 1 });
                    setOrder(next);
                    setError(undefined);
                    if (!waiting(next)) return;
                    // An answer at once, and nothing new: do not ask faster than that would help anybody.
                    if (known && known.version === next.version && Date.now() - asked < 1_000) await sleep(1_500, signal);
                    known = next;
                } catch (failure) {
                    if (isAbort(failure) || signal.aborted) return;
                    setError(failure);
                    if (failure instanceof Problem && failure.status >= 400 && failure.status < 500 && failure.status !== 429) return;
                    await sleep(3_000, signal).catch(() => undefined);
                }
            }
        };
        if (isId('ord', id)) void follow();
        else setError(new Problem(404, 'not_found', 'There is no such order.'));
        return () => abort.abort();
    }, [id]);
    return { order, error, set: setOrder };
}

function Steps({ at }: { at: number }): JSX.Element {
    return (
        <ol class="steps">{['Seats held', 'Order placed', 'Payment', 'Tickets'].map((name, i) => (
            <li key={name} class={i < at ? 'done' : ''} {...(i === at ? { 'aria-current': 'step' as const } : {})}>{name}{i < at && <span class="visually-hidden"> (done)</span>}</li>
        ))}</ol>
    );
}

export function CheckoutPage({ id }: { id: string }): JSX.Element {
    const [placed] = useState(() => takePlaced(id));
    const { order, error } = useOrder(id, false, (o) => o.status === 'awaiting_payment' && !checkoutAddress(o.checkout_url), placed);
    const address = checkoutAddress(order?.checkout_url ?? null);
    useTitle('Payment', SITE);
    useSignedIn(error);
    useEffect(() => {
        if (!order) return;
        if (order.status !== 'awaiting_payment') navigate(`/orders/${id}`, true);
        // replace: the way back from the provider leads to the order, not into this redirect again.
        else if (address) {
            history.replaceState(null, '', `/orders/${id}`);
            location.assign(address);
        }
    }, [order?.status, address]);
    return (
        <section class="card narrow" data-testid="checkout">
            <Heading>On to payment</Heading>
            <Steps at={2} />
            {error && !order ? <Pending error={error} what="your order" /> : (
                <p class="waiting" role="status"><span class="spinner" aria-hidden="true" /> {address ? 'Opening the payment page…' : order ? 'Your order is placed. The payment page is being prepared…' : 'Loading your order…'}</p>
            )}
            {error && order && <Notice kind="warn"><p>The connection is lost for the moment; this page keeps trying. Your order is safe.</p></Notice>}
            {address && <a class="button button-main" href={address} data-testid="to-payment">Go to the payment page</a>}
        </section>
    );
}

const badges: Record<OrderStatus, [string, string]> = {
    awaiting_payment: ['badge-warn', 'Waiting for payment'],
    paid: ['badge-good', 'Paid'],
    cancelled: ['badge-plain', 'Cancelled'],
    expired: ['badge-plain', 'Expired'],
    partly_refunded: ['badge-warn', 'Partly refunded'],
    refunded: ['badge-plain', 'Refunded'],
};

export function StatusBadge({ status }: { status: OrderStatus }): JSX.Element {
    const [look, words] = badges[status] ?? ['badge-plain', status];
    return <span class={`badge ${look}`} data-testid="order-status" data-status={status}>{words}</span>;
}

function Outcome({ order, onOrder }: { order: Order; onOrder: (order: Order) => void }): JSX.Element {
    const zone = hereZone();
    const address = checkoutAddress(order.checkout_url);
    const cancel = useSubmit(async (key) => onOrder(await post<Order>(`/api/v1/orders/${order.id}/cancel`, undefined, { idempotencyKey: key })));
    switch (order.status) {
        case 'awaiting_payment':
            if (order.cancelling) return <Notice kind="info" testid="order-cancelling"><p><strong><span class="spinner" aria-hidden="true" /> The order is being cancelled.</strong></p><p>The seats become free when the payment provider has confirmed that nothing can be paid any more. This page changes by itself.</p></Notice>;
            return (
                <>
                    <Notice kind="info" testid="order-waiting">
                        <p><strong><span class="spinner" aria-hidden="true" /> Waiting for the payment to be confirmed.</strong></p>
                        <p>If you have paid, this page changes by itself, usually within seconds. If your card was declined or you came back without paying, nothing has been charged
                            {order.pay_until ? <> and the seats stay yours until {clock(order.pay_until, zone)}</> : null}: you can try again, with another card if you like.</p>
                    </Notice>
                    <ErrorSummary error={cancel.error} />
                    <div class="row">
                        {address && <a class="button button-main" href={address} data-testid="to-payment">Pay now</a>}
                        <Button kind="danger" busy={cancel.busy} onClick={cancel.run} testid="cancel-order">Cancel the order</Button>
                    </div>
                </>
            );
        case 'paid':
            return (
                <>
                    <Notice kind="good" testid="order-paid"><p><strong>Paid. {order.tickets.length === 1 ? 'Your ticket is' : 'Your tickets are'} ready.</strong></p><p>We also send you a mail with the link.</p></Notice>
                    <ul class="plain-list">{order.tickets.map((ticket, i) => (
                        <li key={ticket}><Link class="button button-main" href={`/tickets/${ticket}`} data-testid="to-ticket">{order.tickets.length === 1 ? 'Show the ticket' : `Show ticket ${i + 1}`}</Link></li>
                    ))}</ul>
                </>
            );
        case 'expired':
            return <Notice kind="warn" testid="order-expired"><p><strong>The time to pay is over.</strong></p><p>The seats are free for others again. Should a payment still arrive, it gets you the same seats if they are free, and else goes back to you by itself.</p></Notice>;
        case 'cancelled':
            return <Notice kind="info" testid="order-cancelled"><p><strong>This order is cancelled.</strong></p><p>Nothing is charged. The seats become free as soon as the payment provider has confirmed that nothing can be paid any more.</p></Notice>;
        default:
            return <Notice kind="info" testid="order-refunded"><p><strong>{order.status === 'refunded' ? 'This order is refunded.' : 'A part of this order is refunded.'}</strong></p><p>The money goes back the way it came; banks take up to ten days to show it.</p></Notice>;
    }
}

export function OrderPage({ id }: { id: string }): JSX.Element {
    const { order, error, set } = useOrder(id, true, (o) => o.status === 'awaiting_payment' || (o.status === 'paid' && o.tickets.length === 0));
    useTitle(order ? `Order: ${order.event_name}` : '', SITE);
    useSignedIn(error);
    if (!order) return <Pending error={error} what="your order" />;
    return (
        <section class="card narrow" data-testid="order">
            <Heading over="Your order">{order.event_name}</Heading>
            <StatusBadge status={order.status} />
            <Announce text={`Order: ${badges[order.status]?.[1] ?? order.status}`} />
            {order.status === 'awaiting_payment' && <Steps at={2} />}
            <Outcome order={order} onOrder={set} />
            {Boolean(error) && <Notice kind="warn"><p>The connection is lost for the moment; this page keeps trying.</p></Notice>}
            <ul class="lines">
                <PlaceLines places={order.places} currency={order.total.currency} />
                <li class="sum"><span>Total</span><span class="num">{amount(order.total)}</span></li>
                {order.refunds.map((refund) => <li key={refund.id}><span>Refund {refund.state && <span class="soft">({refund.state})</span>}</span><span class="num">−{amount(refund.amount)}</span></li>)}
            </ul>
            <p class="soft">Ordered {dateAndTime(order.created_at, hereZone())} · <span class="wrap-any">{order.id}</span></p>
            <p class="row"><Link href={`/e/${order.event}`}>The event</Link><Link href="/orders">All orders</Link></p>
        </section>
    );
}

export function OrdersPage(): JSX.Element {
    useTitle('Orders', SITE);
    const { data, error, reload } = useLoad('orders', (signal) => get<Page<Order>>('/api/v1/orders?limit=200', { signal }));
    useSignedIn(error);
    return (
        <>
            <Heading>Your orders</Heading>
            {!data ? <Pending error={error} reload={reload} what="your orders" />
                : data.data.length === 0 ? <div class="empty"><p>You have not ordered anything yet.</p><Link class="button" href="/">See all events</Link></div>
                : <ul class="plain-list">{data.data.map((order) => (
                    <li key={order.id}><Link class="stub" href={`/orders/${order.id}`}>
                        <div class="stub-main"><h2>{order.event_name}</h2><p class="soft">{dateAndTime(order.created_at, hereZone())} · {plural(order.places.length, 'place')}</p><StatusBadge status={order.status} /></div>
                        <div class="stub-side"><span class="price">{amount(order.total)}</span></div>
                    </Link></li>
                ))}</ul>}
        </>
    );
}
