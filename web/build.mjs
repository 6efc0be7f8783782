// SPDX-License-Identifier: Apache-2.0
//
// Build the browser side into web/dist, or (--tests OUT FILE...) compile unit tests for Node.
//
//   web/<app>/main.tsx    the entry point; web/<app>/index.html its page, with <!--style--> and <!--script--> as places
//   web/<app>/sw.ts       a service worker, built to dist/<app>/sw.js (a fixed name: browsers look it up again by name)
//   web/<app>/public/     copied to dist/<app>/ as it is
//
// dist/assets/ holds everything with a hash of its content in its name: it never changes and may be cached for ever.
// A file that compresses gets .gz and .br beside it, where they are smaller. dist/manifest.json lists all of them.
// A first load over its budget (below) fails the build.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import * as esbuild from 'esbuild';

const web = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(web, 'dist');
const gzip = promisify(zlib.gzip);
const brotli = promisify(zlib.brotliCompress);

// JavaScript of the page's first load, gzipped. The scanner's WebAssembly is loaded after it and is not counted.
const budgets = { shop: 40_000, staff: 120_000, box: 120_000, gate: 60_000 };
const compressible = /\.(js|css|html|json|svg|wasm|webmanifest|txt)$/;

const shared = {
    bundle: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'utf8',
    logLevel: 'warning',
    absWorkingDir: web,
};

async function filesUnder(folder, skip = () => false) {
    const found = [];
    for (const item of await readdir(folder, { withFileTypes: true })) {
        const full = path.join(folder, item.name);
        if (skip(item.name)) continue;
        if (item.isDirectory()) found.push(...(await filesUnder(full, skip)));
        else if (item.isFile()) found.push(full);
    }
    return found.sort();
}

async function buildTests(out, sources) {
    await esbuild.build({
        ...shared,
        entryPoints: sources,
        outdir: out,
        outbase: web,
        outExtension: { '.js': '.mjs' },
        platform: 'node',
        sourcemap: 'inline',
        loader: { '.wasm': 'binary' },
        // Bundled CommonJS packages may ask for require().
        banner: { js: "import { createRequire as gh_create } from 'node:module'; const require = gh_create(import.meta.url);" },
    });
}

/** A digest of all that goes in, so that an unchanged tree is not built again. */
async function inputDigest() {
    const hash = createHash('sha256');
    const skip = (name) => name === 'node_modules' || name.startsWith('dist') || name.includes('.test.');
    for (const file of await filesUnder(web, skip)) {
        hash.update(path.relative(web, file)).update('\0').update(await readFile(file)).update('\0');
    }
    return hash.digest('hex');
}

/** The entry's own file and everything it imports statically: what the page loads before it runs. */
function firstLoad(outputs, file, seen = new Set()) {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const other of outputs[file].imports) {
        if (other.kind === 'import-statement' && outputs[other.path]) firstLoad(outputs, other.path, seen);
    }
    return seen;
}

async function buildApps(apps, out) {
    const result = await esbuild.build({
        ...shared,
        entryPoints: apps.map((app) => ({ in: path.join(web, app, 'main.tsx'), out: app })),
        outdir: path.join(out, 'assets'),
        entryNames: '[name]-[hash]',
        chunkNames: 'chunk-[hash]',
        assetNames: '[name]-[hash]',
        publicPath: '/assets/',
        splitting: true,
        minify: true,
        metafile: true,
        platform: 'browser',
        define: { 'process.env.NODE_ENV': '"production"' },
        loader: { '.wasm': 'file', '.svg': 'file', '.png': 'file', '.woff2': 'file' },
        legalComments: 'none',
    });
    const { outputs } = result.metafile;
    const over = [];
    for (const app of apps) {
        const entry = Object.keys(outputs).find((file) =>
            outputs[file].entryPoint && path.resolve(web, outputs[file].entryPoint) === path.join(web, app, 'main.tsx'));
        const asset = (file) => `/assets/${path.basename(file)}`;
        const scripts = [...firstLoad(outputs, entry)];
        const style = outputs[entry].cssBundle;
        const template = await readFile(path.join(web, app, 'index.html'), 'utf8');
        for (const place of ['<!--style-->', '<!--script-->']) {
            if (!template.includes(place)) throw new Error(`web/${app}/index.html has no ${place}`);
        }
        const page = template
            .replace('<!--style-->', style ? `<link rel="stylesheet" href="${asset(style)}">` : '')
            .replace('<!--script-->', scripts.map((file, i) => i === 0
                ? `<script type="module" src="${asset(file)}"></script>`
                : `<link rel="modulepreload" href="${asset(file)}">`).join('\n    '));
        await mkdir(path.join(out, app), { recursive: true });
        if (existsSync(path.join(web, app, 'public'))) {
            await cp(path.join(web, app, 'public'), path.join(out, app), { recursive: true });
        }
        await writeFile(path.join(out, app, 'index.html'), page);
        if (existsSync(path.join(web, app, 'sw.ts'))) {
            await esbuild.build({
                ...shared, entryPoints: [path.join(web, app, 'sw.ts')], outfile: path.join(out, app, 'sw.js'),
                format: 'iife', minify: true, legalComments: 'none',
            });
        }
        let size = 0;
        for (const file of scripts) size += (await gzip(await readFile(path.resolve(web, file)), { level: 9 })).length;
        console.log(`web: ${app.padEnd(6)} first load ${(size / 1000).toFixed(1)} KB gz of ${budgets[app] / 1000}`);
        if (size > budgets[app]) over.push(`${app} is ${size} bytes gzipped, its budget is ${budgets[app]}`);
    }
    return over;
}

async function compressOne(file) {
    const data = await readFile(file);
    const entry = { bytes: data.length, sha256: createHash('sha256').update(data).digest('base64') };
    if (!compressible.test(file)) return entry;
    const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: data.length };
    const packed = { gz: await gzip(data, { level: 9 }), br: await brotli(data, { params }) };
    for (const [suffix, bytes] of Object.entries(packed)) {
        if (bytes.length >= data.length) continue;
        await writeFile(`${file}.${suffix}`, bytes);
        entry[suffix] = bytes.length;
    }
    return entry;
}

async function compressAll(out) {
    const files = await filesUnder(out);
    const entries = await Promise.all(files.map(compressOne));
    return Object.fromEntries(files.map((file, i) => [path.relative(out, file), entries[i]]));
}

async function main() {
    if (process.argv[2] === '--tests') {
        await buildTests(path.resolve(process.argv[3]), process.argv.slice(4).map((file) => path.resolve(file)));
        return;
    }
    const digest = await inputDigest();
    const before = existsSync(path.join(dist, 'manifest.json'))
        ? JSON.parse(await readFile(path.join(dist, 'manifest.json'), 'utf8')) : {};
    if (before.input === digest) return;

    const apps = Object.keys(budgets).filter((app) => existsSync(path.join(web, app, 'main.tsx')));
    if (apps.length === 0) {
        console.log('web: no pages to build');
        return;
    }
    // Built beside the old one and put in its place at the end: a running server never sees half of it.
    const fresh = path.join(web, `dist.${process.pid}`);
    try {
        await mkdir(fresh, { recursive: true });
        const over = await buildApps(apps, fresh);
        if (over.length > 0) throw new Error(`over the size budget: ${over.join('; ')}`);
        const files = await compressAll(fresh);
        await writeFile(path.join(fresh, 'manifest.json'), `${JSON.stringify({ input: digest, files }, null, 1)}\n`);
        await rm(dist, { recursive: true, force: true });
        await rename(fresh, dist);
    } finally {
        await rm(fresh, { recursive: true, force: true });
    }
}

main().catch((error) => {
    console.error(`web: ${error.message}`);
    process.exitCode = 1;
});
