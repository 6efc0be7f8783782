// SPDX-License-Identifier: Apache-2.0
//
// availability - which places are free, as the server packs it (docs/api.md, availability.bin): two bits a place, and the
// changes that follow by version.
import { PLAN_LIMITS } from './plan';
import { ByteReader, FormatError } from './reader';

export const FREE = 0;
export const HELD = 1;
export const TAKEN = 2;
export const BLOCKED = 3;

export class Availability {
    constructor(
        public version: number,
        public readonly places: number,
        private readonly bits: Uint8Array,
    ) {}

    state(place: number): number {
        if (place < 0 || place >= this.places) throw new RangeError(`no place ${place}`);
        return ((this.bits[place >> 2] ?? 0) >> ((place & 3) * 2)) & 3;
    }

    set(place: number, state: number): void {
        if (place < 0 || place >= this.places) throw new RangeError(`no place ${place}`);
        const shift = (place & 3) * 2;
        const at = place >> 2;
        this.bits[at] = ((this.bits[at] ?? 0) & ~(3 << shift)) | ((state & 3) << shift);
    }

    /** Free places in [from, to). */
    free(from: number, to: number): number {
        let count = 0;
        for (let place = from; place < to; place++) if (this.state(place) === FREE) count++;
        return count;
    }
}

export function parseAvailability(bytes: Uint8Array): Availability {
    const r = new ByteReader(bytes);
    r.magic('GHA1');
    const version = r.u64();
    const places = r.count(r.u32(), PLAN_LIMITS.places, 'places');
    const bits = r.slice((places + 3) >> 2).slice();
    r.end();
    const used = (places & 3) * 2;
    if (used !== 0 && (bits[bits.length - 1] ?? 0) >> used !== 0) throw new FormatError('bits after the last place');
    return new Availability(version, places, bits);
}

export interface Delta {
    v: number;
    s: [number, number][];
}

/** The data of an `event: places` message, or null when it is not what the contract says. */
export function parseDelta(text: string, places: number): Delta | null {
    let value: unknown;
    try {
        value = JSON.parse(text);
    } catch {
        return null;
    }
    if (typeof value !== 'object' || value === null) return null;
    const { v, s } = value as { v?: unknown; s?: unknown };
    if (!Number.isSafeInteger(v) || !Array.isArray(s)) return null;
    for (const pair of s as unknown[]) {
        if (!Array.isArray(pair) || pair.length !== 2) return null;
        const [place, state] = pair as unknown[];
        if (!Number.isInteger(place) || (place as number) < 0 || (place as number) >= places) return null;
        if (!Number.isInteger(state) || (state as number) < 0 || (state as number) > 3) return null;
    }
    return { v: v as number, s: s as [number, number][] };
}

/** Apply a change; one that is already in the map is passed over. Returns the places it touched. */
export function applyDelta(map: Availability, delta: Delta): number[] {
    if (delta.v <= map.version) return [];
    map.version = delta.v;
    for (const [place, state] of delta.s) map.set(place, state);
    return delta.s.map(([place]) => place);
}
