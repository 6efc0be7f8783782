// SPDX-License-Identifier: Apache-2.0
//
// seats - plan and live availability of one event, kept current, shared by map, list and basket.
//
// The stream is opened before the map is fetched and its changes are kept until the map is there: none falls between.
import { getBytes } from '../shared/api';
import { type Availability, applyDelta, type Delta, FREE, parseAvailability, parseDelta } from '../shared/availability';
import { FormatError } from '../shared/reader';
import { parsePlan, type Plan } from '../shared/plan';
import { openStream } from '../shared/stream';
import type { EventInfo } from '../shared/types';
import { type Geometry, makeGeometry } from './geometry';

const PLAN_BYTES_MAX = 8 << 20;
const MAP_BYTES_MAX = 1 << 20;
const KEPT_DELTAS_MAX = 5_000;
const TELL_EVERY_MS = 300;

export interface SeatListener {
    /** These places changed, at once; null: all may have. For the map. */
    places?: (places: number[] | null) => void;
    /** Something changed; at most a few times a second. For lists and figures. */
    settled?: () => void;
}

export class SeatStore {
    readonly geometry: Geometry;
    private readonly freeOfZone: Int32Array;
    private readonly listeners = new Set<SeatListener>();
    private waiting: Delta[] | null = null;
    private fetching = false;
    private stop: (() => void) | undefined;
    private timer: ReturnType<typeof setTimeout> | undefined;
    live = false;

    private constructor(
        private readonly path: string,
        readonly plan: Plan,
        public availability: Availability,
    ) {
        this.geometry = makeGeometry(plan);
        this.freeOfZone = new Int32Array(plan.zones.length);
        this.countZones();
    }

    static async open(event: EventInfo, signal: AbortSignal): Promise<SeatStore> {
        const path = `/api/v1/events/${event.id}`;
        const [plan, map] = await Promise.all([
            getBytes(`${path}/plan.bin?h=${encodeURIComponent(event.plan_hash)}`, PLAN_BYTES_MAX, { signal }).then(parsePlan),
            getBytes(`${path}/availability.bin`, MAP_BYTES_MAX, { signal }).then(parseAvailability),
        ]);
        if (map.places !== plan.places) throw new FormatError('plan and availability differ');
        return new SeatStore(path, plan, map);
    }

    /** Follow the changes until the answer is called. */
    follow(): () => void {
        this.stop = openStream(`${this.path}/availability/stream`, {
            onOpen: () => void this.refetch(),
            onState: (live) => {
                this.live = live;
                this.settle();
            },
            events: {
                places: (data) => {
                    const delta = parseDelta(data, this.plan.places);
                    if (!delta) void this.refetch();
                    else if (this.waiting) this.keep(delta);
                    else this.apply(delta);
                },
                refresh: () => void this.refetch(),
            },
        });
        return () => {
            this.stop?.();
            clearTimeout(this.timer);
        };
    }

    listen(listener: SeatListener): () => void {
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
    }

    state(place: number): number {
        return this.availability.state(place);
    }

    freeInZone(zone: number): number {
        return this.freeOfZone[zone] ?? 0;
    }

    freeInArea(area: number): number {
        const a = this.plan.areas[area];
        return a ? this.availability.free(a.first, a.first + a.slots) : 0;
    }

    async refetch(): Promise<void> {
        if (this.fetching) return;
        this.fetching = true;
        this.waiting = [];
        try {
            const map = parseAvailability(await getBytes(`${this.path}/availability.bin`, MAP_BYTES_MAX));
            if (map.places !== this.plan.places) return; // another plan: the event page will be loaded anew
            if (map.version >= this.availability.version) this.availability = map;
        } catch {
            // The old map stays; the stream goes on, and the next opening fetches again.
        } finally {
            const kept = this.waiting ?? [];
            this.waiting = null;
            this.fetching = false;
            for (const delta of kept) applyDelta(this.availability, delta);
            this.countZones();
            for (const listener of this.listeners) listener.places?.(null);
            this.settle();
        }
    }

    private keep(delta: Delta): void {
        if (this.waiting && this.waiting.length < KEPT_DELTAS_MAX) this.waiting.push(delta);
    }

    private apply(delta: Delta): void {
        const before = delta.s.map(([place]) => this.state(place));
        const touched = applyDelta(this.availability, delta);
        touched.forEach((place, i) => {
            if (place >= this.plan.seats) return;
            const zone = this.zoneOf(place);
            const change = Number(this.state(place) === FREE) - Number(before[i] === FREE);
            this.freeOfZone[zone] = (this.freeOfZone[zone] ?? 0) + change;
        });
        if (touched.length === 0) return;
        for (const listener of this.listeners) listener.places?.(touched);
        this.settle();
    }

    private settle(): void {
        this.timer ??= setTimeout(() => {
            this.timer = undefined;
            for (const listener of this.listeners) listener.settled?.();
        }, TELL_EVERY_MS);
    }

    zoneOf(seat: number): number {
        return this.plan.rows[this.plan.rowOf[seat] ?? 0]?.zone ?? 0;
    }

    private countZones(): void {
        this.freeOfZone.fill(0);
        for (const row of this.plan.rows) {
            this.freeOfZone[row.zone] = (this.freeOfZone[row.zone] ?? 0) + this.availability.free(row.first, row.first + row.seats);
        }
    }
}

/** Free seats that a choice would leave alone between others: worth a hint, never a refusal. */
export function loneSeats(plan: Plan, spacing: number, chosen: ReadonlySet<number>, isFree: (seat: number) => boolean): number[] {
    const lone = new Set<number>();
    const open = (seat: number): boolean => isFree(seat) && !chosen.has(seat);
    const neighbour = (a: number, b: number): boolean =>
        plan.rowOf[a] === plan.rowOf[b] && Math.hypot((plan.x[a] ?? 0) - (plan.x[b] ?? 0), (plan.y[a] ?? 0) - (plan.y[b] ?? 0)) < spacing * 1.7;
    for (const seat of chosen) {
        for (const side of [-1, 1]) {
            const next = seat + side;
            if (next < 0 || next >= plan.seats || !neighbour(seat, next) || !open(next)) continue;
            const after = next + side;
            if (after < 0 || after >= plan.seats || !neighbour(next, after) || !open(after)) lone.add(next);
        }
    }
    return [...lone];
}
