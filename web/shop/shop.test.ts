// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePlan, stadium, theatre } from '../dev/encode.mjs';
import { parsePlan } from '../shared/plan';
import { checkoutAddress, safeNext } from '../shared/urls';
import { readBasket, saveBasket } from './basket';
import { convexHull, forSeatsIn, insideOutline, makeGeometry } from './geometry';
import { loneSeats } from './seats';

test('after a sign-in the way leads to our own paths only', () => {
    assert.equal(safeNext('/e/evt_01abc', '/x'), '/e/evt_01abc');
    assert.equal(safeNext('/tickets?a=b', '/x'), '/tickets?a=b');
    for (const bad of [null, '', 'https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/a\nb', '/%2f/evil', 'tickets']) {
        assert.equal(safeNext(bad, '/x'), '/x', String(bad));
    }
});

test('a payment page is HTTPS, or this very machine', () => {
    assert.equal(checkoutAddress('https://pay.example/c/1'), 'https://pay.example/c/1');
    assert.equal(checkoutAddress('http://127.0.0.1:8443/c'), 'http://127.0.0.1:8443/c');
    for (const bad of [null, '', 'http://pay.example/', 'javascript:alert(1)', 'data:text/html,x', '/orders/1', 'http://localhost.evil.example/']) {
        assert.equal(checkoutAddress(bad), null, String(bad));
    }
});

test('the grid finds exactly the seats of a view', () => {
    const plan = parsePlan(encodePlan(stadium(8_000)));
    const g = makeGeometry(plan);
    const box = { left: 1200, right: 2200, top: 1000, bottom: 1900 };
    const within = (s: number): boolean => (plan.x[s] ?? 0) >= box.left && (plan.x[s] ?? 0) <= box.right && (plan.y[s] ?? 0) >= box.top && (plan.y[s] ?? 0) <= box.bottom;
    const found = new Set<number>();
    let visits = 0;
    forSeatsIn(g, box, (seat) => {
        visits++;
        found.add(seat);
    });
    assert.equal(found.size, visits, 'none twice');
    for (let s = 0; s < plan.seats; s++) if (within(s)) assert.ok(found.has(s), `seat ${s}`);
    assert.ok(visits < plan.seats / 2, 'and not all of them');
    forSeatsIn(g, { left: -1e9, right: -1e8, top: -1e9, bottom: -1e8 }, () => undefined);
});

test('every seat lies inside the outline of its section', () => {
    const plan = parsePlan(encodePlan(theatre()));
    const g = makeGeometry(plan);
    assert.equal(g.sections.length, 2);
    for (const section of g.sections) for (const s of section.seats) assert.ok(insideOutline(section.hull, plan.x[s] ?? 0, plan.y[s] ?? 0));
    assert.equal(insideOutline(g.sections[0]?.hull ?? [], -500, -500), false);
    assert.deepEqual(convexHull([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2], [2, 0]]).length, 4);
});

test('a plan without seats has a view all the same', () => {
    const g = makeGeometry(parsePlan(encodePlan({ width: 10, height: 10, categories: [], zones: [], rows: [], areas: [], decorations: [] })));
    assert.ok(g.bounds.right > g.bounds.left);
    assert.equal(g.sections.length, 0);
});

test('a single seat left between choices is seen, two are not', () => {
    const seats = [0, 1, 2, 3, 4].map((i) => ({ x: i * 20, y: 0, category: 0, number: String(i + 1) }));
    const plan = parsePlan(encodePlan({ width: 200, height: 20, categories: [{ name: 'A', r: 0, g: 0, b: 0 }], zones: ['Z'], rows: [{ zone: 0, label: 'A', seats }], areas: [], decorations: [] }));
    const free = (): boolean => true;
    assert.deepEqual(loneSeats(plan, 20, new Set([1]), free), [0]);
    assert.deepEqual(loneSeats(plan, 20, new Set([0, 1]), free), []);
    assert.deepEqual(loneSeats(plan, 20, new Set([2]), free), []);
    assert.deepEqual(loneSeats(plan, 20, new Set([1, 3]), free).sort(), [0, 2, 4]);
    assert.deepEqual(loneSeats(plan, 20, new Set([1]), (seat) => seat !== 0), [], 'taken is not left over');
});

test('what the tab remembers is read back, and nonsense is forgotten', () => {
    const kept = new Map<string, string>();
    Object.assign(globalThis, { sessionStorage: { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v) } });
    saveBasket('e', { chosen: [3, 4], count: 3, wish: { kind: 'best', category: 0, count: 2 }, hold: null });
    assert.deepEqual(readBasket('e'), { chosen: [3, 4], count: 3, wish: { kind: 'best', category: 0, count: 2 }, hold: null });
    for (const bad of ['', 'null', '[]', '{', '{"chosen":"x","wish":{"kind":"places","places":["1"]},"hold":"../x","count":-1}']) {
        kept.set('basket:e', bad);
        assert.deepEqual(readBasket('e'), { chosen: [], count: 2, wish: null, hold: null }, bad);
    }
});
