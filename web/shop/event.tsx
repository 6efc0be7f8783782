// SPDX-License-Identifier: Apache-2.0
//
// event - one event: how many and best available first, areas, then the map and its list; and the hold once there is one.
import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { get, Problem, post } from '../shared/api';
import { clock, count as number, longDate, money, plural } from '../shared/format';
import { isId } from '../shared/id';
import { navigate, useTitle } from '../shared/router';
import { useMe } from '../shared/session';
import type { EventArea, EventCategory, EventInfo, Hold } from '../shared/types';
import { Button, ErrorSummary, Notice, Pending, Stepper, useLoad, useSubmit } from '../shared/ui';
import { type Basket, readBasket, saveBasket, type Wish } from './basket';
import { SeatChooser } from './chooser';
import { HoldPanel } from './hold';
import { lowestPrice } from './events';
import { SITE } from './site';

const LAST_FEW = 0.05;

function Poster({ event }: { event: EventInfo }): JSX.Element {
    const from = lowestPrice(event);
    return (
        <header class="poster">
            <p class="poster-date"><time dateTime={event.starts_at}>{longDate(event.starts_at, event.time_zone)}</time></p>
            <h1 tabIndex={-1} data-testid="event-name">{event.name}</h1>
            <p class="poster-where">{event.venue.name}<span> · {event.venue.address}</span></p>
            <ul class="poster-facts">
                {event.doors_at && <li>Doors <strong>{clock(event.doors_at, event.time_zone)}</strong></li>}
                <li>Starts <strong>{clock(event.starts_at, event.time_zone)}</strong></li>
                {from !== null && <li data-testid="price-from">from <strong>{money(from, event.currency)}</strong>, all fees included</li>}
            </ul>
        </header>
    );
}

function left(free: number, capacity: number): JSX.Element {
    if (free === 0) return <span class="badge badge-plain">Sold out</span>;
    if (free <= Math.max(20, capacity * LAST_FEW) && capacity > 0) return <span class="badge badge-warn">{number(free)} left</span>;
    return <span class="soft">{number(free)} free</span>;
}

interface OfferProps {
    event: EventInfo;
    name: string;
    color: string;
    each: EventCategory;
    free: number;
    count: number;
    words: string;
    testid: string;
    busy: boolean;
    onTake: () => void;
}

function Offer({ event, name, color, each, free, count, words, testid, busy, onTake }: OfferProps): JSX.Element {
    const enough = free >= count;
    return (
        <li class="offer">
            <span class="swatch" style={{ backgroundColor: color }} aria-hidden="true" />
            <div class="offer-what">
                <h3>{name}</h3>
                <p><span class="num">{money(each.total_minor, event.currency)}</span> each{each.fee_minor > 0 && <span class="soft"> · includes {money(each.fee_minor, event.currency)} fee</span>}</p>
                {left(free, event.capacity / Math.max(1, event.categories.length))}
            </div>
            <Button kind="main" busy={busy} disabled={!enough} onClick={onTake} testid={testid}>
                {enough ? <>{words} · {money(each.total_minor * count, event.currency)}</> : free === 0 ? 'Sold out' : `Only ${free} left`}
            </Button>
        </li>
    );
}

/** Categories with seats: those whose free places are not all slots of areas. */
function seatedCategories(event: EventInfo): EventCategory[] {
    if (!event.seated) return [];
    return event.categories.filter((category) => {
        const areas = event.areas.filter((area) => area.category === category.category);
        return areas.length === 0 || category.free > areas.reduce((sum, area) => sum + area.free, 0);
    });
}

function Quick({ event, count, onCount, onWish, wishing }:
    { event: EventInfo; count: number; onCount: (count: number) => void; onWish: (wish: Wish) => void; wishing: Wish | null }): JSX.Element {
    const seated = seatedCategories(event);
    const areaOffers = event.areas.flatMap((area) => {
        const each = event.categories.find((category) => category.category === area.category);
        return each ? [{ area, each }] : [];
    });
    const isBest = (c: EventCategory): boolean => wishing?.kind === 'best' && wishing.category === c.category;
    const isArea = (a: EventArea): boolean => wishing?.kind === 'area' && wishing.area === a.area;
    return (
        <section class="card" aria-labelledby="quick-title">
            <h2 id="quick-title" class="visually-hidden">Quick choice</h2>
            <Stepper label="How many tickets?" value={count} min={1} max={Math.max(1, event.per_order_max)} onValue={onCount} testid="count" />
            {seated.length > 0 && (
                <>
                    <p class="soft">One tap holds the best seats together for ten minutes.</p>
                    <ul class="plain-list">{seated.map((c) => (
                        <Offer key={c.category} event={event} name={c.name} color={c.color} each={c} free={c.free} count={count} testid={`best-${c.category}`}
                            words={count === 1 ? 'Best seat' : `Best ${count} seats`} busy={isBest(c)} onTake={() => onWish({ kind: 'best', category: c.category, count })} />
                    ))}</ul>
                </>
            )}
            {areaOffers.length > 0 && (
                <>
                    {seated.length > 0 && <h3>Without a numbered seat</h3>}
                    <ul class="plain-list">{areaOffers.map(({ area, each }) => (
                        <Offer key={area.area} event={event} name={area.name} color={each.color} each={each} free={area.free} count={count} testid={`area-${area.area}`}
                            words={plural(count, 'ticket')} busy={isArea(area)} onTake={() => onWish({ kind: 'area', area: area.area, count })} />
                    ))}</ul>
                </>
            )}
        </section>
    );
}

const bodyOf = (wish: Wish): object =>
    wish.kind === 'places' ? { places: wish.places }
    : wish.kind === 'best' ? { best: { category: wish.category, count: wish.count } }
    : { area: { area: wish.area, count: wish.count } };

/** A hold of this tab that is still live, read back after a reload. */
function useHold(id: string | null, onGone: () => void): [Hold | null, (hold: Hold | null) => void] {
    const [hold, setHold] = useState<Hold | null>(null);
    useEffect(() => {
        if (!id || hold?.id === id) return;
        let current = true;
        get<Hold>(`/api/v1/holds/${id}`).then((found) => {
            if (!current) return;
            if (found.status === 'live') setHold(found);
            else onGone();
        }, (error: unknown) => {
            // Signed out meanwhile: the hold may still live, and is looked for again after the sign-in.
            if (current && error instanceof Problem && error.status !== 401 && error.status >= 400 && error.status < 500) onGone();
        });
        return () => { current = false; };
    }, [id]);
    return [hold, setHold];
}

function Shop({ event, reload }: { event: EventInfo; reload: () => void }): JSX.Element {
    const me = useMe();
    const [basket, setBasket] = useState<Basket>(() => readBasket(event.id));
    const change = useCallback((part: Partial<Basket>) => setBasket((old) => {
        const next = { ...old, ...part };
        saveBasket(event.id, next);
        return next;
    }), [event.id]);
    const [hold, setHold] = useHold(basket.hold, () => change({ hold: null }));
    const [wishing, setWishing] = useState<Wish | null>(null);
    const submit = useSubmit(async (key, newId) => {
        if (!wishing) return;
        try {
            const placed = await post<Hold>(`/api/v1/events/${event.id}/holds`, { id: newId('hld'), ...bodyOf(wishing) }, { idempotencyKey: key });
            setHold(placed);
            change({ hold: placed.id, wish: null, chosen: [] });
            scrollTo(0, 0);
        } catch (error) {
            if (error instanceof Problem && error.status === 401) {
                change({ wish: wishing });
                navigate(`/sign-in?next=${encodeURIComponent(`/e/${event.id}`)}`);
                return;
            }
            change({ wish: null });
            if (error instanceof Problem && error.status === 409) reload();
            throw error;
        } finally {
            setWishing(null);
        }
    }, JSON.stringify(wishing));
    // A wish from before the sign-in, or one just made: both are done here, once it is known who asks.
    useEffect(() => {
        if (wishing) submit.run();
    }, [wishing]);
    const onWish = useCallback((wish: Wish) => {
        if (me === null) {
            change({ wish });
            navigate(`/sign-in?next=${encodeURIComponent(`/e/${event.id}`)}`);
        } else setWishing(wish);
    }, [me, event.id]);
    useEffect(() => {
        if (me && basket.wish && !wishing && !basket.hold) {
            const { wish } = basket;
            change({ wish: null });
            setWishing(wish);
        }
    }, [me, basket.wish, basket.hold]);
    const onChosen = useCallback((chosen: number[]) => change({ chosen }), []);

    if (hold) {
        return <HoldPanel event={event} hold={hold} onHold={setHold} onEnd={() => {
            setHold(null);
            change({ hold: null });
            reload();
        }} />;
    }
    if (event.status !== 'on_sale') return <Notice kind="info" testid="not-on-sale"><p>Tickets for this event are not on sale{event.status === 'closed' ? ' any more' : ' yet'}.</p></Notice>;
    return (
        <>
            <ErrorSummary error={submit.error} />
            <Quick event={event} count={Math.min(basket.count, Math.max(1, event.per_order_max))} onCount={(count) => change({ count })} onWish={onWish} wishing={wishing} />
            {event.seated && (
                <SeatChooser event={event} chosen={basket.chosen} onChosen={onChosen} busy={wishing?.kind === 'places'}
                    onTake={() => onWish({ kind: 'places', places: basket.chosen })} />
            )}
        </>
    );
}

export function EventPage({ id }: { id: string }): JSX.Element {
    const known = isId('evt', id);
    const { data: event, error, reload } = useLoad(known ? id : null, (signal) => get<EventInfo>(`/api/v1/events/${id}`, { signal }));
    useTitle(event?.name ?? '', SITE);
    const missing = useMemo(() => new Problem(404, 'not_found', 'There is no such event.'), []);
    if (!event) return <Pending error={known ? error : missing} reload={reload} what="the event" />;
    return (
        <>
            <Poster event={event} />
            <Shop event={event} reload={reload} />
            {event.description && <section class="about"><h2>About</h2><p class="pre">{event.description}</p></section>}
            <p class="soft">Sold by {event.organiser.name}. Times are those of the venue ({event.time_zone}).</p>
        </>
    );
}
