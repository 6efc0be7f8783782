// SPDX-License-Identifier: Apache-2.0
//
// hold - seats claimed for some minutes: what they are, what they cost, how long is left, and the way on.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { del, get, Problem, post } from '../shared/api';
import { amount, countdown, money } from '../shared/format';
import { navigate } from '../shared/router';
import type { EventInfo, HeldPlace, Hold, Order } from '../shared/types';
import { Announce, Button, ErrorSummary, Notice, useNow, useSubmit } from '../shared/ui';
import { useSignedIn } from './guard';
import { rememberPlaced } from './placed';

const WARN_MS = 120_000;
// Shorter than a request may take: after that the checkout page goes on waiting.
const PAGE_WAIT_SECONDS = 10;

export function placeWords(place: Pick<HeldPlace, 'zone' | 'row' | 'seat' | 'area'>): string {
    if (place.area) return place.area;
    const parts = [place.zone ? `${place.zone}` : '', place.row ? `row ${place.row}` : '', place.seat ? `seat ${place.seat}` : ''];
    return parts.filter(Boolean).join(', ') || 'One place';
}

/** One line a place; places of an area that cost the same are one line. */
export function PlaceLines({ places, currency }: { places: HeldPlace[]; currency: string }): JSX.Element {
    const lines = new Map<string, { words: string; count: number; total: number }>();
    for (const place of places) {
        const words = placeWords(place);
        const key = place.area ? `${words} ${place.total_minor}` : String(place.place);
        const line = lines.get(key);
        if (line) {
            line.count++;
            line.total += place.total_minor;
        } else lines.set(key, { words, count: 1, total: place.total_minor });
    }
    return <>{[...lines].map(([key, line]) => (
        <li key={key}><span>{line.count > 1 && `${line.count} × `}{line.words}</span><span class="num">{money(line.total, currency)}</span></li>
    ))}</>;
}

/** How far this device's clock is from the server's. */
export function useServerClock(): number {
    const [skew, setSkew] = useState(0);
    useEffect(() => {
        const asked = Date.now();
        get<{ time: string }>('/api/v1/status').then(({ time }) => {
            const server = Date.parse(time);
            const middle = (asked + Date.now()) / 2;
            if (!Number.isNaN(server) && Math.abs(server - middle) > 2_000) setSkew(server - middle);
        }, () => setSkew(0));
    }, []);
    return skew;
}

interface Props {
    event: EventInfo;
    hold: Hold;
    onHold: (hold: Hold) => void;
    onEnd: () => void;
}

export function HoldPanel({ event, hold, onHold, onEnd }: Props): JSX.Element {
    const skew = useServerClock();
    const now = useNow() + skew;
    const leftMs = Date.parse(hold.expires_at) - now;
    const extendable = Date.parse(hold.latest_at) > Date.parse(hold.expires_at);
    const pay = useSubmit(async (_key, newId) => {
        const order = await post<Order>(`/api/v1/orders?wait=${PAGE_WAIT_SECONDS}`, { id: newId('ord'), hold: hold.id }, { idempotencyKey: null });
        rememberPlaced(order);
        navigate(`/checkout/${order.id}`);
    });
    // An order on its way keeps the seats, whatever the time says.
    const over = leftMs <= 0 && !pay.busy;
    const extend = useSubmit(async (key) => onHold(await post<Hold>(`/api/v1/holds/${hold.id}/refresh`, undefined, { idempotencyKey: key })));
    const release = useSubmit(async (key) => {
        await del(`/api/v1/holds/${hold.id}`, { idempotencyKey: key }).catch((error: unknown) => {
            // Gone already is what was wanted; ordered already is not.
            if (!(error instanceof Problem && [404, 409, 410].includes(error.status) && error.slug !== 'hold_ordered')) throw error;
        });
        onEnd();
    });
    useSignedIn(pay.error ?? extend.error ?? release.error);
    const said = over ? 'The time to hold your seats is over.' : leftMs <= WARN_MS ? `Two minutes left to hold your seats.${extendable ? ' You can extend the time.' : ''}` : '';
    return (
        <section class="card hold" aria-labelledby="hold-title" data-testid="hold">
            <Announce text={said} />
            {over ? (
                <>
                    <h2 id="hold-title">The time is over</h2>
                    <Notice kind="warn" testid="hold-over"><p>These seats are free for others again. If they are still there, you can choose them anew.</p></Notice>
                    <Button kind="main" onClick={onEnd} testid="choose-again">Choose again</Button>
                </>
            ) : (
                <>
                    <div class="row between">
                        <h2 id="hold-title">Held for you</h2>
                        <p class={leftMs <= WARN_MS ? 'timer timer-low' : 'timer'}><span class="visually-hidden">Time left: </span><span role="timer" data-testid="hold-timer">{countdown(Math.max(leftMs, 0))}</span></p>
                    </div>
                    <ErrorSummary error={pay.error ?? extend.error ?? release.error} />
                    <ul class="lines" data-testid="hold-places">
                        <PlaceLines places={hold.places} currency={hold.total.currency} />
                        <li class="sum"><span>Total, all fees included</span><span class="num" data-testid="hold-total">{amount(hold.total)}</span></li>
                    </ul>
                    <Button kind="main" wide busy={pay.busy} onClick={pay.run} testid="pay">{hold.total.amount_minor === 0 ? 'Get the tickets' : 'Continue to payment'}</Button>
                    <div class="row between">
                        {extendable ? <Button kind="quiet" busy={extend.busy} disabled={pay.busy} onClick={extend.run} testid="extend">More time, please</Button> : <span class="soft">The time cannot be extended any further.</span>}
                        <Button kind="quiet" busy={release.busy} disabled={pay.busy} onClick={release.run} testid="release">Give the seats back</Button>
                    </div>
                    <p class="soft">You pay on the page of the payment provider; your card number never reaches {event.organiser.name} or us.</p>
                </>
            )}
        </section>
    );
}
