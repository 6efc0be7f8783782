// SPDX-License-Identifier: Apache-2.0
//
// shots - pictures of every page of the mock, in three widths and both colour schemes, and what axe says about each.
// node web/dev/shots.mjs FOLDER [word of the pages to take]
import { spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const [out = 'shots', only = ''] = process.argv.slice(2);
await mkdir(out, { recursive: true });
const axe = await readFile(path.join(here, '../node_modules/axe-core/axe.min.js'), 'utf8');
const mock = spawn(process.execPath, [path.join(here, 'mock.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
const base = await new Promise((resolve) => mock.stdout.once('data', (data) => resolve(String(data).trim().replace(/\/$/, ''))));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const evt = (n) => `/e/evt_0${String(n).padStart(25, '0')}`;
let bad = 0;

async function look(page, name, width, scheme, full = true) {
    await page.waitForTimeout(350);
    await page.screenshot({ path: path.join(out, `${name}-${width}-${scheme}.png`), fullPage: full });
    await page.evaluate(axe); // run by the debugger, outside the page's policy
    const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    for (const v of violations) {
        bad++;
        console.log(`AXE ${name} ${width} ${scheme}: ${v.id} ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary?.split('\n')[1] ?? ''}`).join(' | ')}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (wide) { bad++; console.log(`WIDE ${name} ${width}`); }
}
const steps = {
    async shop(page, shot) {
        await page.goto(`${base}/`);
        await page.getByTestId('event-card').first().waitFor();
        await shot('events');
        for (const n of [1, 2, 3]) {
            await page.goto(base + evt(n));
            await page.getByTestId('event-name').waitFor();
            if (n < 3) await page.getByTestId('seat-map').waitFor();
            await shot(`event${n}`);
        }
        await page.goto(base + evt(1));
        await page.getByTestId('section').selectOption({ index: 5 });
        await page.waitForTimeout(500);
        await page.locator('.seat input:enabled').nth(3).check();
        await page.locator('.seat input:enabled').nth(5).check();
        await page.getByTestId('seat-map').scrollIntoViewIfNeeded();
        await shot('section', false);
        await page.getByTestId('map-in').click();
        await page.waitForTimeout(500);
        await page.getByTestId('map-in').click();
        await page.waitForTimeout(500);
        await shot('seats', false);
        await page.getByTestId('take-seats').click();
        await page.getByTestId('password-submit').waitFor();
        await shot('sign-in');
        await page.getByTestId('to-register').click();
        await page.getByTestId('name').fill('Ada Byron');
        await page.getByTestId('mail').fill('ada@example.org');
        await page.getByTestId('password').fill('correct horse battery');
        await shot('register');
        await page.getByTestId('password-submit').click();
        await page.getByTestId('totp-code').fill('000000');
        await page.getByTestId('totp-submit').click();
        await page.getByTestId('error').waitFor();
        await shot('totp');
        await page.getByTestId('totp-code').fill('123456');
        await page.getByTestId('totp-submit').click();
        await page.getByTestId('hold').waitFor();
        await shot('hold');
        await page.getByTestId('pay').click();
        await page.getByTestId('checkout').waitFor();
        await shot('checkout');
        await page.getByTestId('order-paid').waitFor();
        await shot('order');
        await page.goto(`${base}/tickets`);
        await page.getByTestId('ticket-card').first().waitFor();
        await shot('tickets');
        await page.getByTestId('ticket-card').first().click();
        await page.getByTestId('ticket-qr').waitFor();
        await page.locator('summary').click();
        await shot('ticket');
        for (const name of ['orders', 'security', 'mails', 'nothing-here']) {
            await page.goto(`${base}/${name}`);
            await page.locator('h1').waitFor();
            await shot(name);
        }
    },
    async staff(page, shot) {
        await page.goto(`${base}/staff/setup#token123`);
        await page.getByTestId('password-submit').waitFor();
        await shot('staff-setup');
        await page.goto(`${base}/staff/`);
        await page.getByTestId('password-submit').waitFor();
        await page.getByTestId('mail').fill('ada@example.org');
        await page.getByTestId('password').fill('correct horse battery');
        await page.getByTestId('password-submit').click();
        await page.getByTestId('totp-code').fill('123456');
        await page.getByTestId('totp-submit').click();
        await page.getByTestId('staff-nav').waitFor();
        for (const name of ['', 'events/new', 'orders', 'alerts', 'devices', 'scans', 'people', 'access', 'events/evt_0' + '1'.padStart(25, '0')]) {
            await page.goto(`${base}/staff/${name}`);
            await page.locator('h1').waitFor();
            await page.waitForTimeout(200);
            await shot(`staff-${name.replace('/', '-').slice(0, 12) || 'home'}`);
        }
        await page.goto(`${base}/staff/events/new`);
        await page.getByTestId('venue').selectOption('new');
        await page.getByTestId('venue-name').fill('Halle 7');
        await page.getByTestId('venue-address').fill('Kai 7, Kiel');
        await shot('staff-new-1');
        await page.getByTestId('venue-submit').click();
        await page.getByTestId('plan-areas').check();
        await shot('staff-new-2');
        await page.getByTestId('plan-submit').click();
        await page.getByTestId('event-name').fill('Basement Frequencies');
        await page.getByTestId('starts_at').fill('2027-06-12T20:00');
        await page.getByTestId('price-0').fill('45');
        await page.getByTestId('price-1').fill('29.50');
        await shot('staff-new-3');
        await page.getByTestId('event-submit').click();
        await page.getByTestId('put-on-sale').waitFor();
        await page.goto(`${base}/staff/devices`);
        await page.getByTestId('device-name').fill('Phone 5');
        await page.getByTestId('device-gate').fill('North 2');
        await page.getByTestId('enrolment-submit').click();
        await page.getByTestId('enrolment-qr').waitFor();
        await shot('staff-enrolment');
    },
    async gate(page, shot) {
        await page.goto(`${base}/gate/`);
        await page.locator('h1').waitFor();
        await shot('gate-empty');
        await page.goto(`${base}/gate/#mocktoken0123456789`);
        await page.reload();
        await page.getByTestId('gate-enrol').click();
        await page.getByTestId('gate-manual-input').waitFor();
        await shot('gate-ready', false);
        const code = `GH1:ABC${Math.random().toString(36).slice(2, 8).toUpperCase()}`;
        for (const [name, text] of [['admitted', code], ['again', code], ['rejected', 'HELLO']]) {
            await page.getByTestId('gate-manual-input').fill(text);
            await page.getByTestId('gate-manual-input').press('Enter');
            await page.getByTestId('gate-verdict').waitFor();
            await shot(`gate-${name}`, false);
            await page.getByTestId('gate-next').click();
        }
    },
};
try {
    for (const [app, walk] of Object.entries(steps)) {
        if (only && !only.split(',').includes(app)) continue;
        for (const [width, height] of [[320, 640], [390, 844], [768, 1024], [1280, 900]]) {
            for (const scheme of ['light', 'dark']) {
                const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce' });
                const page = await context.newPage();
                page.on('pageerror', (error) => { bad++; console.log(`ERROR ${error.message}`); });
                page.on('console', (m) => { if (m.type() === 'error' && !/status of 40[14]/.test(m.text())) { bad++; console.log(`CONSOLE ${m.text()}`); } });
                page.setDefaultTimeout(15_000);
                await fetch(`${base}/api/v1/sessions/current`, { method: 'DELETE' });
                await walk(page, (name, full) => look(page, name, width, scheme, full)).catch((error) => { bad++; console.log(`FAILED ${app} ${width} ${scheme}: ${error.message.split('\n').slice(0, 6).join(' / ')}`); });
                await context.close();
            }
        }
    }
} finally {
    await browser.close();
    mock.kill();
}
console.log(bad === 0 ? 'nothing to complain about' : `${bad} complaints`);
process.exitCode = bad === 0 ? 0 : 1;
