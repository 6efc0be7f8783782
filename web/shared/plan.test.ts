// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePlan, stadium, theatre } from '../dev/encode.mjs';
import { FormatError } from './reader';
import { parsePlan, placeName, seatLabel, type Plan } from './plan';

const small = (): Record<string, unknown> => ({
    width: 400, height: 300,
    categories: [{ name: 'Stalls', r: 1, g: 2, b: 3 }, { name: 'Bälcony', r: 4, g: 5, b: 6 }],
    zones: ['Left', 'Right'],
    rows: [
        { zone: 0, label: 'A', seats: [{ x: 10, y: 10, category: 0, number: '1' }, { x: 20.25, y: 10, category: 0, number: '2' }] },
        { zone: 1, label: 'B', seats: [{ x: 10, y: 40, category: 0, number: '7b' }, { x: 900, y: -40, category: 1, number: '9' }] },
    ],
    areas: [{ zone: 1, name: 'Floor', category: 1, slots: 30, shape: { kind: 1, r: 9, g: 9, b: 9, points: [[5, 5], [2, 3]] } }],
    decorations: [{ shape: { kind: 0, r: 0, g: 0, b: 0, points: [[0, 0], [4, 0], [4, 4]] }, label: 'Stage' }],
});
const bytes = (): Uint8Array => encodePlan(small());

test('a plan is read back as it was packed, counted and named rows alike', () => {
    const plan: Plan = parsePlan(bytes());
    assert.equal(plan.places, 34);
    assert.equal(plan.seats, 4);
    assert.deepEqual([...plan.x], [10, 20.25, 10, 900]);
    assert.deepEqual([...plan.y], [10, 10, 40, -40]);
    assert.deepEqual([...plan.category], [0, 0, 0, 1]);
    assert.equal(plan.categories[1]?.name, 'Bälcony');
    assert.deepEqual(placeName(plan, 1), { zone: 'Left', row: 'A', seat: '2' });
    assert.deepEqual(placeName(plan, 2), { zone: 'Right', row: 'B', seat: '7b' });
    assert.equal(plan.areas[0]?.first, 4);
    assert.equal(plan.areas[0]?.slots, 30);
    assert.equal(plan.decorations[0]?.label, 'Stage');
});

test('80,000 seats are read, each in its own row', () => {
    const plan = parsePlan(encodePlan(stadium(80_000)));
    assert.equal(plan.seats, 80_000);
    const last = plan.rows[plan.rows.length - 1];
    assert.ok(last);
    assert.equal(last.first + last.seats, 80_000);
    assert.equal(seatLabel(last, last.first), '1');
});

test('a theatre with an area keeps seats and slots apart', () => {
    const plan = parsePlan(encodePlan(theatre()));
    assert.ok(plan.seats > 100);
    assert.ok(plan.areas.every((area) => area.first >= plan.seats));
});

test('every shortened plan is refused, and so is one with bytes left over', () => {
    const whole = bytes();
    for (let length = 0; length < whole.length; length++) {
        assert.throws(() => parsePlan(whole.subarray(0, length)), FormatError, `length ${length}`);
    }
    const longer = new Uint8Array(whole.length + 1);
    longer.set(whole);
    assert.throws(() => parsePlan(longer), FormatError);
});

test('one changed byte anywhere gives a plan or a refusal, never a crash or a long loop', () => {
    const whole = bytes();
    for (let at = 0; at < whole.length; at++) {
        for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
            const changed = whole.slice();
            changed[at] = value;
            try {
                parsePlan(changed);
            } catch (error) {
                assert.ok(error instanceof FormatError, `${at}: ${String(error)}`);
            }
        }
    }
});

test('totals that lie are refused before anything is allocated', () => {
    const huge = bytes();
    new DataView(huge.buffer).setUint32(4, 0xffffffff);
    assert.throws(() => parsePlan(huge), /places/);
    const more = bytes();
    new DataView(more.buffer).setUint32(8, 35);
    assert.throws(() => parsePlan(more), FormatError);
    const fewer = bytes();
    new DataView(fewer.buffer).setUint32(8, 3);
    assert.throws(() => parsePlan(fewer), FormatError);
});

test('an area that lies on seats, or past the places, is refused', () => {
    const plan = small();
    assert.throws(() => parsePlan(encodePlan(plan, { areaFirst: 1 })), FormatError);
    assert.throws(() => parsePlan(encodePlan(plan, { areaFirst: 5 })), FormatError);
});
