// SPDX-License-Identifier: Apache-2.0
//
// encode - packs seating plans and availability as the server does (docs/api.md), for tests and for looking at pages
// without a server. Not part of the product.

class Writer {
    bytes = [];
    u8(v) { this.bytes.push(v & 255); }
    u16(v) { this.u8(v >> 8); this.u8(v); }
    u32(v) { this.u16(v >>> 16); this.u16(v & 0xffff); }
    text(t) { const b = new TextEncoder().encode(t); this.u8(b.length); this.bytes.push(...b); }
    color(c) { this.u8(c.r); this.u8(c.g); this.u8(c.b); }
}

const quarter = (v) => Math.round(v * 4);

function writeShape(w, shape) {
    w.u8(shape.kind);
    w.color(shape);
    w.u16(shape.points.length);
    for (const [x, y] of shape.points) { w.u32(quarter(x)); w.u32(quarter(y)); }
}

function counted(seats) {
    const numbers = seats.map((s) => (/^-?\d+$/.test(s.number) ? Number(s.number) : NaN));
    const step = seats.length > 1 ? numbers[1] - numbers[0] : 1;
    return numbers.every((n, i) => n === numbers[0] + i * step) ? { from: numbers[0], step } : null;
}

function writeRow(w, row) {
    const { seats } = row;
    const xs = seats.map((s) => quarter(s.x));
    const ys = seats.map((s) => quarter(s.y));
    const steps = seats.slice(1).map((_, i) => [xs[i + 1] - xs[i], ys[i + 1] - ys[i]]);
    const one = seats.every((s) => s.category === seats[0].category);
    const count = counted(seats);
    const fits = steps.every(([dx, dy]) => Math.abs(dx) < 128 && Math.abs(dy) < 128);
    w.u16(row.zone);
    w.text(row.label);
    w.u16(seats.length);
    w.u32(xs[0]);
    w.u32(ys[0]);
    w.u8((one ? 1 : 0) | (count ? 2 : 0) | (fits ? 4 : 0));
    if (one) w.u8(seats[0].category);
    else for (const s of seats) w.u8(s.category);
    if (count) { w.u16(count.from); w.u8(count.step); } else for (const s of seats) w.text(s.number);
    for (const [dx, dy] of steps) {
        if (fits) { w.u8(dx); w.u8(dy); } else { w.u16(dx); w.u16(dy); }
    }
}

export function encodePlan(plan, wrong = {}) {
    const w = new Writer();
    const seats = plan.rows.reduce((n, row) => n + row.seats.length, 0);
    const slots = plan.areas.reduce((n, area) => n + area.slots, 0);
    for (const c of 'GHP1') w.u8(c.charCodeAt(0));
    w.u32(seats + slots);
    w.u32(seats);
    w.u16(plan.width);
    w.u16(plan.height);
    w.u8(plan.categories.length);
    for (const c of plan.categories) { w.text(c.name); w.color(c); }
    w.u16(plan.zones.length);
    for (const z of plan.zones) w.text(z);
    w.u32(plan.rows.length);
    for (const row of plan.rows) writeRow(w, row);
    w.u16(plan.areas.length);
    let first = seats;
    for (const area of plan.areas) {
        w.u16(area.zone);
        w.text(area.name);
        w.u8(area.category);
        w.u32(wrong.areaFirst ?? first);
        w.u32(area.slots);
        first += area.slots;
        writeShape(w, area.shape);
    }
    w.u16(plan.decorations.length);
    for (const d of plan.decorations) { writeShape(w, d.shape); w.text(d.label); }
    return Uint8Array.from(w.bytes);
}

/** A bowl of three tiers and 48 sectors around a pitch. */
export function stadium(total = 80_000) {
    const tiers = 3, sectors = 48;
    const categories = [
        { name: 'Lower bowl', r: 0xc2, g: 0x41, b: 0x0c }, { name: 'Club tier', r: 0x6d, g: 0x28, b: 0xd9 },
        { name: 'Upper tier', r: 0x0f, g: 0x76, b: 0x6e },
    ];
    const zones = [], rows = [];
    const width = 5600, height = 4600, cx = width / 2, cy = height / 2;
    const perSector = Math.floor(total / (tiers * sectors));
    let left = total;
    for (let t = 0; t < tiers; t++) {
        for (let s = 0; s < sectors; s++) {
            const zone = zones.push(`${t + 1}${String(s + 1).padStart(2, '0')}`) - 1;
            let want = t === tiers - 1 && s === sectors - 1 ? left : perSector;
            left -= want;
            for (let r = 0; want > 0; r++) {
                const radius = 900 + [0, 640, 1110][t] + r * 15;
                const stretch = (a) => 1 + 0.25 * Math.cos(a) ** 2;
                const from = (s / sectors) * 2 * Math.PI, to = ((s + 1) / sectors) * 2 * Math.PI;
                const n = Math.min(want, Math.floor(((to - from) * radius - 26) / 11));
                want -= n;
                const seats = [];
                for (let i = 0; i < n; i++) {
                    const a = from + ((i + 0.5 + 13 / 11) / (n + 26 / 11)) * (to - from);
                    seats.push({ x: cx + Math.cos(a) * radius * stretch(a), y: cy + Math.sin(a) * radius, category: t, number: String(i + 1) });
                }
                rows.push({ zone, label: String(r + 1), seats });
            }
        }
    }
    const pitch = [[cx - 620, cy - 400], [cx + 620, cy - 400], [cx + 620, cy + 400], [cx - 620, cy + 400]];
    return { width, height, categories, zones, rows, areas: [], decorations: [{ shape: { kind: 0, r: 0x4d, g: 0x8b, b: 0x57, points: pitch }, label: 'Pitch' }] };
}

export function theatre() {
    const categories = [{ name: 'Stalls', r: 0xb4, g: 0x23, b: 0x18 }, { name: 'Circle', r: 0x1d, g: 0x4e, b: 0x89 }];
    const rows = [];
    for (let r = 0; r < 14; r++) {
        const n = 16 + Math.floor(r / 2) * 2, seats = [];
        for (let i = 0; i < n; i++) {
            const bend = (i - (n - 1) / 2) ** 2 * -0.18;
            seats.push({ x: 400 + (i - (n - 1) / 2) * 22, y: 190 + r * 26 + bend + 20, category: r < 8 ? 0 : 1, number: String(i + 1) });
        }
        rows.push({ zone: r < 8 ? 0 : 1, label: String.fromCharCode(65 + r), seats });
    }
    const box = (x, y, w, h) => [[x, y], [x + w, y], [x + w, y + h], [x, y + h]];
    return {
        width: 800, height: 640, categories, zones: ['Stalls', 'Circle'], rows,
        areas: [{ zone: 1, name: 'Standing gallery', category: 1, slots: 60, shape: { kind: 0, r: 0x1d, g: 0x4e, b: 0x89, points: box(220, 575, 360, 45) } }],
        decorations: [{ shape: { kind: 0, r: 0x77, g: 0x6b, b: 0x5d, points: box(200, 60, 400, 70) }, label: 'Stage' }],
    };
}

export function encodeAvailability(version, states) {
    const out = new Uint8Array(16 + ((states.length + 3) >> 2));
    out.set([0x47, 0x48, 0x41, 0x31]);
    const view = new DataView(out.buffer);
    view.setBigUint64(4, BigInt(version));
    view.setUint32(12, states.length);
    states.forEach((state, i) => { out[16 + (i >> 2)] |= state << ((i & 3) * 2); });
    return out;
}
