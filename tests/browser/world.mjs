// SPDX-License-Identifier: Apache-2.0
//
// world - what browser tests share: the programs started in a directory of their own, browsers, an authenticator app, and a
// camera that shows a picture.
import { execFile, spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

export const ROOT = process.env.GATEHOUSE_ROOT ?? path.resolve(fileURLToPath(import.meta.url), '../../..');
const BUILD = process.env.GATEHOUSE_BUILD ?? path.join(ROOT, 'build');
const PROGRAM = path.join(BUILD, 'src/prog/gatehouse');
const SANDBOX = path.join(BUILD, 'src/prog/sandbox/gatehouse-sandbox');
const READY_MS = 60_000;
export const PASSWORD = 'correct horse battery staple 9';
const run = promisify(execFile);

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
export function newId(prefix) {
    let n = (BigInt(Date.now()) << 80n) | BigInt(`0x${randomBytes(10).toString('hex')}`);
    let text = '';
    for (let i = 0; i < 26; i++, n >>= 5n) text = ALPHABET[Number(n & 31n)] + text;
    return `${prefix}_${text}`;
}

export const inSeconds = (s) => new Date(Date.now() + s * 1000).toISOString().replace(/\.\d+/, '');

export function totp(secret, step = Math.floor(Date.now() / 30_000)) {
    let bits = '';
    for (const c of secret) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
    const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const mac = createHmac('sha1', key).update(counter).digest();
    return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** A port that was free a moment ago: server and sandbox must know each other's before either starts. */
async function freePort() {
    const server = createServer();
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

class Program {
    constructor(file, args) {
        this.words = '';
        this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        this.ended = new Promise((done) => this.child.once('exit', (code, signal) => done(code ?? signal)));
        this.child.stderr.on('data', (data) => (this.words = (this.words + data).slice(-8000)));
        this.ready = new Promise((done, fail) => {
            let text = '';
            const timer = setTimeout(() => fail(new Error(`${file} was not ready in time\n${this.words}`)), READY_MS);
            this.ended.then((code) => fail(new Error(`${file} ended with ${code} before it was ready\n${this.words}`)));
            this.child.stdout.on('data', (data) => {
                text += data;
                if (!text.includes('\n')) return;
                clearTimeout(timer);
                done(JSON.parse(text.slice(0, text.indexOf('\n'))));
            });
        });
    }
    async end() {
        this.child.kill('SIGTERM');
        const code = await this.ended;
        if (code !== 0) throw new Error(`it ended with ${code}\n${this.words}`);
    }
}

/** gatehouse serve and gatehouse-sandbox in a directory of their own. */
export class World {
    async start() {
        this.dir = await mkdtemp(path.join(tmpdir(), 'gatehouse-browser-'));
        this.data = path.join(this.dir, 'data');
        const [port, sandboxPort] = [await freePort(), await freePort()];
        this.origin = `http://127.0.0.1:${port}`;
        this.provider = `http://127.0.0.1:${sandboxPort}`;
        await run(PROGRAM, ['init', '--dir', this.data, '--origin', this.origin, '--listen', `127.0.0.1:${port}`]);
        await this.set({ provider: { origin: this.provider }, mail: { dir: path.join(this.data, 'mail') },
            pages: { dir: path.join(ROOT, 'web/dist') }, limits: { rates: 'off' } });
        this.sandbox = new Program(SANDBOX, ['--listen', `127.0.0.1:${sandboxPort}`, '--db', path.join(this.dir, 'sandbox.sqlite'),
            '--key-file', path.join(this.data, 'provider-key'), '--webhook-url', `${this.origin}/api/v1/provider/webhook`,
            '--webhook-secret-file', path.join(this.data, 'webhook-secret')]);
        await this.sandbox.ready;
        this.server = new Program(PROGRAM, ['serve', '--dir', this.data]);
        this.ownerLink = (await this.server.ready).owner_link;
        return this;
    }

    /** Write settings; those of init that are not named here stay. */
    async set(sections) {
        const file = path.join(this.data, 'gatehouse.conf');
        const lines = (await readFile(file, 'utf8')).split('\n');
        sections.provider.key_file = path.join(this.data, 'provider-key');
        sections.provider.webhook_secret_file = path.join(this.data, 'webhook-secret');
        for (const [section, values] of Object.entries(sections))
            for (const [key, value] of Object.entries(values)) {
                const head = lines.indexOf(`[${section}]`);
                const end = lines.findIndex((line, i) => i > head && line.startsWith('['));
                const at = lines.findIndex((line, i) => i > head && (end < 0 || i < end) && line.split('=')[0].trim() === key);
                if (at >= 0) lines[at] = `${key} = ${value}`;
                else lines.splice(head + 1, 0, `${key} = ${value}`);
            }
        await writeFile(file, lines.join('\n'));
    }

    /** What gatehouse ledger verify|audit says; fails unless it ends with this status. */
    async ledger(what, status = 0) {
        try {
            const { stdout } = await run(PROGRAM, ['ledger', what, '--dir', this.data, '--json']);
            if (status !== 0) throw new Error(`ledger ${what} found nothing`);
            return JSON.parse(stdout);
        } catch (error) {
            if (error.code !== status) throw error;
            return JSON.parse(error.stdout);
        }
    }

    async sql(text) {
        const { stdout } = await run('sqlite3', ['-batch', '-cmd', '.timeout 20000', path.join(this.data, 'db/gatehouse.sqlite'), text]);
        return stdout.trim();
    }

    async stopServer() {
        await this.server?.end();
        this.server = undefined;
    }

    async close() {
        try {
            await this.stopServer();
            await this.sandbox?.end();
        } finally {
            this.server?.child.kill('SIGKILL');
            this.sandbox?.child.kill('SIGKILL');
            if (this.dir) await rm(this.dir, { recursive: true, force: true });
        }
    }
}

/** Chromium as Debian ships it; with a y4m file, that is what its camera sees. */
export function browser(camera) {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
    if (camera) args.push('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', `--use-file-for-fake-video-capture=${camera}`);
    return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args });
}

/** Whatever a page must not do: errors of its own scripts and breaches of its policy. */
export function watch(page, complaints) {
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
        if (message.type() === 'error' && /Content Security Policy|Trusted/.test(message.text())) complaints.push(message.text());
    });
}

export const WIDTH = 640, HEIGHT = 480;

/** The picture in an <img> as the page itself shows it: luma, on white, as a camera held before the screen sees it. */
export function lumaOf(image) {
    return image.evaluate(async (img, [w, h]) => {
        await img.decode();
        const canvas = document.createElement('canvas');
        canvas.width = w;
        canvas.height = h;
        const c = canvas.getContext('2d');
        c.fillStyle = '#fff';
        c.fillRect(0, 0, w, h);
        const size = h - 60;
        c.imageSmoothingEnabled = true;
        c.drawImage(img, (w - size) / 2, 30, size, size);
        const { data } = c.getImageData(0, 0, w, h);
        const luma = new Array(w * h);
        for (let i = 0; i < luma.length; i++) luma[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
        return luma;
    }, [WIDTH, HEIGHT]);
}

/** A film of one still picture. */
export async function writeFilm(file, luma, frames = 4) {
    const head = Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F30:1 Ip A1:1 C420jpeg\n`);
    const grey = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
    const parts = [head];
    for (let i = 0; i < frames; i++) parts.push(Buffer.from('FRAME\n'), Buffer.from(luma), grey);
    await writeFile(file, Buffer.concat(parts));
}

/** The second half of signing up, on the page that shows the secret. */
export async function enrolSecondFactor(page) {
    const secret = (await page.getByTestId('totp-secret').textContent()).replace(/\s/g, '');
    const step = Math.floor(Date.now() / 30_000);
    await page.getByTestId('totp-code').fill(totp(secret, step));
    await page.getByTestId('totp-submit').click();
    return { secret, step };
}
