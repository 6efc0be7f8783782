// SPDX-License-Identifier: Apache-2.0
//
// scanner - enrolment and scans: every scan is signed by this device's key and sent until it is answered.
//
// Asking again uses the same number, so that a lost answer is not a second scan. A code that is still without an answer is
// asked again under its old number when it is shown again.
import { post, Problem } from '../shared/api';
import { makeId } from '../shared/id';
import type { EventInfo, Scan } from '../shared/types';
import { type Device, type PendingScan, pendingScans, saveDevice, settle, takeNumber } from './store';

const SCAN_TIMEOUT_MS = 4_000;
const SCAN_ATTEMPTS = 3;

const base64 = (bytes: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(bytes)));

export async function enrol(token: string): Promise<Device> {
    let pair: CryptoKeyPair;
    try {
        pair = (await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])) as CryptoKeyPair;
    } catch {
        throw new Problem(0, 'no_ed25519', 'This browser cannot make the key that a scanner needs. Update it, or use another one.');
    }
    const id = makeId('dev');
    const answer = await post<{ device: string; name: string; gate: string; event: EventInfo }>('/api/v1/devices/enrol', {
        id, token, public_key: base64(await crypto.subtle.exportKey('raw', pair.publicKey)),
    });
    const { id: event, name, time_zone } = answer.event;
    const device: Device = { id: answer.device || id, name: answer.name, gate: answer.gate, event: { id: event, name, time_zone }, key: pair.privateKey, enrolledAt: new Date().toISOString() };
    await saveDevice(device);
    return device;
}

async function send(device: Device, scan: PendingScan, attempts: number): Promise<Scan> {
    const text = `gatehouse/scan/1\n${device.id}\n${scan.sequence}\n${scan.scannedAt}\n${scan.code}`;
    const signature = base64(await crypto.subtle.sign('Ed25519', device.key, new TextEncoder().encode(text)));
    return post<Scan>('/api/v1/scans', {
        device: device.id, sequence: scan.sequence, scanned_at: scan.scannedAt, code: scan.code, verdict: 'unknown', signature,
    }, { idempotencyKey: `${device.id}.${scan.sequence}`, timeoutMs: SCAN_TIMEOUT_MS, attempts });
}

/** The server has decided about this number, one way or another: there is nothing left to ask. */
const decided = (error: unknown): boolean =>
    error instanceof Problem && error.status >= 400 && error.status < 500 && ![401, 403, 408, 429].includes(error.status);

export async function scanCode(device: Device, code: string): Promise<Scan> {
    const open = (await pendingScans()).find((scan) => scan.code === code);
    const scan = open ?? (await takeNumber(code, new Date().toISOString()));
    try {
        const answer = await send(device, scan, SCAN_ATTEMPTS);
        await settle(scan.sequence);
        return answer;
    } catch (error) {
        if (decided(error)) await settle(scan.sequence);
        throw error;
    }
}

let flushing = false;

/** Send what has no answer yet; returns how many are left. */
export async function flush(device: Device): Promise<number> {
    if (flushing) return (await pendingScans()).length;
    flushing = true;
    try {
        for (const scan of await pendingScans()) {
            try {
                await send(device, scan, 1);
                await settle(scan.sequence);
            } catch (error) {
                if (!decided(error)) break;
                await settle(scan.sequence);
            }
        }
    } finally {
        flushing = false;
    }
    return (await pendingScans()).length;
}
