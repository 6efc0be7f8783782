// SPDX-License-Identifier: Apache-2.0
//
// basket - what somebody chose, kept over sign-in and reload, so that nothing is asked twice. In sessionStorage: it belongs to
// the tab and ends with it. It names seats and a hold, nothing personal.
import { isId } from '../shared/id';

export type Wish =
    | { kind: 'places'; places: number[] }
    | { kind: 'best'; category: number; count: number }
    | { kind: 'area'; area: number; count: number };

export interface Basket {
    chosen: number[];
    count: number;
    /** Asked for while signed out: done right after the sign-in. */
    wish: Wish | null;
    hold: string | null;
}

const key = (event: string): string => `basket:${event}`;
const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readWish(value: unknown): Wish | null {
    if (typeof value !== 'object' || value === null) return null;
    const w = value as Record<string, unknown>;
    if (w.kind === 'places' && Array.isArray(w.places) && w.places.every(whole)) return { kind: 'places', places: w.places };
    if (w.kind === 'best' && whole(w.category) && whole(w.count)) return { kind: 'best', category: w.category, count: w.count };
    if (w.kind === 'area' && whole(w.area) && whole(w.count)) return { kind: 'area', area: w.area, count: w.count };
    return null;
}

export function readBasket(event: string): Basket {
    const empty: Basket = { chosen: [], count: 2, wish: null, hold: null };
    try {
        const value = JSON.parse(sessionStorage.getItem(key(event)) ?? 'null') as Record<string, unknown> | null;
        if (!value) return empty;
        return {
            chosen: Array.isArray(value.chosen) ? value.chosen.filter(whole).slice(0, 100) : [],
            count: whole(value.count) && value.count > 0 ? value.count : 2,
            wish: readWish(value.wish),
            hold: typeof value.hold === 'string' && isId('hld', value.hold) ? value.hold : null,
        };
    } catch {
        return empty;
    }
}

export function saveBasket(event: string, basket: Basket): void {
    try {
        sessionStorage.setItem(key(event), JSON.stringify(basket));
    } catch {
        // Storage may be full or forbidden: then a reload forgets the choice, and nothing else is lost.
    }
}
