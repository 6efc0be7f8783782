// SPDX-License-Identifier: Apache-2.0
//
// pointer - fingers, mouse, wheel and keys on the map. Everything that dragging and pinching do, the buttons beside the map
// and the keys do as well (WCAG 2.5.7).
import type { SeatMap } from './map';

const TAP_PX = 8;
const KEY_PAN_PX = 90;

export function handlePointers(canvas: HTMLCanvasElement, map: SeatMap): () => void {
    const fingers = new Map<number, { x: number; y: number }>();
    let start: { x: number; y: number } | null = null;
    let moved = false;
    const abort = new AbortController();
    const on = <K extends keyof HTMLElementEventMap>(type: K, handle: (event: HTMLElementEventMap[K]) => void, passive = true): void =>
        canvas.addEventListener(type, handle as EventListener, { signal: abort.signal, passive });
    const place = (event: PointerEvent | WheelEvent): { x: number; y: number } => {
        const box = canvas.getBoundingClientRect();
        return { x: event.clientX - box.left, y: event.clientY - box.top };
    };

    on('pointerdown', (event) => {
        if (event.pointerType === 'mouse' && event.button !== 0) return;
        canvas.setPointerCapture(event.pointerId);
        fingers.set(event.pointerId, place(event));
        if (fingers.size === 1) {
            start = place(event);
            moved = false;
        } else moved = true;
    });
    on('pointermove', (event) => {
        const at = place(event);
        const before = fingers.get(event.pointerId);
        if (!before) {
            if (event.pointerType === 'mouse') map.hover(at.x, at.y);
            return;
        }
        if (start && Math.hypot(at.x - start.x, at.y - start.y) > TAP_PX) moved = true;
        if (fingers.size === 1 && moved) map.pan(at.x - before.x, at.y - before.y);
        const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
        if (fingers.size === 2 && other) {
            const apart = Math.hypot(before.x - other.x, before.y - other.y);
            const now = Math.hypot(at.x - other.x, at.y - other.y);
            if (apart > 5) map.zoom(now / apart, (at.x + other.x) / 2, (at.y + other.y) / 2, false);
            map.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
        }
        if (fingers.size > 1 || moved) fingers.set(event.pointerId, at);
    });
    const end = (event: PointerEvent, tapped: boolean): void => {
        if (!fingers.delete(event.pointerId)) return;
        const at = place(event);
        if (tapped && !moved && fingers.size === 0) map.tap(at.x, at.y);
        if (fingers.size === 0) start = null;
    };
    on('pointerup', (event) => end(event, true));
    on('pointercancel', (event) => end(event, false));
    on('pointerleave', (event) => {
        if (event.pointerType === 'mouse' && fingers.size === 0) map.leave();
    });
    // The wheel belongs to the page until somebody has gone to the map.
    on('wheel', (event) => {
        if (!event.ctrlKey && document.activeElement !== canvas) return;
        event.preventDefault();
        const at = place(event);
        map.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), at.x, at.y, false);
    }, false);
    on('keydown', (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const moves: Record<string, () => void> = {
            ArrowLeft: () => map.pan(KEY_PAN_PX, 0, true),
            ArrowRight: () => map.pan(-KEY_PAN_PX, 0, true),
            ArrowUp: () => map.pan(0, KEY_PAN_PX, true),
            ArrowDown: () => map.pan(0, -KEY_PAN_PX, true),
            '+': () => map.zoom(1.6),
            '=': () => map.zoom(1.6),
            '-': () => map.zoom(1 / 1.6),
            '0': () => map.fit(),
        };
        const move = moves[event.key];
        if (!move) return;
        event.preventDefault();
        move();
    }, false);
    return () => abort.abort();
}
