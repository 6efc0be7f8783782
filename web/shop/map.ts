// SPDX-License-Identifier: Apache-2.0
//
// map - 80,000 seats on one canvas, sixty times a second without a GPU.
//
// Far away, one bitmap of all seats is drawn (a changed seat changes its own few pixels of it); nearer, only the seats whose
// grid cells touch the view, each as a copy of a small picture of its category and state. Seats can be chosen once they are
// 24 CSS pixels wide; before that, a tap goes nearer. Colour and shape both tell the state.
import { FREE, HELD } from '../shared/availability';
import type { Color, Shape } from '../shared/plan';
import { rowOfSeat, seatLabel } from '../shared/plan';
import { type Box, forSeatsIn, insideOutline, type Section } from './geometry';
import type { SeatStore } from './seats';

export const CHOOSABLE_PX = 24;
const BITMAP_PX = 2048;
const DETAIL_PX = 4.5;
const DETAIL_SEATS_MAX = 26_000;
const SEAT_MAX_PX = 56;

export interface MapHooks {
    onSeat: (seat: number) => void;
    onZone: (zone: number) => void;
    onArea: (area: number) => void;
    onHover: (target: { seat?: number; zone?: number; area?: number } | null, x: number, y: number) => void;
    onView: (view: { zoomed: boolean; choosable: boolean }) => void;
}

interface Theme {
    paper: string;
    card: string;
    ink: string;
    soft: string;
    line: string;
    accent: string;
}

interface View {
    scale: number;
    x: number; // plan unit at the left edge
    y: number;
}

const css = (c: Color): string => `rgb(${c.r} ${c.g} ${c.b})`;
const light = (c: Color): boolean => 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b > 150;

export class SeatMap {
    private readonly context: CanvasRenderingContext2D;
    private readonly bitmap = document.createElement('canvas');
    private bitmapScale = 1;
    private sprites = new Map<number, HTMLCanvasElement>();
    private spritePx = 0;
    private view: View = { scale: 1, x: 0, y: 0 };
    private width = 0;
    private height = 0;
    private dpr = 1;
    private theme: Theme = { paper: '#fff', card: '#fff', ink: '#000', soft: '#666', line: '#ccc', accent: '#b30' };
    private chosen: ReadonlySet<number> = new Set();
    private hovered: Section | null = null;
    private marked = -1;
    private frame = 0;
    private flight = 0;
    private readonly ends: (() => void)[] = [];
    private readonly seatR: number;

    constructor(
        private readonly canvas: HTMLCanvasElement,
        private readonly store: SeatStore,
        private readonly hooks: MapHooks,
    ) {
        const context = canvas.getContext('2d');
        if (!context) throw new Error('no canvas');
        this.context = context;
        this.seatR = store.geometry.spacing * 0.43;
        this.readTheme();
        const resize = new ResizeObserver(() => this.resize());
        resize.observe(canvas);
        const dark = matchMedia('(prefers-color-scheme: dark)');
        const themed = (): void => {
            this.readTheme();
            this.sprites.clear();
            this.drawBitmap();
            this.dirty();
        };
        dark.addEventListener('change', themed);
        const unlisten = store.listen({ places: (places) => this.changed(places) });
        this.ends.push(() => resize.disconnect(), () => dark.removeEventListener('change', themed), unlisten, () => cancelAnimationFrame(this.frame), () => cancelAnimationFrame(this.flight));
        this.drawBitmap();
    }

    destroy(): void {
        for (const end of this.ends) end();
    }

    // ---- what others tell the map ----

    setChosen(chosen: ReadonlySet<number>): void {
        this.chosen = chosen;
        this.dirty();
    }

    private changed(places: number[] | null): void {
        if (places === null) this.drawBitmap();
        else {
            const c = this.bitmap.getContext('2d');
            if (c) for (const place of places) if (place < this.store.plan.seats) this.drawDot(c, place);
        }
        this.dirty();
    }

    mark(zone: number): void {
        this.marked = zone;
        this.dirty();
    }

    // ---- the view ----

    private get fitScale(): number {
        const { left, top, right, bottom } = this.store.geometry.bounds;
        return Math.min(this.width / (right - left), this.height / (bottom - top)) * 0.98;
    }

    private get maxScale(): number {
        return Math.max(this.fitScale, SEAT_MAX_PX / (this.seatR * 2));
    }

    private get seatPx(): number {
        return this.seatR * 2 * this.view.scale;
    }

    get choosable(): boolean {
        return this.seatPx >= CHOOSABLE_PX - 0.01;
    }

    fit(): void {
        this.flyTo(this.store.geometry.bounds);
    }

    showZone(zone: number): void {
        const section = this.store.geometry.byZone.get(zone);
        if (section) this.flyTo(section.box, CHOOSABLE_PX + 4);
    }

    /** Bring one seat into view, near enough to be chosen. */
    showSeat(seat: number): void {
        const scale = Math.max(this.view.scale, (CHOOSABLE_PX + 4) / (this.seatR * 2));
        this.fly(this.around(this.store.plan.x[seat] ?? 0, this.store.plan.y[seat] ?? 0, scale));
    }

    zoom(factor: number, px = this.width / 2, py = this.height / 2, soft = true): void {
        const scale = Math.min(this.maxScale, Math.max(this.fitScale, this.view.scale * factor));
        const x = this.view.x + px / this.view.scale;
        const y = this.view.y + py / this.view.scale;
        const target = this.clamp({ scale, x: x - px / scale, y: y - py / scale });
        if (soft) this.fly(target);
        else this.setView(target);
    }

    pan(dx: number, dy: number, soft = false): void {
        const target = this.clamp({ scale: this.view.scale, x: this.view.x - dx / this.view.scale, y: this.view.y - dy / this.view.scale });
        if (soft) this.fly(target);
        else this.setView(target);
    }

    private around(x: number, y: number, scale: number): View {
        const s = Math.min(this.maxScale, scale);
        return this.clamp({ scale: s, x: x - this.width / 2 / s, y: y - this.height / 2 / s });
    }

    private flyTo(box: Box, maxSeatPx = SEAT_MAX_PX): void {
        if (this.width === 0) return;
        const scale = Math.min(this.width / (box.right - box.left), this.height / (box.bottom - box.top)) * 0.94;
        const limit = Math.max(this.fitScale, maxSeatPx / (this.seatR * 2));
        this.fly(this.around((box.left + box.right) / 2, (box.top + box.bottom) / 2, Math.max(this.fitScale, Math.min(scale, limit))));
    }

    /** The plan never leaves the view; where it is smaller than the view it stands in the middle. */
    private clamp(view: View): View {
        const { left, top, right, bottom } = this.store.geometry.bounds;
        const axis = (at: number, from: number, to: number, size: number): number => {
            const visible = size / view.scale;
            const slack = visible * 0.25;
            if (visible >= to - from) return (from + to) / 2 - visible / 2;
            return Math.min(to - visible + slack, Math.max(from - slack, at));
        };
        return { scale: view.scale, x: axis(view.x, left, right, this.width), y: axis(view.y, top, bottom, this.height) };
    }

    private setView(view: View): void {
        cancelAnimationFrame(this.flight);
        this.view = view;
        this.dirty();
        this.hooks.onView({ zoomed: view.scale > this.fitScale * 1.02, choosable: this.choosable });
    }

    private fly(target: View): void {
        cancelAnimationFrame(this.flight);
        if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
            this.setView(target);
            return;
        }
        const from = this.view;
        const start = performance.now();
        const cx = (v: View): number => v.x + this.width / 2 / v.scale;
        const cy = (v: View): number => v.y + this.height / 2 / v.scale;
        const step = (now: number): void => {
            const t = Math.min(1, Math.max(0, (now - start) / 320));
            if (t >= 1) {
                this.setView(target);
                return;
            }
            const e = 1 - (1 - t) ** 3;
            const scale = from.scale * (target.scale / from.scale) ** e;
            // The centre moves as the scale does, so that the flight follows a straight line on the screen.
            const m = target.scale === from.scale ? e : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / target.scale);
            const x = cx(from) + (cx(target) - cx(from)) * m;
            const y = cy(from) + (cy(target) - cy(from)) * m;
            this.setView({ scale, x: x - this.width / 2 / scale, y: y - this.height / 2 / scale });
            this.flight = requestAnimationFrame(step);
        };
        this.flight = requestAnimationFrame(step);
    }

    private resize(): void {
        const { clientWidth, clientHeight } = this.canvas;
        if (clientWidth === 0 || clientHeight === 0) return;
        const first = this.width === 0;
        const middle = first ? null : { x: this.view.x + this.width / 2 / this.view.scale, y: this.view.y + this.height / 2 / this.view.scale };
        const fitted = first || this.view.scale <= this.fitScale * 1.02;
        this.width = clientWidth;
        this.height = clientHeight;
        this.dpr = Math.min(2, devicePixelRatio || 1);
        this.canvas.width = Math.round(clientWidth * this.dpr);
        this.canvas.height = Math.round(clientHeight * this.dpr);
        const { left, right, top, bottom } = this.store.geometry.bounds;
        if (fitted || !middle) this.setView(this.around((left + right) / 2, (top + bottom) / 2, this.fitScale));
        else this.setView(this.around(middle.x, middle.y, Math.max(this.fitScale, this.view.scale)));
        this.draw(); // a resized canvas is empty: not one frame of that
    }

    // ---- what lies where ----

    planPoint(px: number, py: number): { x: number; y: number } {
        return { x: this.view.x + px / this.view.scale, y: this.view.y + py / this.view.scale };
    }

    /** Where a seat is drawn, in CSS pixels of the canvas. */
    seatPoint(seat: number): { x: number; y: number } {
        return { x: ((this.store.plan.x[seat] ?? 0) - this.view.x) * this.view.scale, y: ((this.store.plan.y[seat] ?? 0) - this.view.y) * this.view.scale };
    }

    seatAt(px: number, py: number): number {
        const { x, y } = this.planPoint(px, py);
        const reach = Math.max(this.seatR, 12 / this.view.scale);
        let best = -1;
        let nearest = reach * reach;
        forSeatsIn(this.store.geometry, { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach }, (seat) => {
            const d = ((this.store.plan.x[seat] ?? 0) - x) ** 2 + ((this.store.plan.y[seat] ?? 0) - y) ** 2;
            if (d <= nearest) {
                nearest = d;
                best = seat;
            }
        });
        return best;
    }

    sectionAt(px: number, py: number): Section | null {
        const { x, y } = this.planPoint(px, py);
        const within = this.store.geometry.sections.filter(({ box, hull }) =>
            x >= box.left && x <= box.right && y >= box.top && y <= box.bottom && insideOutline(hull, x, y));
        return within.sort((a, b) => a.seats.length - b.seats.length)[0] ?? null;
    }

    areaAt(px: number, py: number): number {
        const { x, y } = this.planPoint(px, py);
        return this.store.plan.areas.findIndex(({ shape }) => {
            if (shape.kind === 'polygon') return insideOutline([...shape.points], x, y);
            const [cx = 0, cy = 0, rx = 1, ry = 1] = shape.points;
            return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1;
        });
    }

    tap(px: number, py: number): void {
        const seat = this.seatAt(px, py);
        if (seat >= 0 && this.choosable) {
            this.hooks.onSeat(seat);
            return;
        }
        if (this.choosable) return;
        const section = seat >= 0 ? (this.store.geometry.byZone.get(this.store.zoneOf(seat)) ?? null) : this.sectionAt(px, py);
        if (section) {
            this.hooks.onZone(section.zone);
            const target = Math.min(this.width / (section.box.right - section.box.left), this.height / (section.box.bottom - section.box.top)) * 0.9;
            const point = this.planPoint(px, py);
            // The first tap shows the section, the next one the seats around the finger.
            if (this.view.scale < target * 0.8) this.showZone(section.zone);
            else this.fly(this.around(point.x, point.y, (CHOOSABLE_PX + 6) / (this.seatR * 2)));
            return;
        }
        const area = this.areaAt(px, py);
        if (area >= 0) this.hooks.onArea(area);
    }

    hover(px: number, py: number): void {
        const seat = this.choosable ? this.seatAt(px, py) : -1;
        const section = seat >= 0 ? null : this.sectionAt(px, py);
        if (section !== this.hovered) {
            this.hovered = section;
            this.dirty();
        }
        if (seat >= 0) this.hooks.onHover({ seat }, px, py);
        else if (section && !this.choosable) this.hooks.onHover({ zone: section.zone }, px, py);
        else {
            const area = section ? -1 : this.areaAt(px, py);
            this.hooks.onHover(area >= 0 ? { area } : null, px, py);
        }
    }

    leave(): void {
        this.hovered = null;
        this.hooks.onHover(null, 0, 0);
        this.dirty();
    }

    // ---- drawing ----

    private readTheme(): void {
        // A canvas cannot resolve light-dark(): an element can.
        const probe = document.createElement('i');
        this.canvas.parentElement?.append(probe);
        const read = (name: string): string => {
            probe.style.color = `var(--${name})`;
            return getComputedStyle(probe).color;
        };
        this.theme = { paper: read('paper'), card: read('card'), ink: read('ink'), soft: read('soft'), line: read('line'), accent: read('accent') };
        probe.remove();
    }

    private dirty(): void {
        if (this.frame) return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            this.draw();
        });
    }

    private categoryColor(seat: number): Color {
        return this.store.plan.categories[this.store.plan.category[seat] ?? 0]?.color ?? { r: 128, g: 128, b: 128 };
    }

    private drawBitmap(): void {
        const { bounds } = this.store.geometry;
        const size = Math.max(bounds.right - bounds.left, bounds.bottom - bounds.top);
        this.bitmapScale = BITMAP_PX / size;
        this.bitmap.width = Math.max(1, Math.ceil((bounds.right - bounds.left) * this.bitmapScale));
        this.bitmap.height = Math.max(1, Math.ceil((bounds.bottom - bounds.top) * this.bitmapScale));
        const c = this.bitmap.getContext('2d');
        if (c) for (let seat = 0; seat < this.store.plan.seats; seat++) this.drawDot(c, seat);
    }

    private drawDot(c: CanvasRenderingContext2D, seat: number): void {
        const { bounds } = this.store.geometry;
        const size = Math.max(1, Math.round(this.store.geometry.spacing * 0.94 * this.bitmapScale));
        const x = Math.round(((this.store.plan.x[seat] ?? 0) - bounds.left) * this.bitmapScale - size / 2);
        const y = Math.round(((this.store.plan.y[seat] ?? 0) - bounds.top) * this.bitmapScale - size / 2);
        c.fillStyle = this.store.state(seat) === FREE ? css(this.categoryColor(seat)) : this.theme.line;
        c.fillRect(x, y, size, size);
    }

    private draw(): void {
        const c = this.context;
        const { scale } = this.view;
        c.setTransform(1, 0, 0, 1, 0, 0);
        c.fillStyle = this.theme.card;
        c.fillRect(0, 0, this.canvas.width, this.canvas.height);
        c.setTransform(this.dpr * scale, 0, 0, this.dpr * scale, -this.view.x * scale * this.dpr, -this.view.y * scale * this.dpr);
        for (const { shape } of this.store.plan.decorations) this.drawShape(c, shape, 0.3);
        for (const { shape } of this.store.plan.areas) this.drawShape(c, shape, 0.8);
        this.drawSections(c);

        const box = { left: this.view.x, top: this.view.y, right: this.view.x + this.width / scale, bottom: this.view.y + this.height / scale };
        const visible = (this.width * this.height) / (this.store.geometry.spacing * scale) ** 2;
        if (this.seatPx >= DETAIL_PX && visible <= DETAIL_SEATS_MAX) this.drawSeats(c, box);
        else {
            c.imageSmoothingEnabled = this.bitmapScale > (scale * this.dpr) / 1.6;
            c.drawImage(this.bitmap, this.store.geometry.bounds.left, this.store.geometry.bounds.top, this.bitmap.width / this.bitmapScale, this.bitmap.height / this.bitmapScale);
            this.drawChosenFar(c);
        }
        c.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
        this.drawLabels(c, box);
    }

    private path(c: CanvasRenderingContext2D, points: ArrayLike<number>): void {
        c.beginPath();
        for (let i = 0; i < points.length; i += 2) {
            if (i === 0) c.moveTo(points[i] ?? 0, points[i + 1] ?? 0);
            else c.lineTo(points[i] ?? 0, points[i + 1] ?? 0);
        }
        c.closePath();
    }

    private drawShape(c: CanvasRenderingContext2D, shape: Shape, alpha: number): void {
        if (shape.kind === 'ellipse') {
            const [x = 0, y = 0, rx = 0, ry = 0] = shape.points;
            c.beginPath();
            c.ellipse(x, y, Math.abs(rx), Math.abs(ry), 0, 0, 2 * Math.PI);
        } else this.path(c, shape.points);
        c.globalAlpha = alpha;
        c.fillStyle = css(shape.color);
        c.fill();
        c.globalAlpha = 1;
    }

    private drawSections(c: CanvasRenderingContext2D): void {
        const many = this.store.geometry.sections.length > 1;
        for (const section of this.store.geometry.sections) {
            const strong = section === this.hovered || section.zone === this.marked;
            if (!many) continue;
            this.path(c, section.hull);
            c.fillStyle = strong ? this.theme.line : this.theme.paper;
            c.fill();
            if (!strong) continue;
            c.lineWidth = 2 / this.view.scale;
            c.strokeStyle = this.theme.ink;
            c.stroke();
        }
    }

    /** Far away a chosen seat would be a speck: it gets a mark of its own. */
    private drawChosenFar(c: CanvasRenderingContext2D): void {
        for (const seat of this.chosen) {
            c.beginPath();
            c.arc(this.store.plan.x[seat] ?? 0, this.store.plan.y[seat] ?? 0, 5 / this.view.scale, 0, 2 * Math.PI);
            c.fillStyle = this.theme.ink;
            c.fill();
            c.lineWidth = 2 / this.view.scale;
            c.strokeStyle = this.theme.card;
            c.stroke();
        }
    }

    private sprite(kind: number, px: number): HTMLCanvasElement {
        if (px !== this.spritePx) {
            this.sprites.clear();
            this.spritePx = px;
        }
        const known = this.sprites.get(kind);
        if (known) return known;
        const made = document.createElement('canvas');
        made.width = made.height = px;
        const c = made.getContext('2d');
        if (c) this.paintSprite(c, kind, px);
        this.sprites.set(kind, made);
        return made;
    }

    /** kind: category * 8 + state, or + 4 when chosen. */
    private paintSprite(c: CanvasRenderingContext2D, kind: number, px: number): void {
        const state = kind & 7;
        const color = this.store.plan.categories[kind >> 3]?.color ?? { r: 128, g: 128, b: 128 };
        const r = px / 2;
        const circle = (radius: number): void => {
            c.beginPath();
            c.arc(r, r, radius, 0, 2 * Math.PI);
        };
        if (state === 4) {
            c.fillStyle = this.theme.ink;
            c.beginPath();
            c.roundRect(0, 0, px, px, px * 0.22);
            c.fill();
            c.strokeStyle = this.theme.card;
            c.lineWidth = Math.max(1.5, px * 0.13);
            c.beginPath();
            c.moveTo(px * 0.25, px * 0.54);
            c.lineTo(px * 0.43, px * 0.72);
            c.lineTo(px * 0.77, px * 0.32);
            c.stroke();
        } else if (state === FREE) {
            circle(r);
            c.fillStyle = css(color);
            c.fill();
        } else if (state === HELD) {
            c.strokeStyle = this.theme.soft;
            c.lineWidth = Math.max(1, px * 0.09);
            c.setLineDash([px * 0.2, px * 0.14]);
            circle(r * 0.72);
            c.stroke();
        } else {
            circle(r * 0.62);
            c.fillStyle = this.theme.line;
            c.fill();
            if (px >= 16) {
                c.strokeStyle = this.theme.soft;
                c.lineWidth = Math.max(1, px * 0.06);
                c.beginPath();
                c.moveTo(px * 0.37, px * 0.37);
                c.lineTo(px * 0.63, px * 0.63);
                c.moveTo(px * 0.63, px * 0.37);
                c.lineTo(px * 0.37, px * 0.63);
                c.stroke();
            }
        }
    }

    private drawSeats(c: CanvasRenderingContext2D, box: Box): void {
        const { plan } = this.store;
        const px = Math.max(2, Math.round(this.seatPx * this.dpr));
        const scale = this.view.scale * this.dpr;
        const numbered = this.choosable;
        c.setTransform(1, 0, 0, 1, 0, 0);
        c.imageSmoothingEnabled = false;
        const texts: number[] = [];
        forSeatsIn(this.store.geometry, box, (seat) => {
            const x = ((plan.x[seat] ?? 0) - this.view.x) * scale;
            const y = ((plan.y[seat] ?? 0) - this.view.y) * scale;
            if (x < -px || y < -px || x > this.canvas.width + px || y > this.canvas.height + px) return;
            const state = this.chosen.has(seat) ? 4 : this.store.state(seat);
            c.drawImage(this.sprite((plan.category[seat] ?? 0) * 8 + state, px), Math.round(x - px / 2), Math.round(y - px / 2));
            if (numbered && state === FREE) texts.push(seat);
        });
        if (!numbered) return;
        c.font = `600 ${Math.round(px * 0.4)}px system-ui, sans-serif`;
        c.textAlign = 'center';
        c.textBaseline = 'middle';
        for (const seat of texts) {
            c.fillStyle = light(this.categoryColor(seat)) ? '#1d1916' : '#fff';
            const label = seatLabel(rowOfSeat(plan, seat), seat);
            c.fillText(label, ((plan.x[seat] ?? 0) - this.view.x) * scale, ((plan.y[seat] ?? 0) - this.view.y) * scale + px * 0.03, px * 0.9);
        }
    }

    private label(c: CanvasRenderingContext2D, text: string, x: number, y: number, px: number, width: number): void {
        c.font = `700 ${px}px system-ui, sans-serif`;
        c.textAlign = 'center';
        c.textBaseline = 'middle';
        if (c.measureText(text).width > width) return;
        c.lineWidth = 4;
        c.lineJoin = 'round';
        c.strokeStyle = this.theme.card;
        c.strokeText(text, x, y);
        c.fillStyle = this.theme.ink;
        c.fillText(text, x, y);
    }

    private drawLabels(c: CanvasRenderingContext2D, box: Box): void {
        const { plan, geometry } = this.store;
        const { scale } = this.view;
        const at = (x: number, y: number): [number, number] => [(x - this.view.x) * scale, (y - this.view.y) * scale];
        for (const { shape, label } of plan.decorations) if (label) this.shapeLabel(c, shape, label, 15);
        plan.areas.forEach((area) => this.shapeLabel(c, area.shape, area.name, 14));
        if (this.seatPx < 12 && geometry.sections.length > 1) {
            const drawn: [x: number, y: number, halfWidth: number][] = [];
            for (const { zone, box: b, seats } of geometry.sections) {
                if (b.right < box.left || b.left > box.right || b.bottom < box.top || b.top > box.bottom) continue;
                // Slanted sections have large boxes: what their seats cover says how large a name may be.
                const side = Math.sqrt(seats.length) * geometry.spacing * scale;
                if (side < 20) continue;
                const px = Math.min(18, Math.max(10, side / 3));
                const [x, y] = at((b.left + b.right) / 2, (b.top + b.bottom) / 2);
                const name = plan.zones[zone] ?? '';
                const half = name.length * px * 0.32;
                if (drawn.some(([ox, oy, oh]) => Math.abs(ox - x) < oh + half + 2 && Math.abs(oy - y) < px + 3)) continue;
                drawn.push([x, y, half]);
                this.label(c, name, x, y, px, Math.max(side * 1.8, (b.right - b.left) * scale));
            }
        }
        if (this.seatPx < 14) return;
        // Rows by their letter, before the first seat of each.
        const px = Math.min(18, this.seatPx * 0.6);
        for (const row of plan.rows) {
            const x = plan.x[row.first] ?? 0;
            const y = plan.y[row.first] ?? 0;
            if (x < box.left - geometry.spacing || x > box.right || y < box.top || y > box.bottom) continue;
            const dx = row.seats > 1 ? (plan.x[row.first + 1] ?? x) - x : geometry.spacing;
            const dy = row.seats > 1 ? (plan.y[row.first + 1] ?? y) - y : 0;
            this.label(c, row.label, ...at(x - dx, y - dy), px, this.seatPx * 1.6);
        }
    }

    private shapeLabel(c: CanvasRenderingContext2D, shape: Shape, text: string, px: number): void {
        let x = shape.points[0] ?? 0;
        let y = shape.points[1] ?? 0;
        let width = (shape.points[2] ?? 0) * 2;
        if (shape.kind === 'polygon') {
            const xs = [...shape.points].filter((_, i) => i % 2 === 0);
            const ys = [...shape.points].filter((_, i) => i % 2 === 1);
            x = (Math.min(...xs) + Math.max(...xs)) / 2;
            y = (Math.min(...ys) + Math.max(...ys)) / 2;
            width = Math.max(...xs) - Math.min(...xs);
        }
        this.label(c, text, (x - this.view.x) * this.view.scale, (y - this.view.y) * this.view.scale, px, width * this.view.scale);
    }
}
