// SPDX-License-Identifier: Apache-2.0
//
// store - what a scanner keeps over a reload: who it is, its private key, its counter, and the scans that have no answer yet.
//
// IndexedDB, because it can hold a key that no script can read out. A number is taken and its scan written down in one
// transaction before anything is sent: a number is never used for two codes, whatever happens to the page in between.

export interface Device {
    id: string;
    name: string;
    gate: string;
    event: { id: string; name: string; time_zone: string };
    key: CryptoKey;
    enrolledAt: string;
}

export interface PendingScan {
    sequence: number;
    scannedAt: string;
    code: string;
}

let opening: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
    opening ??= new Promise((resolve, reject) => {
        const request = indexedDB.open('gatehouse-gate', 1);
        request.onupgradeneeded = () => {
            request.result.createObjectStore('facts');
            request.result.createObjectStore('pending', { keyPath: 'sequence' });
        };
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('no storage'));
    });
    return opening;
}

const done = (tx: IDBTransaction): Promise<void> =>
    new Promise((resolve, reject) => {
        tx.oncomplete = () => resolve();
        tx.onabort = tx.onerror = () => reject(tx.error ?? new Error('storage refused'));
    });

const answer = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('storage refused'));
    });

export async function readDevice(): Promise<Device | null> {
    const db = await database();
    return ((await answer(db.transaction('facts').objectStore('facts').get('device'))) as Device | undefined) ?? null;
}

/** A new identity begins to count at 1 and owes no answers. */
export async function saveDevice(device: Device): Promise<void> {
    const tx = (await database()).transaction(['facts', 'pending'], 'readwrite', { durability: 'strict' });
    tx.objectStore('facts').put(device, 'device');
    tx.objectStore('facts').put(0, 'sequence');
    tx.objectStore('pending').clear();
    await done(tx);
}

export async function forgetDevice(): Promise<void> {
    const tx = (await database()).transaction(['facts', 'pending'], 'readwrite', { durability: 'strict' });
    tx.objectStore('facts').clear();
    tx.objectStore('pending').clear();
    await done(tx);
}

export async function takeNumber(code: string, scannedAt: string): Promise<PendingScan> {
    const tx = (await database()).transaction(['facts', 'pending'], 'readwrite', { durability: 'strict' });
    const facts = tx.objectStore('facts');
    const finished = done(tx);
    const last = (await answer(facts.get('sequence'))) as number | undefined;
    const scan = { sequence: (last ?? 0) + 1, scannedAt, code };
    facts.put(scan.sequence, 'sequence');
    tx.objectStore('pending').put(scan);
    await finished;
    return scan;
}

export async function settle(sequence: number): Promise<void> {
    const tx = (await database()).transaction('pending', 'readwrite');
    tx.objectStore('pending').delete(sequence);
    await done(tx);
}

export async function pendingScans(): Promise<PendingScan[]> {
    const db = await database();
    return (await answer(db.transaction('pending').objectStore('pending').getAll())) as PendingScan[];
}
