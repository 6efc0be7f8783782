// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyDelta, Availability, BLOCKED, FREE, HELD, parseAvailability, parseDelta, TAKEN } from './availability';
import { FormatError } from './reader';

function packed(version: bigint, states: number[], extra = 0): Uint8Array {
    const out = new Uint8Array(16 + ((states.length + 3) >> 2) + extra);
    out.set([0x47, 0x48, 0x41, 0x31]);
    const view = new DataView(out.buffer);
    view.setBigUint64(4, version);
    view.setUint32(12, states.length);
    states.forEach((state, i) => (out[16 + (i >> 2)] = (out[16 + (i >> 2)] ?? 0) | (state << ((i & 3) * 2))));
    return out;
}

test('place 0 is in the low bits of the first byte', () => {
    const map = parseAvailability(packed(7n, [HELD, FREE, TAKEN, BLOCKED, TAKEN]));
    assert.equal(map.version, 7);
    assert.deepEqual([0, 1, 2, 3, 4].map((place) => map.state(place)), [HELD, FREE, TAKEN, BLOCKED, TAKEN]);
    assert.equal(map.free(0, 5), 1);
    assert.throws(() => map.state(5), RangeError);
});

test('a map that is too short, too long, mislabelled or beyond counting is refused', () => {
    const good = packed(1n, [0, 1, 2]);
    assert.throws(() => parseAvailability(good.subarray(0, 16)), FormatError);
    assert.throws(() => parseAvailability(packed(1n, [0, 1, 2], 1)), FormatError);
    assert.throws(() => parseAvailability(packed(1n << 60n, [0])), FormatError);
    const wrong = good.slice();
    wrong[0] = 0x48;
    assert.throws(() => parseAvailability(wrong), FormatError);
    const stray = good.slice();
    stray[16] = 0xff;
    assert.throws(() => parseAvailability(stray), FormatError);
    const huge = good.slice();
    new DataView(huge.buffer).setUint32(12, 0xffffffff);
    assert.throws(() => parseAvailability(huge), FormatError);
});

test('changes apply in order, and an old one is passed over', () => {
    const map = new Availability(5, 8, new Uint8Array(2));
    assert.deepEqual(applyDelta(map, { v: 6, s: [[3, TAKEN], [7, HELD]] }), [3, 7]);
    assert.equal(map.state(3), TAKEN);
    assert.equal(map.state(2), FREE);
    assert.deepEqual(applyDelta(map, { v: 6, s: [[3, FREE]] }), []);
    assert.equal(map.state(3), TAKEN);
    assert.deepEqual(applyDelta(map, { v: 9, s: [[3, FREE]] }), [3]);
    assert.equal(map.version, 9);
});

test('a change that is not one is null', () => {
    assert.deepEqual(parseDelta('{"v":2,"s":[[0,1]]}', 4), { v: 2, s: [[0, 1]] });
    for (const bad of ['', '[]', 'null', '{"v":2}', '{"v":"2","s":[]}', '{"v":2,"s":[[4,1]]}', '{"v":2,"s":[[-1,1]]}',
        '{"v":2,"s":[[0,4]]}', '{"v":2,"s":[[0]]}', '{"v":2,"s":[["0",1]]}', '{"v":2,"s":[[0.5,1]]}']) {
        assert.equal(parseDelta(bad, 4), null, bad);
    }
});
