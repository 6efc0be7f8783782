// SPDX-License-Identifier: Apache-2.0
//
// mock - serves web/dist with the product's headers and an invented API, so that pages can be looked at without a server.
// Not part of the product: nothing here checks anything. node web/dev/mock.mjs [port]
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeAvailability, encodePlan, stadium, theatre } from './encode.mjs';

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const csp = (extra) => `default-src 'none'; script-src 'self'${extra}; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`;
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.wasm': 'application/wasm', '.webmanifest': 'application/manifest+json', '.json': 'application/json' };
const id = (kind, n) => `${kind}_0${String(n).padStart(25, '0')}`;
const inDays = (d, h = 0) => new Date(Date.now() + d * 864e5 + h * 36e5).toISOString().replace(/\.\d+Z/, 'Z');
const money = (amount_minor) => ({ amount_minor, currency: 'EUR' });

const plans = { stadium: stadium(80_000), theatre: theatre() };
const hex = (c) => `#${[c.r, c.g, c.b].map((v) => v.toString(16).padStart(2, '0')).join('')}`;

function makeEvent(n, name, venue, address, plan, prices, description) {
    const bytes = plan ? encodePlan(plan) : null;
    const seats = plan ? plan.rows.reduce((k, r) => k + r.seats.length, 0) : 0;
    const slots = plan ? plan.areas.reduce((k, a) => k + a.slots, 0) : 300;
    const states = new Uint8Array(seats + slots);
    let seed = n * 7919;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
    for (let i = 0; i < seats; i++) if (random() < 0.2) for (let k = Math.floor(random() * 5); k >= 0 && i < seats; k--) states[i++] = random() < 0.15 ? 1 : 2;
    const categories = (plan?.categories ?? [{ name: 'Admission', r: 0xb5, g: 0x33, b: 0x0f }]).map((c, i) => ({
        category: i, name: c.name, color: hex(c), price_minor: prices[i], fee_minor: Math.round(prices[i] * 0.04), total_minor: prices[i] + Math.round(prices[i] * 0.04), free: 0 }));
    const event = {
        id: id('evt', n), organiser: { id: id('org', 1), name: 'Nordlicht Live' }, name, description, venue: { name: venue, address }, time_zone: 'Europe/Berlin',
        starts_at: inDays(20 + n * 9), ends_at: inDays(20 + n * 9, 3), doors_at: inDays(20 + n * 9, -1.5), sale_from: inDays(-2), sale_until: inDays(20 + n * 9), status: 'on_sale',
        currency: 'EUR', per_order_max: 8, capacity: seats + slots, plan_hash: bytes ? createHash('sha256').update(bytes).digest('hex') : '', seated: seats > 0, categories,
        areas: plan ? plan.areas.map((a, i) => ({ area: i, name: a.name, category: a.category, free: a.slots })) : [{ area: 0, name: 'Club floor', category: 0, free: 212 }],
    };
    return { event, bytes, states, version: 1, seats, plan, listeners: new Set() };
}
const events = [
    makeEvent(1, 'The Midnight Parade', 'Nordstadion', 'Stadionring 1, Hamburg', plans.stadium, [8900, 12900, 4900], 'Two hours under the open sky, with full orchestra.\n\nDoors open ninety minutes before.'),
    makeEvent(2, 'A Winter’s Tale', 'Theater am Kai', 'Kaistraße 12, Bremen', plans.theatre, [4200, 2900], 'Shakespeare’s late romance, newly translated.'),
    makeEvent(3, 'Basement Frequencies', 'Klub Zwölf', 'Hafenweg 12, Kiel', null, [1800], 'Four floors, one night.'),
];
const categoryOf = (e, place) => {
    if (!e.plan) return 0;
    let first = 0;
    for (const row of e.plan.rows) { if (place < first + row.seats.length) return row.seats[place - first].category; first += row.seats.length; }
    return e.plan.areas[0]?.category ?? 0;
};
const describe = (e, place) => {
    const category = e.event.categories[categoryOf(e, place)];
    const base = { place, zone: null, row: null, seat: null, area: null, category: category.category, price_minor: category.price_minor, fee_minor: category.fee_minor, total_minor: category.total_minor };
    let first = 0;
    for (const row of e.plan?.rows ?? []) {
        if (place < first + row.seats.length) return { ...base, zone: e.plan.zones[row.zone], row: row.label, seat: row.seats[place - first].number };
        first += row.seats.length;
    }
    return { ...base, area: e.event.areas[0]?.name ?? 'Floor' };
};
const refreshFree = (e) => {
    for (const c of e.event.categories) c.free = 0;
    let place = 0;
    for (const row of e.plan?.rows ?? []) for (const s of row.seats) if (e.states[place++] === 0) e.event.categories[s.category].free++;
    for (const a of e.event.areas) e.event.categories[a.category].free += a.free;
};
events.forEach(refreshFree);
const tell = (e, changes) => {
    for (const [p, s] of changes) e.states[p] = s;
    e.version++;
    for (const res of e.listeners) res.write(`event: places\nid: ${e.version}\ndata: ${JSON.stringify({ v: e.version, s: changes })}\n\n`);
};
setInterval(() => events.forEach((e) => {
    if (!e.seats) return;
    const changes = [];
    for (let i = 0; i < 4; i++) { const p = Math.floor(Math.random() * e.seats); if (e.states[p] < 2) changes.push([p, e.states[p] ? 2 : 1]); }
    if (changes.length) tell(e, changes);
}), 1500).unref();

const qr = () => {
    let cells = '';
    for (let y = 0; y < 33; y++) for (let x = 0; x < 33; x++) {
        const corner = (cx, cy) => { const dx = Math.abs(x - cx), dy = Math.abs(y - cy), d = Math.max(dx, dy); return d <= 4 ? (d === 3 || d <= 1 ? 1 : 0) : -1; };
        const c = [corner(3, 3), corner(29, 3), corner(3, 29)].find((v) => v >= 0);
        if (c === undefined ? (x * 7 + y * 13 + ((x * y) % 5)) % 3 === 0 : c) cells += `M${x} ${y}h1v1h-1z`;
    }
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 37 37" shape-rendering="crispEdges"><path fill="#fff" d="M-2-2h37v37h-37z"/><path d="${cells}"/></svg>`;
};
let me = null;
const account = { account: { id: id('acc', 1), name: 'Ada Byron', mail: 'ada@example.org' }, level: 2, totp: true, session: id('ses', 1), grants: [{ role: 'owner', organiser: null, event: null }] };
const holds = new Map(), orders = new Map(), tickets = new Map();
const alertStreams = new Set();
const alerts = [
    { id: id('alr', 2), kind: 'duplicate_scan', severity: 3, event: id('evt', 1), subject: id('tkt', 7), facts: { gate: 'North 2', first_gate: 'North 1', first_at: inDays(0, -1), place: '101, row 4, seat 14' }, state: 'open', at: inDays(0, -0.2) },
    { id: id('alr', 1), kind: 'forged_code', severity: 2, event: id('evt', 1), subject: null, facts: { gate: 'South', count: 3 }, state: 'acknowledged', at: inDays(-1) },
];
const ticketOf = (order, place, n) => {
    const e = events.find((x) => x.event.id === order.event);
    const label = place.area ?? `${place.zone}, row ${place.row}, seat ${place.seat}`;
    return { id: id('tkt', n), order: order.id, event: order.event, event_name: order.event_name, starts_at: e.event.starts_at, doors_at: e.event.doors_at, time_zone: 'Europe/Berlin', venue: e.event.venue.name,
        status: 'valid', place: { ...place, label }, category_name: e.event.categories[place.category].name, price: money(place.total_minor), form: 'paper', generation: 1, entries_used: 0, entries_max: 1 };
};
let scanned = new Map();
const problem = (status, slug, detail, errors) => [status, { type: `/problems/${slug}`, title: slug, status, detail, instance: 'req', ...(errors ? { errors } : {}) }, 'application/problem+json'];
const list = (data) => [200, { data, next_cursor: null }];
const venues = [{ id: id('ven', 1), name: 'Nordstadion', address: 'Stadionring 1, Hamburg', time_zone: 'Europe/Berlin' }];
const catalogue = [{ id: id('pln', 1), venue: id('ven', 1), name: 'Bowl 80,000', places: 80000, seats: 80000, categories: plans.stadium.categories.map((c, i) => ({ category: i, name: c.name, color: hex(c) })) }];
const devices = [{ id: id('dev', 1), name: 'Phone 4', gate: 'North 1', event: id('evt', 1), enrolled_at: inDays(-1), status: 'active' }];

function placeHold(e, body) {
    let places = body.places;
    if (body.best) {
        places = [];
        for (let p = 0; p < e.seats && places.length < body.best.count; p++) places = e.states[p] === 0 && categoryOf(e, p) === body.best.category ? [...places, p] : [];
    }
    if (body.area) places = Array.from({ length: body.area.count }, (_, i) => e.seats + i);
    if (places.some((p) => p < e.seats && e.states[p] !== 0)) return problem(409, 'seat_taken', 'taken', [{ detail: 'taken', pointer: '#/places/0' }]);
    tell(e, places.filter((p) => p < e.seats).map((p) => [p, 1]));
    const held = places.map((p) => describe(e, p));
    const hold = { id: body.id, event: e.event.id, status: 'live', places: held, total: money(held.reduce((s, p) => s + p.total_minor, 0)), created_at: inDays(0), expires_at: inDays(0, 1 / 6), latest_at: inDays(0, 0.5) };
    holds.set(hold.id, hold);
    return [201, hold];
}
function placeOrder(body, host) {
    const hold = holds.get(body.hold);
    const e = events.find((x) => x.event.id === hold.event);
    const order = { id: body.id, event: hold.event, event_name: e.event.name, status: 'awaiting_payment', version: 1, places: hold.places, total: hold.total, created_at: inDays(0), pay_until: inDays(0, 0.5), checkout_url: null, tickets: [], refunds: [] };
    orders.set(order.id, order);
    setTimeout(() => { order.checkout_url = `http://${host}/mockpay/${order.id}`; order.version++; }, 1200);
    return [201, order];
}
function pay(order) {
    order.status = 'paid'; order.version++;
    order.tickets = order.places.map((place) => { const t = ticketOf(order, place, tickets.size + 1); tickets.set(t.id, t); return t.id; });
}
function scan(body) {
    const first = scanned.get(body.code);
    const ok = body.code.startsWith('GH1:') && !first;
    if (ok) scanned.set(body.code, { gate: 'North 1', at: inDays(0) });
    if (first) {
        const alert = { ...alerts[0], id: id('alr', alerts.length + 1), at: inDays(0), state: 'open' };
        alerts.unshift(alert);
        for (const res of alertStreams) res.write(`event: alert\ndata: ${JSON.stringify(alert)}\n\n`);
    }
    const reason = ok ? 'ok' : first ? 'already_admitted' : 'malformed';
    return [200, { scan: id('scn', 1), verdict: ok ? 'admitted' : 'rejected', reason, say: ok ? 'Welcome! Lower bowl, entrance B.' : first ? 'This ticket has been used already. Please step aside.' : 'This is not a ticket of ours.',
        ticket: ok || first ? { id: id('tkt', 1), place: '101, row 4, seat 14', category_name: 'Lower bowl', form: 'paper', entries_used: 1, entries_max: 1 } : null, first: first ?? null }];
}
function api(method, p, q, body, host) {
    const e = events.find((x) => p.includes(x.event.id));
    const m = (re) => re.exec(p);
    let x;
    if (p === '/status') return [200, { version: 'mock', demo: true, time: inDays(0) }];
    if (p === '/events' && method === 'GET') return list(events.map((v) => v.event));
    if (m(/^\/events\/[^/]+$/)) return e ? [200, e.event] : problem(404, 'not_found', 'There is no such event.');
    if (p === '/account') return me ? [200, me] : problem(401, 'sign_in_required', 'Sign in.');
    if (p === '/accounts' || p === '/setup/owner') { me = null; return [201, { ...account, level: 1, totp: false, account: { ...account.account, name: body.name, mail: body.mail } }]; }
    if (p === '/sessions') return body.password === 'wrong' ? problem(401, 'sign_in_failed', '') : [200, { ...account, level: 1 }];
    if (p === '/account/totp') return [200, { secret: 'JBSW Y3DP EHPK 3PXP', uri: 'otpauth://totp/Gatehouse:ada?secret=JBSWY3DPEHPK3PXP', qr_svg: qr() }];
    if (p === '/account/totp/confirm' || p === '/sessions/totp') { if (body.code === '000000') return problem(401, 'code_refused', ''); me = account; return [200, me]; }
    if (p === '/sessions/current') { me = null; return [204]; }
    if (p === '/account/sessions') return list([{ id: id('ses', 1), current: true, created_at: inDays(0), seen_at: inDays(0) }, { id: id('ses', 2), current: false, created_at: inDays(-3), seen_at: inDays(-1) }]);
    if (p === '/demo/mails') return [200, { data: [{ to: 'ada@example.org', subject: 'Your tickets', text: `Hello Ada,\n\nyour tickets: http://${host}/tickets\n`, at: inDays(0) }] }];
    if (p === '/devices/enrol') return [201, { device: body.id, name: 'Phone 4', gate: 'North 1', event: events[0].event, gate_key: {}, issuer_keys: [] }];
    if (p === '/scans') return scan(body);
    if (!me) return problem(401, 'sign_in_required', 'Sign in.');
    if ((x = m(/^\/events\/[^/]+\/holds$/))) return placeHold(e, body);
    if ((x = m(/^\/holds\/([^/]+)(\/refresh)?$/))) {
        const hold = holds.get(x[1]);
        if (method === 'DELETE') { tell(events.find((v) => v.event.id === hold.event), hold.places.map((v) => [v.place, 0])); return [204]; }
        if (x[2]) hold.expires_at = inDays(0, 0.25);
        return hold ? [200, hold] : problem(404, 'not_found', '');
    }
    if (p === '/orders' && method === 'POST') return placeOrder(body, host);
    if (p === '/orders') return list([...orders.values()]);
    if ((x = m(/^\/orders\/([^/]+)(\/cancel)?$/))) { const order = orders.get(x[1]); if (x[2]) { order.status = 'cancelled'; order.version++; } return order ? [200, order] : problem(404, 'not_found', 'There is no such order.'); }
    if (p === '/tickets') return list([...tickets.values()]);
    if ((x = m(/^\/tickets\/([^/]+)\/code$/))) return [200, { code: `GH1:NCFOXN%TSMAHN-H6SKJ KXS3C$CW JK:VM3 ${x[1].slice(-4)}DXF2P9` }];
    if ((x = m(/^\/tickets\/([^/]+)$/))) return tickets.has(x[1]) ? [200, tickets.get(x[1])] : problem(404, 'not_found', 'There is no such ticket.');
    return staff(method, p, q, body, host, e, m);
}
function staff(method, p, q, body, host, e, m) {
    if (p === '/organisers') return method === 'POST' ? [201, body] : list([{ id: id('org', 1), name: 'Nordlicht Live', slug: 'nordlicht' }]);
    if (m(/\/venues$/)) { if (method === 'POST') { venues.push(body); return [201, body]; } return list(venues); }
    if (m(/\/plans$/)) { if (method === 'POST') { const made = { id: body.id, venue: body.venue, name: body.name, places: 500, repairs: body.source ? [{ kind: 'duplicate_seat_guid', pointer: '/zones/0/rows/1/seats/4', was: 'A-1', now: 'A-1-2' }] : [], categories: [{ category: 0, name: 'Stalls', color: '#b5330f' }, { category: 1, name: 'Circle', color: '#1d4e89' }] }; catalogue.push(made); return [201, made]; } return list(catalogue); }
    if (m(/^\/organisers\/[^/]+\/events$/)) return method === 'POST' ? [201, { ...events[2].event, status: 'draft' }] : list(events.map((v, i) => ({ ...v.event, status: i === 2 ? 'draft' : 'on_sale' })));
    if (m(/\/status$/)) return [200, { ...e.event, status: body.status }];
    if (m(/^\/organisers\/[^/]+\/orders$/)) return list([...orders.values()].map((order) => ({ order, buyer: { name: 'Ada Byron', mail: 'ada@example.org' } })));
    if (m(/^\/organisers\/[^/]+\/scans$/)) return list([{ id: id('scn', 2), device: 'Phone 4', gate: 'North 1', verdict: 'rejected', reason: 'already_admitted', ticket: id('tkt', 1), sequence: 2, at: inDays(0, -0.1) }, { id: id('scn', 1), device: 'Phone 4', gate: 'North 1', verdict: 'admitted', reason: 'ok', ticket: id('tkt', 1), sequence: 1, at: inDays(0, -0.3) }]);
    if (m(/^\/organisers\/[^/]+\/alerts$/)) return list(alerts);
    if (m(/^\/alerts\/[^/]+\/acknowledge$/)) { const a = alerts.find((v) => p.includes(v.id)); a.state = 'acknowledged'; return [200, a]; }
    if (m(/^\/organisers\/[^/]+\/grants$/)) return method === 'POST' ? [201, body] : list([{ id: id('grt', 1), role: 'owner', event: null, created_at: inDays(-9), expires_at: null, account: { id: id('acc', 1), name: 'Ada Byron', mail: 'ada@example.org' } }, { id: id('grt', 2), role: 'gate', event: id('evt', 1), created_at: inDays(-3), expires_at: inDays(40), account: { id: id('acc', 2), name: 'Grace', mail: 'grace@example.org' } }]);
    if (m(/\/access_records$/)) return list([{ at: inDays(0), account: id('acc', 1), action: 'orders_read', subject: `event:${id('evt', 1)}` }]);
    if (m(/\/devices\/enrolments$/)) return [201, { token: 'tok', url: `http://${host}/gate/#mocktoken0123456789`, qr_svg: qr(), expires_at: inDays(0, 0.25) }];
    if (m(/\/devices$/)) return list(devices);
    if (method === 'DELETE') return [204];
    return problem(404, 'not_found', `Nothing at ${p}.`);
}
async function page(res, url) {
    let name = url.pathname;
    if (name.startsWith('/mockpay/')) {
        pay(orders.get(name.slice(9)));
        res.writeHead(303, { Location: `/orders/${name.slice(9)}` }).end();
        return;
    }
    const app = name.startsWith('/staff') ? 'staff' : name.startsWith('/gate') ? 'gate' : 'shop';
    if (!path.extname(name)) name = `/${app}/index.html`;
    const body = await readFile(path.join(dist, path.normalize(name))).catch(() => null);
    if (!body) { res.writeHead(404).end(); return; }
    res.writeHead(200, { 'Content-Type': types[path.extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': csp(app === 'gate' ? " 'wasm-unsafe-eval'" : ''), 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp', 'X-Content-Type-Options': 'nosniff' }).end(body);
}
const server = createServer(async (req, res) => {
    const url = new URL(req.url, `http://${req.headers.host}`);
    if (!url.pathname.startsWith('/api/v1/')) return page(res, url);
    const p = url.pathname.slice(7);
    const e = events.find((x) => p.includes(x.event.id));
    if (p.endsWith('/plan.bin')) return res.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(e.bytes);
    if (p.endsWith('/availability.bin')) return res.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(encodeAvailability(e.version, e.states));
    if (p.endsWith('/stream')) {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n');
        const set = p.includes('/organisers/') ? alertStreams : e.listeners;
        set.add(res);
        if (set === alertStreams) events.forEach((v) => res.write(`event: figures\ndata: ${JSON.stringify({ event: v.event.id, sold: 31240, held: 214, free: 48546, admitted: 1203 })}\n\n`));
        return req.on('close', () => set.delete(res));
    }
    if (p.endsWith('/code.svg')) return res.writeHead(200, { 'Content-Type': 'image/svg+xml' }).end(qr());
    let text = '';
    for await (const chunk of req) text += chunk;
    const [status, body, type] = api(req.method, p, url.searchParams, text ? JSON.parse(text) : {}, req.headers.host);
    if (url.searchParams.has('wait')) await new Promise((r) => setTimeout(r, 800));
    res.writeHead(status, body ? { 'Content-Type': type ?? 'application/json' } : {}).end(body ? JSON.stringify(body) : undefined);
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
