// SPDX-License-Identifier: Apache-2.0
//
// geometry - what the map needs to know of a plan once: how far seats stand apart, where each section lies, and a grid that
// finds the seats of a view without looking at all of them.
import type { Plan } from '../shared/plan';

export interface Box {
    left: number;
    top: number;
    right: number;
    bottom: number;
}

export interface Section {
    zone: number;
    box: Box;
    /** Outline around its seats, x and y alternating. */
    hull: number[];
    first: number;
    seats: number[];
}

export interface Geometry {
    bounds: Box;
    spacing: number;
    sections: Section[];
    /** By zone number; zones without seats have none. */
    byZone: Map<number, Section>;
    cell: number;
    columns: number;
    rows: number;
    cellStart: Uint32Array;
    order: Uint32Array;
}

const emptyBox = (): Box => ({ left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity });

function include(box: Box, x: number, y: number, pad = 0): void {
    box.left = Math.min(box.left, x - pad);
    box.right = Math.max(box.right, x + pad);
    box.top = Math.min(box.top, y - pad);
    box.bottom = Math.max(box.bottom, y + pad);
}

/** The usual distance of two neighbours: the median over a sample of rows. */
export function seatSpacing(plan: Plan): number {
    const gaps: number[] = [];
    const stride = Math.max(1, Math.floor(plan.rows.length / 400));
    for (let i = 0; i < plan.rows.length; i += stride) {
        const row = plan.rows[i];
        if (!row) continue;
        for (let s = row.first + 1; s < row.first + row.seats; s++) {
            const gap = Math.hypot((plan.x[s] ?? 0) - (plan.x[s - 1] ?? 0), (plan.y[s] ?? 0) - (plan.y[s - 1] ?? 0));
            if (gap > 0.5) gaps.push(gap);
        }
    }
    gaps.sort((a, b) => a - b);
    return gaps[gaps.length >> 1] ?? 24;
}

/** Convex outline (monotone chain) of points given as pairs. */
export function convexHull(points: [number, number][]): [number, number][] {
    const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    if (sorted.length < 3) return sorted;
    const half = (list: [number, number][]): [number, number][] => {
        const chain: [number, number][] = [];
        for (const p of list) {
            for (;;) {
                const b = chain[chain.length - 1];
                const a = chain[chain.length - 2];
                if (!a || !b || (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        return chain;
    };
    return [...half(sorted), ...half(sorted.reverse())];
}

function outline(plan: Plan, seats: number[], pad: number): number[] {
    // Four points a seat: the outline then goes round the seats, not through them.
    const points: [number, number][] = [];
    for (const s of seats) {
        const x = plan.x[s] ?? 0;
        const y = plan.y[s] ?? 0;
        points.push([x - pad, y - pad], [x + pad, y - pad], [x - pad, y + pad], [x + pad, y + pad]);
    }
    return convexHull(points).flat();
}

function makeSections(plan: Plan, spacing: number): Section[] {
    const byZone = new Map<number, Section>();
    for (const row of plan.rows) {
        let section = byZone.get(row.zone);
        if (!section) byZone.set(row.zone, (section = { zone: row.zone, box: emptyBox(), hull: [], first: row.first, seats: [] }));
        for (let s = row.first; s < row.first + row.seats; s++) {
            section.seats.push(s);
            include(section.box, plan.x[s] ?? 0, plan.y[s] ?? 0, spacing * 0.6);
        }
    }
    const sections = [...byZone.values()].filter((section) => section.seats.length > 0);
    for (const section of sections) section.hull = outline(plan, section.seats, spacing * 0.5);
    return sections;
}

export function insideOutline(hull: number[], x: number, y: number): boolean {
    let inside = false;
    for (let i = 0, j = hull.length - 2; i < hull.length; j = i, i += 2) {
        const xi = hull[i] ?? 0;
        const yi = hull[i + 1] ?? 0;
        const xj = hull[j] ?? 0;
        const yj = hull[j + 1] ?? 0;
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
}

export function makeGeometry(plan: Plan): Geometry {
    const spacing = seatSpacing(plan);
    const bounds = emptyBox();
    for (let s = 0; s < plan.seats; s++) include(bounds, plan.x[s] ?? 0, plan.y[s] ?? 0, spacing);
    for (const { points, kind } of [...plan.areas.map((a) => a.shape), ...plan.decorations.map((d) => d.shape)]) {
        if (kind === 'ellipse') {
            const [x = 0, y = 0, rx = 0, ry = 0] = points;
            include(bounds, x - rx, y - ry);
            include(bounds, x + rx, y + ry);
        } else {
            for (let i = 0; i < points.length; i += 2) include(bounds, points[i] ?? 0, points[i + 1] ?? 0);
        }
    }
    if (!(bounds.right > bounds.left) || !(bounds.bottom > bounds.top)) Object.assign(bounds, { left: 0, top: 0, right: Math.max(1, plan.width), bottom: Math.max(1, plan.height) });

    // At most about 40,000 cells, however large the plan says it is.
    const cell = Math.max(spacing * 8, Math.sqrt(((bounds.right - bounds.left) * (bounds.bottom - bounds.top)) / 40_000));
    const columns = Math.max(1, Math.ceil((bounds.right - bounds.left) / cell));
    const rows = Math.max(1, Math.ceil((bounds.bottom - bounds.top) / cell));
    const cellOf = (s: number): number =>
        Math.min(rows - 1, Math.floor(((plan.y[s] ?? 0) - bounds.top) / cell)) * columns + Math.min(columns - 1, Math.floor(((plan.x[s] ?? 0) - bounds.left) / cell));
    const cellStart = new Uint32Array(columns * rows + 1);
    for (let s = 0; s < plan.seats; s++) cellStart[cellOf(s) + 1] = (cellStart[cellOf(s) + 1] ?? 0) + 1;
    for (let c = 0; c < columns * rows; c++) cellStart[c + 1] = (cellStart[c + 1] ?? 0) + (cellStart[c] ?? 0);
    const fill = cellStart.slice();
    const order = new Uint32Array(plan.seats);
    for (let s = 0; s < plan.seats; s++) {
        const c = cellOf(s);
        const at = fill[c] ?? 0;
        order[at] = s;
        fill[c] = at + 1;
    }
    const sections = makeSections(plan, spacing);
    return { bounds, spacing, sections, byZone: new Map(sections.map((s) => [s.zone, s])), cell, columns, rows, cellStart, order };
}

/** Call for every seat whose cell touches the box. */
export function forSeatsIn(g: Geometry, box: Box, visit: (seat: number) => void): void {
    const clamp = (v: number, max: number): number => Math.min(max, Math.max(0, v));
    const c0 = clamp(Math.floor((box.left - g.bounds.left) / g.cell), g.columns - 1);
    const c1 = clamp(Math.floor((box.right - g.bounds.left) / g.cell), g.columns - 1);
    const r0 = clamp(Math.floor((box.top - g.bounds.top) / g.cell), g.rows - 1);
    const r1 = clamp(Math.floor((box.bottom - g.bounds.top) / g.cell), g.rows - 1);
    for (let r = r0; r <= r1; r++) {
        const from = g.cellStart[r * g.columns + c0] ?? 0;
        const to = g.cellStart[r * g.columns + c1 + 1] ?? 0;
        for (let i = from; i < to; i++) visit(g.order[i] ?? 0);
    }
}
