// SPDX-License-Identifier: Apache-2.0
//
// format - money and times as people read them; times always in the event's own zone.
import type { Money } from './types';

// The pages are written in English: of the reader's languages only the English ones decide how dates look.
function pickLocale(): string {
    const wanted = typeof navigator === 'undefined' ? [] : (navigator.languages ?? []);
    return wanted.find((language) => language.toLowerCase().startsWith('en')) ?? 'en-GB';
}
const locale = pickLocale();

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function numberFormat(currency: string): Intl.NumberFormat {
    const known = cache.get(currency);
    if (known) return known as Intl.NumberFormat;
    const made = new Intl.NumberFormat(locale, { style: 'currency', currency });
    cache.set(currency, made);
    return made;
}

export function currencyDigits(currency: string): number {
    return numberFormat(currency).resolvedOptions().maximumFractionDigits ?? 2;
}

export function money(minor: number, currency: string): string {
    try {
        const format = numberFormat(currency);
        return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
    } catch {
        return `${minor} ${currency}`;
    }
}

export const amount = (value: Money): string => money(value.amount_minor, value.currency);

/** "45", "45.5", "45.50" to 4550; null when it is not an amount of that currency. */
export function parseMinor(text: string, currency: string): number | null {
    const match = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
    if (!match) return null;
    const digits = currencyDigits(currency);
    const fraction = match[2] ?? '';
    if (fraction.length > digits) return null;
    return Number(match[1]) * 10 ** digits + Number(fraction.padEnd(digits, '0') || '0');
}

function dateFormat(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    const key = `${zone} ${JSON.stringify(options)}`;
    const known = cache.get(key);
    if (known) return known as Intl.DateTimeFormat;
    let made: Intl.DateTimeFormat;
    try {
        made = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
    } catch {
        made = new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC', timeZoneName: 'short' });
    }
    cache.set(key, made);
    return made;
}

const valid = (at: string): Date | null => {
    const date = new Date(at);
    return Number.isNaN(date.getTime()) ? null : date;
};

function formatAt(at: string, zone: string, options: Intl.DateTimeFormatOptions): string {
    const date = valid(at);
    return date ? dateFormat(zone, options).format(date) : '';
}

export const longDate = (at: string, zone: string): string =>
    formatAt(at, zone, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
export const clock = (at: string, zone: string): string => formatAt(at, zone, { timeStyle: 'short' });
export const dateAndTime = (at: string, zone: string): string =>
    formatAt(at, zone, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: 'numeric', minute: '2-digit' });
export const dateAndSeconds = (at: string, zone: string): string => formatAt(at, zone, { dateStyle: 'medium', timeStyle: 'medium' });
export const clockSeconds = (at: string, zone: string): string =>
    formatAt(at, zone, { timeStyle: 'medium' });

/** Parts for the date block of a card. */
export function datePieces(at: string, zone: string): { day: string; month: string; weekday: string; year: string } {
    return {
        day: formatAt(at, zone, { day: 'numeric' }),
        month: formatAt(at, zone, { month: 'short' }),
        weekday: formatAt(at, zone, { weekday: 'short' }),
        year: formatAt(at, zone, { year: 'numeric' }),
    };
}

export const hereZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** Milliseconds left as "9:41". */
export function countdown(ms: number): string {
    const seconds = Math.max(0, Math.ceil(ms / 1000));
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function offsetMs(utcMs: number, zone: string): number {
    const parts = new Intl.DateTimeFormat('en-US', {
        timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
        hour: 'numeric', minute: 'numeric', second: 'numeric',
    }).formatToParts(new Date(utcMs));
    const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
    const wall = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return wall - Math.floor(utcMs / 1000) * 1000;
}

/** Now on the clock of a zone, as a datetime-local field has it. */
export function wallClock(zone: string, now = Date.now()): string {
    let offset = 0;
    try {
        offset = offsetMs(now, zone);
    } catch {
        // A zone that this browser does not know: UTC, which the person sees and can change.
    }
    return new Date(now + offset).toISOString().slice(0, 16);
}

/** "2027-06-12T20:00" on the clock of a zone, as RFC 3339 UTC; null when it is no time. */
export function zonedToUtc(local: string, zone: string): string | null {
    const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::\d\d)?$/.exec(local);
    if (!match) return null;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number);
    const wall = Date.UTC(year, month - 1, day, hour, minute);
    // Twice: the offset at the first guess may be that of the other side of a clock change.
    let utc: number;
    try {
        utc = wall - offsetMs(wall, zone);
        utc = wall - offsetMs(utc, zone);
    } catch {
        return null; // no such zone
    }
    return new Date(utc).toISOString().replace('.000Z', 'Z');
}

export const plural = (count: number, one: string, many = `${one}s`): string => `${count.toLocaleString(locale)} ${count === 1 ? one : many}`;
export const count = (value: number): string => value.toLocaleString(locale);
