// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem, problemOf, sentence } from './api';
import { countdown, money, parseMinor, wallClock, zonedToUtc } from './format';
import { encodeId, isId, makeId } from './id';
import { Presence } from './presence';
import { normaliseCode } from './scan-code';

test('an id is the time and 80 random bits in 26 characters', () => {
    assert.equal(encodeId('ord', new Uint8Array(16)), `ord_${'0'.repeat(26)}`);
    assert.equal(encodeId('ord', new Uint8Array(16).fill(255)), `ord_7${'z'.repeat(25)}`);
    assert.ok(isId('hld', makeId('hld')));
    assert.notEqual(makeId('hld', 5), makeId('hld', 5));
    // 2^48 - 1 ms and 0 ms differ in the first ten characters only.
    assert.equal(makeId('acc', 0).slice(0, 13), 'acc_000000000');
    assert.ok(makeId('acc', 1_000) < makeId('acc', 2_000));
});

test('what is not an id of the kind is not asked for', () => {
    const good = makeId('evt');
    assert.ok(isId('evt', good));
    for (const bad of [undefined, '', 'evt_', good.toUpperCase(), `${good}0`, good.slice(0, -1), good.replace('evt', 'ord'),
        `evt_8${good.slice(5)}`, `evt_../${good.slice(7)}`]) assert.equal(isId('evt', bad), false, String(bad));
});

test('money is shown with the digits of its currency and read back without floating point', () => {
    assert.match(money(4250, 'EUR'), /42\.50/);
    assert.match(money(4250, 'JPY'), /4,250/);
    assert.equal(parseMinor('45', 'EUR'), 4500);
    assert.equal(parseMinor('45,5', 'EUR'), 4550);
    assert.equal(parseMinor('0.07', 'EUR'), 7);
    assert.equal(parseMinor('45', 'JPY'), 45);
    for (const bad of ['', '-1', '1.234', '1e3', '4 5', 'abc', '45.', '9999999999']) assert.equal(parseMinor(bad, 'EUR'), null, bad);
    assert.equal(parseMinor('1.5', 'JPY'), null);
});

test('a wall clock becomes UTC on both sides of a clock change', () => {
    assert.equal(zonedToUtc('2027-06-12T20:00', 'Europe/Berlin'), '2027-06-12T18:00:00Z');
    assert.equal(zonedToUtc('2027-12-12T20:00', 'Europe/Berlin'), '2027-12-12T19:00:00Z');
    assert.equal(zonedToUtc('2027-03-28T03:30', 'Europe/Berlin'), '2027-03-28T01:30:00Z');
    assert.equal(zonedToUtc('2027-06-12T20:00', 'America/New_York'), '2027-06-13T00:00:00Z');
    assert.equal(zonedToUtc('tomorrow', 'Europe/Berlin'), null);
    assert.equal(wallClock('Europe/Berlin', Date.UTC(2027, 5, 12, 18, 0)), '2027-06-12T20:00');
    assert.equal(wallClock('Mars/Olympus', Date.UTC(2027, 5, 12, 18, 0)), '2027-06-12T18:00');
});

test('a countdown never shows less than nothing', () => {
    assert.equal(countdown(581_000), '9:41');
    assert.equal(countdown(1), '0:01');
    assert.equal(countdown(-5), '0:00');
});

test('a problem speaks to people, whatever the body is', () => {
    const taken = problemOf(409, { type: '/problems/seat_taken', title: 'x', errors: [{ detail: 'd', pointer: '#/places/1' }] }, null);
    assert.equal(taken.slug, 'seat_taken');
    assert.match(taken.message, /faster/);
    assert.deepEqual(taken.errors, [{ detail: 'd', pointer: '#/places/1' }]);
    assert.equal(problemOf(422, { type: '/problems/other', detail: 'Say it so.' }, null).message, 'Say it so.');
    assert.equal(problemOf(503, null, '2').retryAfterMs, 2000);
    for (const odd of [null, 'text', 5, [], { type: 3, errors: 'no' }, { errors: [null, 1, {}] }]) {
        assert.ok(problemOf(500, odd, 'soon').message.length > 10);
    }
    assert.equal(sentence(new Problem(400, 'x', 'Words.')), 'Words.');
    assert.match(sentence(new TypeError('undefined is not')), /went wrong/);
});

test('a code held to the camera is one scan; shown again, or after Next, it is another', () => {
    const presence = new Presence();
    assert.equal(presence.seen('A', 0), true);
    for (let ms = 100; ms < 5_000; ms += 100) assert.equal(presence.seen('A', ms), false);
    assert.equal(presence.seen('A', 6_000), true, 'left the view for a second');
    assert.equal(presence.seen('B', 6_100), true, 'another code at once');
    presence.rearm(6_200);
    assert.equal(presence.seen('B', 6_300), false, 'time to take the phone away');
    assert.equal(presence.seen('C', 6_350), true, 'but another one counts at once');
    assert.equal(presence.seen('B', 7_500), true);
});

test('typed codes keep the blanks that belong to them', () => {
    assert.equal(normaliseCode('  gh1:ab12cd'), 'GH1:AB12CD');
    assert.equal(normaliseCode('GH1:AB12C \r\n'), 'GH1:AB12C ', 'six characters: the blank is part of it');
    assert.equal(normaliseCode('GH1:AB12CD '), 'GH1:AB12CD', 'seven cannot be');
    assert.equal(normaliseCode(' https://example.org \n'), 'https://example.org');
    assert.equal(normaliseCode('x'.repeat(5000)).length, 1000);
    assert.equal(normaliseCode('€'.repeat(5000)).length, 333, 'bytes, not characters');
    assert.equal(normaliseCode('a\u0000b\u001bc\ud800'), 'abc\ufffd');
});
