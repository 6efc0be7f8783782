// SPDX-License-Identifier: Apache-2.0
//
// chooser - map and list of the same seats. The map is for eyes and fingers; the list is the equal way for keyboard and
// screen reader: a fieldset a row, a checkbox a seat, one section at a time, so that 80,000 are never in the page at once.
import { Component, type JSX } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { FREE, HELD } from '../shared/availability';
import { count as number, money, plural } from '../shared/format';
import { placeName, type Plan, type Row, seatLabel } from '../shared/plan';
import type { EventInfo } from '../shared/types';
import { Announce, Button, Notice, Pending, Select, useLoad } from '../shared/ui';
import { SeatMap } from './map';
import { handlePointers } from './pointer';
import { loneSeats, SeatStore } from './seats';

const ROWS_AT_ONCE = 30;

interface Props {
    event: EventInfo;
    chosen: number[];
    onChosen: (chosen: number[]) => void;
    onTake: () => void;
    busy: boolean;
}

type Prices = (seat: number) => number;

function seatWords(plan: Plan, seat: number): string {
    const { zone, row, seat: label } = placeName(plan, seat);
    return `${zone ? `${zone}, ` : ''}row ${row}, seat ${label}`;
}

const stateWords = (state: number): string => (state === FREE ? 'available' : state === HELD ? 'held by somebody else' : 'not available');

interface MapProps {
    store: SeatStore;
    event: EventInfo;
    chosen: ReadonlySet<number>;
    zone: number | null;
    onSeat: (seat: number) => void;
    onZone: (zone: number) => void;
    price: Prices;
}

function MapView({ store, event, chosen, zone, onSeat, onZone, price }: MapProps): JSX.Element {
    const canvas = useRef<HTMLCanvasElement>(null);
    const tip = useRef<HTMLDivElement>(null);
    const map = useRef<SeatMap | null>(null);
    const [view, setView] = useState({ zoomed: false, choosable: false });
    const hooks = useRef({ onSeat, onZone, price });
    hooks.current = { onSeat, onZone, price };

    const describe = (target: { seat?: number; zone?: number; area?: number }): string => {
        if (target.seat !== undefined) {
            const state = store.state(target.seat);
            const words = seatWords(store.plan, target.seat);
            return state === FREE ? `${words} · ${money(hooks.current.price(target.seat), event.currency)}` : `${words} · ${stateWords(state)}`;
        }
        if (target.area !== undefined) return `${store.plan.areas[target.area]?.name ?? ''} · ${number(store.freeInArea(target.area))} free`;
        return `${store.plan.zones[target.zone ?? 0] ?? ''} · ${number(store.freeInZone(target.zone ?? 0))} free`;
    };

    useEffect(() => {
        const element = canvas.current;
        if (!element) return;
        const made = new SeatMap(element, store, {
            onSeat: (seat) => hooks.current.onSeat(seat),
            onZone: (z) => hooks.current.onZone(z),
            onArea: (area) => document.querySelector<HTMLElement>(`[data-testid="area-${area}"]`)?.focus(),
            onHover: (target, x, y) => {
                const box = tip.current;
                if (!box) return;
                box.hidden = target === null;
                if (!target) return;
                box.textContent = describe(target);
                const right = x > element.clientWidth * 0.6;
                box.style.transform = `translate(${x}px, ${y}px) translate(${right ? '-100%' : '0'}, ${y > 70 ? '-140%' : '60%'})`;
            },
            onView: (next) => setView((old) => (old.zoomed === next.zoomed && old.choosable === next.choosable ? old : next)),
        });
        map.current = made;
        const stop = handlePointers(element, made);
        return () => {
            stop();
            made.destroy();
            map.current = null;
        };
    }, [store]);
    useEffect(() => map.current?.setChosen(chosen), [chosen, store]);
    useEffect(() => map.current?.mark(zone ?? -1), [zone, store]);
    // A section chosen in the list is shown; one tapped on the map is shown already.
    const shown = useRef<number | null>(null);
    useEffect(() => {
        if (zone !== null && zone !== shown.current && !map.current?.choosable) map.current?.showZone(zone);
        shown.current = zone;
    }, [zone]);

    const tool = (label: string, text: string, act: () => void, testid: string): JSX.Element => (
        <button type="button" class="tool" aria-label={label} title={label} onClick={act} data-testid={testid}>{text}</button>
    );
    return (
        <div class="map">
            <canvas ref={canvas} class={view.zoomed ? 'map-canvas map-held' : 'map-canvas'} tabIndex={0} role="img" data-testid="seat-map"
                aria-label={`Seat map of ${event.venue.name}. Arrow keys move it, plus and minus zoom. The list of seats after the map holds the same seats as checkboxes.`} />
            <div class="map-tip" ref={tip} hidden aria-hidden="true" />
            <div class="map-tools" role="group" aria-label="Zoom the map">
                {tool('Zoom in', '+', () => map.current?.zoom(1.8), 'map-in')}
                {tool('Zoom out', '−', () => map.current?.zoom(1 / 1.8), 'map-out')}
                {tool('Show everything', '⤢', () => map.current?.fit(), 'map-fit')}
            </div>
            {view.zoomed && (
                <div class="map-pan" role="group" aria-label="Move the map">
                    {tool('Move left', '←', () => map.current?.pan(120, 0, true), 'map-left')}
                    {tool('Move right', '→', () => map.current?.pan(-120, 0, true), 'map-right')}
                    {tool('Move up', '↑', () => map.current?.pan(0, 120, true), 'map-up')}
                    {tool('Move down', '↓', () => map.current?.pan(0, -120, true), 'map-down')}
                </div>
            )}
            <p class="map-hint" data-testid="map-hint" data-choosable={view.choosable ? 'yes' : 'no'}>{view.choosable ? 'Tap seats to choose them.' : view.zoomed ? 'Tap again to come close enough to choose.' : 'Tap a section to come closer.'}</p>
        </div>
    );
}

interface RowProps {
    row: Row;
    plan: Plan;
    currency: string;
    price: Prices;
    /** What this row looks like now; the row is drawn again only when it changes. */
    look: string;
    onSeat: (seat: number) => void;
}

function drawRow({ row, plan, currency, price, look, onSeat }: RowProps): JSX.Element {
    const name = plan.zones[row.zone] ?? '';
    const prices = new Set<number>();
    const boxes: JSX.Element[] = [];
    for (let i = 0; i < row.seats; i++) {
        const seat = row.first + i;
        const state = Number(look[i]);
        const each = price(seat);
        prices.add(each);
        const taken = state !== FREE && state !== 4;
        const category = plan.categories[plan.category[seat] ?? 0]?.name ?? '';
        boxes.push(
            <label key={seat} class={taken ? 'seat seat-taken' : 'seat'}>
                <input type="checkbox" checked={state === 4} disabled={taken} data-testid={`seat-${seat}`} onChange={() => onSeat(seat)}
                    aria-label={`${name ? `${name}, ` : ''}row ${row.label}, seat ${seatLabel(row, seat)}, ${category}, ${money(each, currency)}, ${state === 4 ? 'chosen by you' : stateWords(state)}`} />
                <span aria-hidden="true">{seatLabel(row, seat)}</span>
            </label>,
        );
    }
    return (
        <fieldset class="seat-row">
            <legend>Row {row.label} <span class="soft">{[...prices].sort((a, b) => a - b).map((p) => money(p, currency)).join(' / ')}</span></legend>
            <div class="seat-boxes">{boxes}</div>
        </fieldset>
    );
}

class SeatRow extends Component<RowProps> {
    override shouldComponentUpdate(next: RowProps): boolean {
        const { row, look, price, onSeat } = this.props;
        return next.row !== row || next.look !== look || next.price !== price || next.onSeat !== onSeat;
    }
    override render(): JSX.Element {
        return drawRow(this.props);
    }
}

interface ListProps {
    store: SeatStore;
    event: EventInfo;
    chosen: ReadonlySet<number>;
    zone: number | null;
    onZone: (zone: number) => void;
    onSeat: (seat: number) => void;
    price: Prices;
}

function SeatList({ store, event, chosen, zone, onZone, onSeat, price }: ListProps): JSX.Element {
    const { plan, geometry } = store;
    const [shown, setShown] = useState(ROWS_AT_ONCE);
    useEffect(() => setShown(ROWS_AT_ONCE), [zone]);
    const rows = useMemo(() => (zone === null ? [] : plan.rows.filter((row) => row.zone === zone && row.seats > 0)), [plan, zone]);
    const options = geometry.sections.map((section) => ({
        value: String(section.zone),
        label: `${plan.zones[section.zone] || 'Seats'} – ${number(store.freeInZone(section.zone))} free`,
    }));
    // A chosen seat is always in the list, however far down its row is.
    const lastChosen = rows.reduce((last, row, i) => ([...chosen].some((seat) => seat >= row.first && seat < row.first + row.seats) ? i : last), -1);
    const visible = Math.max(shown, lastChosen + 1);
    const look = (row: Row): string => {
        let text = '';
        for (let seat = row.first; seat < row.first + row.seats; seat++) text += chosen.has(seat) ? '4' : String(store.state(seat));
        return text;
    };
    return (
        <div class="seat-list" data-testid="seat-list">
            <h3>Seats as a list</h3>
            <Select label="Section" name="section" testid="section" value={zone === null ? '' : String(zone)} onValue={(value) => value && onZone(Number(value))}
                options={zone === null ? [{ value: '', label: 'Choose a section…' }, ...options] : options} />
            {zone === null && <p class="soft">Choose a section here or on the map to see its rows.</p>}
            {rows.slice(0, visible).map((row) => (
                <SeatRow key={row.first} row={row} plan={plan} currency={event.currency} price={price} look={look(row)} onSeat={onSeat} />
            ))}
            {rows.length > visible && <Button onClick={() => setShown(visible + ROWS_AT_ONCE)} testid="more-rows">Show {plural(Math.min(ROWS_AT_ONCE, rows.length - visible), 'more row', 'more rows')}</Button>}
        </div>
    );
}

function Legend({ event }: { event: EventInfo }): JSX.Element {
    return (
        <ul class="legend" aria-label="What the colours and shapes mean">
            {event.categories.map((c) => <li key={c.category}><span class="swatch" style={{ backgroundColor: c.color }} aria-hidden="true" /> {c.name} <strong class="num">{money(c.total_minor, event.currency)}</strong></li>)}
            <li><span class="swatch swatch-chosen" aria-hidden="true">✓</span> yours</li>
            <li><span class="swatch swatch-held" aria-hidden="true" /> held</li>
            <li><span class="swatch swatch-taken" aria-hidden="true">×</span> taken</li>
        </ul>
    );
}

function Chooser({ event, store, chosen: list, onChosen, onTake, busy }: Props & { store: SeatStore }): JSX.Element {
    const { plan } = store;
    const [zone, setZone] = useState<number | null>(() => (store.geometry.sections.length === 1 ? (store.geometry.sections[0]?.zone ?? null) : null));
    const [said, setSaid] = useState('');
    const [, redraw] = useState(0);
    const chosen = useMemo(() => new Set(list), [list]);
    const latest = useRef(chosen);
    latest.current = chosen;
    const totals = useMemo(() => new Map(event.categories.map((c) => [c.category, c.total_minor])), [event.categories]);
    const price = useCallback((seat: number) => totals.get(plan.category[seat] ?? 0) ?? 0, [totals, plan]);

    useEffect(() => store.follow(), [store]);
    useEffect(() => store.listen({
        settled: () => {
            const kept = [...latest.current].filter((seat) => seat < plan.seats && store.state(seat) === FREE);
            if (kept.length !== latest.current.size) {
                const gone = [...latest.current].find((seat) => !kept.includes(seat));
                setSaid(gone !== undefined && gone < plan.seats ? `Just taken by somebody else: ${seatWords(plan, gone)}.` : '');
                onChosen(kept);
            }
            redraw((n) => n + 1);
        },
    }), [store]);
    // What was kept over a reload may be gone by now.
    useEffect(() => {
        const kept = list.filter((seat) => seat < plan.seats && store.state(seat) === FREE);
        if (kept.length !== list.length) onChosen(kept);
    }, [store]);

    const onSeat = useCallback((seat: number) => {
        const now = latest.current;
        if (now.has(seat)) {
            onChosen([...now].filter((s) => s !== seat));
            setSaid(`Removed: ${seatWords(plan, seat)}.`);
        } else if (store.state(seat) !== FREE) setSaid(`${seatWords(plan, seat)} is ${stateWords(store.state(seat))}.`);
        else if (now.size >= event.per_order_max) setSaid(`At most ${event.per_order_max} seats in one order.`);
        else {
            onChosen([...now, seat]);
            setSaid(`Chosen: ${seatWords(plan, seat)}, ${money(price(seat), event.currency)}.`);
        }
    }, [store, price, event.per_order_max]);

    const total = list.reduce((sum, seat) => sum + price(seat), 0);
    const lone = useMemo(() => loneSeats(plan, store.geometry.spacing, chosen, (seat) => store.state(seat) === FREE), [chosen, store]);
    return (
        <section class="chooser" aria-labelledby="chooser-title">
            <div class="row between">
                <h2 id="chooser-title">Or choose your seats</h2>
                <p class={store.live ? 'live live-on' : 'live'}>{store.live ? 'Live' : 'Connecting…'}</p>
            </div>
            <Announce text={said} />
            <Legend event={event} />
            <div class="chooser-in">
                <MapView store={store} event={event} chosen={chosen} zone={zone} onSeat={onSeat} onZone={setZone} price={price} />
                <SeatList store={store} event={event} chosen={chosen} zone={zone} onZone={setZone} onSeat={onSeat} price={price} />
            </div>
            {list.length > 0 && (
                <div class="bar" role="region" aria-label="Your choice" data-testid="choice">
                    <div class="bar-in">
                        <ul class="chips">{list.map((seat) => (
                            <li key={seat}><button type="button" class="chip" onClick={() => onSeat(seat)} aria-label={`Remove ${seatWords(plan, seat)}`}>{seatWords(plan, seat)} <span aria-hidden="true">×</span></button></li>
                        ))}</ul>
                        {lone.length > 0 && <p class="bar-hint" data-testid="lone-seat">This leaves one single seat free beside yours. Moving by one would be kind.</p>}
                        <Button kind="main" busy={busy} onClick={onTake} testid="take-seats">Hold {plural(list.length, 'seat')} · {money(total, event.currency)}</Button>
                    </div>
                </div>
            )}
        </section>
    );
}

export function SeatChooser(props: Props): JSX.Element {
    const { event } = props;
    const { data: store, error, reload } = useLoad(`${event.id} ${event.plan_hash}`, (signal) => SeatStore.open(event, signal));
    if (!store) return <section class="card"><h2>Or choose your seats</h2><Pending error={error} reload={reload} what="the seat map" /></section>;
    if (store.plan.seats === 0) return <Notice><p>This event has no numbered seats.</p></Notice>;
    return <Chooser {...props} store={store} />;
}
