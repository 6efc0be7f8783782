// SPDX-License-Identifier: Apache-2.0
//
// plan - the seating plan as the server packs it (docs/api.md, plan.bin), read into columns.
//
// 80,000 seats are held as typed arrays, not objects: 1.5 MB instead of tens. Everything that is counted has a limit, and
// the parts must agree with the totals named first: a plan that lies about itself is refused whole.
import { ByteReader, FormatError } from './reader';

export const PLAN_LIMITS = {
    places: 250_000,
    seats: 200_000,
    zones: 4_000,
    rows: 40_000,
    areas: 1_000,
    decorations: 4_000,
    points: 4_000,
    pointsTotal: 100_000,
};

export interface Color {
    r: number;
    g: number;
    b: number;
}

export interface Shape {
    kind: 'polygon' | 'ellipse';
    color: Color;
    /** x, y alternating, in plan units; an ellipse has its centre and its radii. */
    points: Float32Array;
}

export interface Row {
    zone: number;
    label: string;
    first: number;
    seats: number;
    /** Either counted (from, step) or named one by one. */
    numbers: { from: number; step: number } | string[];
}

export interface Area {
    zone: number;
    name: string;
    category: number;
    first: number;
    slots: number;
    shape: Shape;
}

export interface Plan {
    places: number;
    seats: number;
    width: number;
    height: number;
    categories: { name: string; color: Color }[];
    zones: string[];
    rows: Row[];
    areas: Area[];
    decorations: { shape: Shape; label: string }[];
    /** Per seat, in plan units. */
    x: Float32Array;
    y: Float32Array;
    category: Uint8Array;
    rowOf: Uint16Array;
}

const UNIT = 4;

function readColor(r: ByteReader): Color {
    return { r: r.u8(), g: r.u8(), b: r.u8() };
}

function readShape(r: ByteReader, budget: { points: number }): Shape {
    const kind = r.u8();
    if (kind > 1) throw new FormatError(`shape kind ${kind}`);
    const color = readColor(r);
    const count = r.count(r.u16(), PLAN_LIMITS.points, 'points');
    if (kind === 1 && count !== 2) throw new FormatError('an ellipse has two points');
    budget.points -= count;
    if (budget.points < 0) throw new FormatError('too many points in all');
    const points = new Float32Array(count * 2);
    for (let i = 0; i < points.length; i++) points[i] = r.i32() / UNIT;
    return { kind: kind === 1 ? 'ellipse' : 'polygon', color, points };
}

function readRow(r: ByteReader, plan: Plan, index: number, first: number): Row {
    const zone = r.u16();
    if (zone >= plan.zones.length) throw new FormatError(`row ${index} names zone ${zone}`);
    const label = r.text();
    const seats = r.u16();
    if (seats > plan.seats - first) throw new FormatError('the rows have more seats than the plan');
    let x = r.i32();
    let y = r.i32();
    const flags = r.u8();
    if (flags > 7) throw new FormatError(`row ${index} has unknown flags`);

    const categories = flags & 1 ? null : r.slice(seats);
    const all = flags & 1 ? r.u8() : 0;
    for (let i = 0; i < seats; i++) {
        const category = categories ? (categories[i] ?? 0) : all;
        if (category >= plan.categories.length) throw new FormatError(`row ${index} names category ${category}`);
        plan.category[first + i] = category;
    }

    let numbers: Row['numbers'];
    if (flags & 2) {
        numbers = { from: r.i16(), step: r.i8() };
    } else {
        numbers = [];
        for (let i = 0; i < seats; i++) numbers.push(r.text());
    }

    for (let i = 0; i < seats; i++) {
        if (i > 0) {
            x += flags & 4 ? r.i8() : r.i16();
            y += flags & 4 ? r.i8() : r.i16();
        }
        plan.x[first + i] = x / UNIT;
        plan.y[first + i] = y / UNIT;
        plan.rowOf[first + i] = index;
    }
    return { zone, label, first, seats, numbers };
}

function readArea(r: ByteReader, plan: Plan, taken: { next: number }, budget: { points: number }): Area {
    const zone = r.u16();
    const name = r.text();
    const category = r.u8();
    const first = r.u32();
    const slots = r.u32();
    if (zone >= plan.zones.length) throw new FormatError(`area "${name}" names zone ${zone}`);
    if (category >= plan.categories.length) throw new FormatError(`area "${name}" names category ${category}`);
    if (first < taken.next || first > plan.places || slots > plan.places - first) {
        throw new FormatError(`area "${name}" lies outside its places`);
    }
    taken.next = first + slots;
    return { zone, name, category, first, slots, shape: readShape(r, budget) };
}

export function parsePlan(bytes: Uint8Array): Plan {
    const r = new ByteReader(bytes);
    r.magic('GHP1');
    const places = r.count(r.u32(), PLAN_LIMITS.places, 'places');
    const seats = r.count(r.u32(), PLAN_LIMITS.seats, 'seats');
    if (seats > places) throw new FormatError('more seats than places');
    const plan: Plan = {
        places,
        seats,
        width: r.u16(),
        height: r.u16(),
        categories: [],
        zones: [],
        rows: [],
        areas: [],
        decorations: [],
        x: new Float32Array(seats),
        y: new Float32Array(seats),
        category: new Uint8Array(seats),
        rowOf: new Uint16Array(seats),
    };
    for (let n = r.u8(); n > 0; n--) plan.categories.push({ name: r.text(), color: readColor(r) });
    for (let n = r.count(r.u16(), PLAN_LIMITS.zones, 'zones'); n > 0; n--) plan.zones.push(r.text());

    let first = 0;
    const rows = r.count(r.u32(), PLAN_LIMITS.rows, 'rows');
    for (let i = 0; i < rows; i++) {
        const row = readRow(r, plan, i, first);
        plan.rows.push(row);
        first += row.seats;
    }
    if (first !== seats) throw new FormatError('the rows have fewer seats than the plan');

    const budget = { points: PLAN_LIMITS.pointsTotal };
    const taken = { next: seats };
    for (let n = r.count(r.u16(), PLAN_LIMITS.areas, 'areas'); n > 0; n--) plan.areas.push(readArea(r, plan, taken, budget));
    for (let n = r.count(r.u16(), PLAN_LIMITS.decorations, 'decorations'); n > 0; n--) {
        const shape = readShape(r, budget);
        plan.decorations.push({ shape, label: r.text() });
    }
    r.end();
    return plan;
}

/** The row of a seat; the seat must be one of the plan's. */
export function rowOfSeat(plan: Plan, seat: number): Row {
    const row = plan.rows[plan.rowOf[seat] ?? -1];
    if (!row || seat < row.first || seat >= row.first + row.seats) throw new RangeError(`no seat ${seat}`);
    return row;
}

export function seatLabel(row: Row, seat: number): string {
    const at = seat - row.first;
    return Array.isArray(row.numbers) ? (row.numbers[at] ?? '') : String(row.numbers.from + at * row.numbers.step);
}

export interface PlaceName {
    zone: string;
    row: string;
    seat: string;
}

export function placeName(plan: Plan, seat: number): PlaceName {
    const row = rowOfSeat(plan, seat);
    return { zone: plan.zones[row.zone] ?? '', row: row.label, seat: seatLabel(row, seat) };
}
