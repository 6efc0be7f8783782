// SPDX-License-Identifier: Apache-2.0
//
// From the shop's first page to the door, in two browsers: a fan registers, picks two seats on the map of an 80,000-seat stadium, pays
// with a test card and shows the code; the camera of a second browser sees that very picture; the staff page hears of what is wrong.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { browser, enrolSecondFactor, inSeconds, lumaOf, newId, PASSWORD, watch, World, writeFilm } from './world.mjs';

const SLOW = 30_000;

test('journey', { timeout: 400_000 }, async (t) => {
    const world = await new World().start();
    const complaints = [];
    const desk = await browser();
    let door;
    t.after(async () => {
        await door?.close();
        await desk.close();
        await world.close();
    });
    const open = async (from) => {
        const context = await from.newContext({ viewport: { width: 1280, height: 900 } });
        context.setDefaultTimeout(SLOW);
        const page = await context.newPage();
        watch(page, complaints);
        return page;
    };
    const staff = await open(desk);
    const shop = await open(desk);
    let organiser, event, gate, codes, first;

    await t.test('the one-time link makes the owner, with a second factor', async () => {
        await staff.goto(world.ownerLink);
        await staff.getByTestId('name').fill('Olga Owner');
        await staff.getByTestId('mail').fill('olga@example.org');
        await staff.getByTestId('password').fill(PASSWORD);
        await staff.getByTestId('password-submit').click();
        await enrolSecondFactor(staff);
        await staff.getByTestId('organiser-name').fill('Stadium Nights');
        await staff.getByTestId('organiser-submit').click();
        await staff.getByTestId('staff-nav').waitFor();
    });

    const api = async (method, where, data) => {
        const answer = await staff.context().request.fetch(world.origin + where, { method, headers: { Origin: world.origin }, ...(data ? { data } : {}) });
        assert.ok(answer.ok(), `${method} ${where}: ${answer.status()} ${await answer.text()}`);
        return answer.json();
    };

    await t.test('a stadium of 80,000 goes on sale', async () => {
        organiser = (await api('GET', '/api/v1/organisers')).data[0].id;
        const [venue, plan] = [newId('ven'), newId('pln')];
        event = newId('evt');
        await api('POST', `/api/v1/organisers/${organiser}/venues`, { id: venue, name: 'The Bowl', address: '1 Loop Road', time_zone: 'Europe/Berlin' });
        await api('POST', `/api/v1/organisers/${organiser}/plans`, { id: plan, venue, name: 'Bowl', generate: { kind: 'stadium', seats: 80_000, tiers: 3, sectors: 48 } });
        await api('POST', `/api/v1/organisers/${organiser}/events`, {
            id: event, venue, plan, name: 'The Final', description: 'The last match of the season.', currency: 'EUR',
            starts_at: inSeconds(3600), ends_at: inSeconds(3 * 3600), doors_at: inSeconds(-600), sale_from: inSeconds(-3600), sale_until: inSeconds(2 * 3600),
            per_order_max: 6, entries_max: 1,
            categories: [0, 1, 2].map((n) => ({ category: n, name: `Tier ${n + 1}`, color: ['#c0392b', '#2980b9', '#27ae60'][n], price_minor: 6000 - n * 1500, fee_minor: 250 })),
        });
        const sold = await api('POST', `/api/v1/events/${event}/status`, { status: 'on_sale' });
        assert.ok(sold.capacity >= 80_000, String(sold.capacity));
        await staff.goto(`${world.origin}/staff/alerts`);
        await staff.getByTestId('live').filter({ hasText: 'Live' }).waitFor();
    });

    await t.test('the shop lists it, and two seats are picked on the map', async () => {
        await shop.goto(world.origin);
        await shop.getByTestId('event-card').filter({ hasText: 'The Final' }).click();
        await shop.getByTestId('event-name').waitFor();
        const map = shop.getByTestId('seat-map');
        await map.scrollIntoViewIfNeeded();
        await pickTwo(map);
        assert.equal(await shop.getByTestId('choice').locator('.chip').count(), 2);
        await shop.getByTestId('take-seats').click();
    });

    /** Nearer until seats can be chosen, then taps across the middle of the map until two are. */
    async function pickTwo(map) {
        await shop.getByTestId('section').selectOption({ index: 5 });
        const flown = () => shop.waitForTimeout(700); // the flight of the map to there
        await flown();
        const hint = shop.getByTestId('map-hint');
        for (let i = 0; i < 12 && (await hint.getAttribute('data-choosable')) !== 'yes'; i++) {
            await shop.getByTestId('map-in').click();
            await flown();
        }
        assert.equal(await hint.getAttribute('data-choosable'), 'yes');
        const box = await map.boundingBox();
        const chips = shop.getByTestId('choice').locator('.chip');
        for (let y = 0.3; y < 0.75; y += 0.05)
            for (let x = 0.2; x < 0.85; x += 0.045) {
                const before = await chips.count();
                if (before === 2) return;
                const at = { x: box.width * x, y: box.height * y };
                await map.click({ position: at });
                await shop.waitForTimeout(100);
                if ((await chips.count()) < before) await map.click({ position: at }); // it was one of ours
            }
    }

    await t.test('a fan registers with a second factor on the way, and keeps the seats', async () => {
        await shop.getByTestId('to-register').click();
        await shop.getByTestId('name').fill('Ada Fan');
        await shop.getByTestId('mail').fill('ada@example.org');
        await shop.getByTestId('password').fill(PASSWORD);
        await shop.getByTestId('password-submit').click();
        await enrolSecondFactor(shop);
        await shop.getByTestId('hold').waitFor();
        assert.match(await shop.getByTestId('hold-total').textContent(), /\d/);
    });

    await t.test('a declined card is said to be so, the next one pays', async () => {
        await shop.getByTestId('pay').click();
        await shop.getByTestId('to-payment').or(shop.locator('input[name=card]')).first().waitFor();
        if (!shop.url().startsWith(world.provider)) await shop.getByTestId('to-payment').click({ timeout: 5000 }).catch(() => undefined);
        await shop.waitForURL((url) => url.origin === world.provider);
        const card = async (number) => {
            await shop.locator('input[name=card]').fill(number);
            await shop.locator('input[name=expiry]').fill('12 / 34');
            await shop.locator('input[name=cvc]').fill('123');
            await shop.locator('button[type=submit]').click();
        };
        await card('4000 0000 0000 0002');
        await shop.getByText(/declined/i).first().waitFor();
        await card('4242 4242 4242 4242');
        await shop.waitForURL((url) => url.origin === world.origin);
        await shop.getByTestId('order-paid').waitFor();
    });

    await t.test('two tickets are there, each with its code as a picture and as text', async () => {
        await shop.goto(`${world.origin}/tickets`);
        await shop.getByTestId('ticket-card').nth(1).waitFor();
        assert.equal(await shop.getByTestId('ticket-card').count(), 2);
        codes = [];
        for (const n of [1, 0]) {
            await shop.goto(`${world.origin}/tickets`);
            await shop.getByTestId('ticket-card').nth(n).click();
            await shop.getByTestId('ticket-qr').waitFor();
            await shop.locator('summary').first().click();
            await shop.getByTestId('ticket-code-text').waitFor();
            codes.unshift((await shop.getByTestId('ticket-code-text').textContent()).trim());
        }
        assert.match(codes[0], /^GH1:/);
        assert.notEqual(codes[0], codes[1]);
        first = new URL(shop.url()).pathname.split('/').pop();
    });

    await t.test('a second browser becomes a scanner by the link of the staff page', async () => {
        const film = path.join(world.dir, 'code.y4m');
        await writeFilm(film, await lumaOf(shop.getByTestId('ticket-qr')));
        const devices = await staff.context().newPage();
        await devices.goto(`${world.origin}/staff/devices?event=${event}`);
        await devices.getByTestId('device-name').fill('Phone 1');
        await devices.getByTestId('device-gate').fill('North 2');
        await devices.getByTestId('enrolment-submit').click();
        const link = (await devices.getByTestId('enrolment-url').textContent()).trim();
        await devices.close();
        door = await browser(film);
        gate = await open(door);
        await gate.goto(link);
        await gate.getByTestId('gate-enrol').click();
        await gate.getByTestId('gate-camera').waitFor();
        assert.match(await gate.getByTestId('gate-device').textContent(), /Phone 1/);
    });

    const verdict = async () => {
        const shown = gate.getByTestId('gate-verdict');
        await shown.waitFor();
        return { verdict: await shown.getAttribute('data-verdict'), reason: await shown.getAttribute('data-reason'), words: await shown.textContent() };
    };
    const type = async (code) => {
        await gate.getByTestId('gate-manual-input').fill(code);
        await gate.getByTestId('gate-manual-submit').click();
    };
    const alertOf = (kind) => staff.locator(`[data-testid=alert][data-kind*=${kind}]`).first();

    await t.test('the camera sees the picture of the shop page: admitted', async () => {
        await gate.getByTestId('gate-start-camera').click();
        const seen = await verdict();
        assert.equal(seen.verdict, 'admitted', JSON.stringify(seen));
    });

    await t.test('the same ticket again: refused with gate and time, and the alert appears on the open staff page', async () => {
        await gate.getByTestId('gate-next').click(); // the code is still before the camera
        await gate.locator('[data-testid=gate-verdict][data-verdict=rejected]').waitFor();
        const seen = await verdict();
        assert.equal(seen.reason, 'already_admitted', JSON.stringify(seen));
        const where = await gate.getByTestId('gate-first').textContent();
        assert.match(where, /North 2/);
        assert.match(where, /\d{1,2}:\d{2}/);
        await alertOf('duplicate').waitFor({ timeout: 5000 });
    });

    await t.test('one character flipped: forged, with an alert', async () => {
        // The camera would go on seeing the first ticket: the page is opened anew, without it.
        await gate.reload();
        await gate.getByTestId('gate-manual-input').waitFor();
        const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
        const at = 4 + 3 * Math.floor(((codes[1].length - 4) / 3) * 0.6);
        const digit = alphabet.indexOf(codes[1][at]);
        await type(codes[1].slice(0, at) + alphabet[digit === 0 ? 1 : digit - 1] + codes[1].slice(at + 1));
        const seen = await verdict();
        assert.equal(seen.reason, 'forged', JSON.stringify(seen));
        await alertOf('forge').waitFor({ timeout: 5000 });
    });

    await t.test('the genuine second ticket, typed: admitted', async () => {
        await gate.getByTestId('gate-next').click();
        await type(codes[1]);
        const seen = await verdict();
        assert.equal(seen.verdict, 'admitted', JSON.stringify(seen));
    });

    await t.test('no page broke its policy or failed', () => assert.deepEqual(complaints, []));

    await t.test('the log verifies and the audit is clean; a row changed by hand is named', async () => {
        await staff.context().close();
        await world.stopServer();
        await world.ledger('verify');
        await world.ledger('audit');
        await world.sql('UPDATE ticket SET price_minor = price_minor + 1 WHERE id = (SELECT id FROM ticket ORDER BY id LIMIT 1)');
        const { findings } = await world.ledger('audit', 1);
        assert.ok(findings.some((f) => /^tkt_/.test(f.subject)), JSON.stringify(findings));
        assert.match(first, /^tkt_/);
    });
});
