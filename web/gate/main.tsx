// SPDX-License-Identifier: Apache-2.0
//
// gate - a scanner in a browser: enrolled by a one-time link, then camera, hand scanner or typing, one verdict at a time.
import '../shared/style.css';
import './gate.css';
import { render, type JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, sentence } from '../shared/api';
import { clockSeconds } from '../shared/format';
import { Presence } from '../shared/presence';
import { normaliseCode } from '../shared/scan-code';
import { Brand, Shell } from '../shared/shell';
import { Button, ErrorSummary, Field, Heading, Notice, Pending, useSubmit } from '../shared/ui';
import { type Camera, cameraWords, startCamera, warmDecoder } from './camera';
import { enrol, flush, scanCode } from './scanner';
import { keepAwake, signal, unlockSound } from './signals';
import { type Device, forgetDevice, readDevice } from './store';
import { type Shown, Verdict } from './verdict';
import { listenToWedge } from './wedge';

const FLUSH_MS = 15_000;
const RECENT_MAX = 6;

interface Recent {
    at: string;
    look: 'admitted' | 'rejected' | 'uncertain';
    words: string;
}

const onIphone = (): boolean => /iPhone|iPad|iPod/.test(navigator.userAgent) && !matchMedia('(display-mode: standalone)').matches;

function tokenOf(text: string): string {
    const at = text.indexOf('#');
    return (at >= 0 ? text.slice(at + 1) : text).trim();
}

function EnrolPage({ onDone }: { onDone: (device: Device) => void }): JSX.Element {
    const [link, setLink] = useState('');
    const fromAddress = tokenOf(location.hash);
    const token = fromAddress || tokenOf(link);
    const submit = useSubmit(async () => {
        unlockSound();
        const device = await enrol(token);
        await navigator.storage?.persist?.().catch(() => false);
        history.replaceState(null, '', '/gate/');
        onDone(device);
    }, token);
    return (
        <section class="card narrow" data-testid="gate-enrolment">
            <Heading over="Scanner">{fromAddress ? 'Make this a scanner' : 'Not a scanner yet'}</Heading>
            {fromAddress ? <p>A key is made on this device and stays here. Your organiser sees the device and can withdraw it at any time.</p>
                : <p>Open the QR code that your organiser shows under “Scanners” with this device’s camera, or paste its address here.</p>}
            {onIphone() && <Notice kind="warn"><p>On this device, first add this page to the home screen (Share, then “Add to Home Screen”) and open it from there: else the browser forgets the key after a week.</p></Notice>}
            <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); submit.run(); }}>
                <ErrorSummary error={submit.error} />
                {!fromAddress && <Field label="Enrolment address" name="link" testid="gate-link" value={link} onValue={setLink} autoComplete="off" spellcheck={false} />}
                <Button kind="main" type="submit" wide busy={submit.busy} disabled={!token} testid="gate-enrol">Enrol this device</Button>
            </form>
        </section>
    );
}

function useScans(device: Device): { shown: Shown | null; recent: Recent[]; waiting: number; scan: (code: string) => void; clear: () => void; again: () => void; busy: () => boolean } {
    const [shown, setShown] = useState<Shown | null>(null);
    const [recent, setRecent] = useState<Recent[]>([]);
    const [waiting, setWaiting] = useState(0);
    const queue = useRef<string[]>([]);
    const running = useRef(false);

    const finish = (next: Shown, look: Recent['look'], words: string): void => {
        setShown(next);
        signal(look);
        setRecent((old) => [{ at: new Date().toISOString(), look, words }, ...old].slice(0, RECENT_MAX));
    };
    const one = async (code: string): Promise<void> => {
        setShown({ kind: 'checking' });
        try {
            const scan = await scanCode(device, code);
            finish({ kind: 'scan', scan }, scan.verdict === 'admitted' ? 'admitted' : 'rejected', scan.ticket?.place ?? scan.reason.replace(/_/g, ' '));
        } catch (error) {
            const lost = !(error instanceof Problem) || error.status === 0 || error.status >= 500 || error.status === 429;
            if (lost) finish({ kind: 'uncertain', code, why: 'Nobody knows yet whether this ticket is good. Ask again; the number of this scan stays the same, so nothing is counted twice.' }, 'uncertain', 'no answer');
            else if (error.status === 401 || error.status === 403) finish({ kind: 'refused', why: `${sentence(error)} Ask your organiser for a new enrolment.` }, 'rejected', 'scanner refused');
            else finish({ kind: 'refused', why: sentence(error) }, 'rejected', error.slug.replace(/_/g, ' '));
        }
        setWaiting(await flush(device));
    };
    const run = async (): Promise<void> => {
        if (running.current) return;
        running.current = true;
        try {
            for (let code = queue.current.shift(); code !== undefined; code = queue.current.shift()) await one(code);
        } finally {
            running.current = false;
        }
    };
    const scan = useCallback((raw: string) => {
        const code = normaliseCode(raw);
        if (!code || queue.current.length >= 4) return;
        queue.current.push(code);
        void run();
    }, [device]);
    useEffect(() => {
        const again = (): void => {
            if (!running.current) flush(device).then(setWaiting, () => undefined);
        };
        again();
        const timer = setInterval(again, FLUSH_MS);
        addEventListener('online', again);
        return () => {
            clearInterval(timer);
            removeEventListener('online', again);
        };
    }, [device]);
    return {
        shown, recent, waiting, scan,
        clear: () => setShown(null),
        again: () => shown?.kind === 'uncertain' && scan(shown.code),
        busy: () => running.current,
    };
}

function CameraBox({ onCode }: { onCode: (code: string) => void }): JSX.Element {
    const video = useRef<HTMLVideoElement>(null);
    const [camera, setCamera] = useState<Camera | null>(null);
    const [light, setLight] = useState(false);
    const latest = useRef(onCode);
    latest.current = onCode;
    const [failure, setFailure] = useState('');
    const start = useSubmit(async () => {
        unlockSound();
        setFailure('');
        if (!video.current) return;
        try {
            setCamera(await startCamera(video.current, (code) => latest.current(code)));
        } catch (error) {
            setFailure(cameraWords(error));
        }
    });
    useEffect(() => () => camera?.stop(), [camera]);
    useEffect(() => {
        warmDecoder().catch(() => undefined); // told when the camera is started
    }, []);
    const toggle = (): void => {
        camera?.torch?.(!light).then(() => setLight(!light), () => undefined);
    };
    return (
        <div class={camera ? 'camera camera-on' : 'camera'} data-testid="gate-camera" data-state={camera ? 'on' : 'off'}>
            <video ref={video} playsInline muted aria-label="Picture of the camera" />
            {camera && <span class="camera-frame" aria-hidden="true" />}
            {!camera && <div class="camera-start">
                {failure && <Notice kind="bad" testid="gate-camera-error"><p>{failure}</p></Notice>}
                <Button kind="main" busy={start.busy} onClick={start.run} testid="gate-start-camera">Start the camera</Button>
            </div>}
            {camera?.torch && <button type="button" class="camera-light" aria-pressed={light} onClick={toggle} data-testid="gate-torch">Light</button>}
        </div>
    );
}

function ScanPage({ device, onForget }: { device: Device; onForget: () => void }): JSX.Element {
    const scans = useScans(device);
    const [typed, setTyped] = useState('');
    const presence = useRef(new Presence());
    const admitted = scans.recent.filter((item) => item.look === 'admitted').length;
    useEffect(keepAwake, []);
    useEffect(() => listenToWedge((code) => {
        unlockSound();
        scans.scan(code);
    }), [device]);
    const seen = (code: string): void => {
        if (!scans.busy() && presence.current.seen(code, performance.now())) scans.scan(code);
    };
    const next = (): void => {
        presence.current.rearm(performance.now());
        scans.clear();
    };
    const submit = (event: Event): void => {
        event.preventDefault();
        unlockSound();
        if (!typed.trim()) return;
        scans.scan(typed);
        setTyped('');
    };
    return (
        <>
            <div class="behind" inert={scans.shown !== null}>
                <div class="row between">
                    <Heading over={device.event.name}>{device.gate}</Heading>
                    <p class="soft" data-testid="gate-device">{device.name}{admitted > 0 && ` · ${admitted} just admitted`}</p>
                </div>
                {scans.waiting > 0 && <Notice kind="warn" testid="gate-waiting"><p>{scans.waiting === 1 ? 'One scan waits' : `${scans.waiting} scans wait`} for an answer; this page keeps asking.</p></Notice>}
                <CameraBox onCode={seen} />
                <form class="manual" onSubmit={submit}>
                    <label for="manual">Code, typed or from a hand scanner</label>
                    <div class="manual-in">
                        <input id="manual" data-testid="gate-manual-input" value={typed} autoComplete="off" autoCapitalize="characters" spellcheck={false} maxLength={1100} onInput={(event) => setTyped(event.currentTarget.value)} />
                        <Button kind="main" type="submit" testid="gate-manual-submit">Check</Button>
                    </div>
                </form>
                {scans.recent.length > 0 && (
                    <section aria-labelledby="recent" class="stack"><h2 id="recent">Just now</h2>
                        <ul class="lines recent" data-testid="gate-recent">{scans.recent.map((item, i) => (
                            <li key={`${item.at} ${i}`}><span class={`badge ${item.look === 'admitted' ? 'badge-good' : item.look === 'rejected' ? 'badge-bad' : 'badge-warn'}`}>{item.look === 'admitted' ? '✓' : item.look === 'rejected' ? '✕' : '?'}<span class="visually-hidden"> {item.look}</span></span> <span class="recent-words">{item.words}</span> <span class="soft num">{clockSeconds(item.at, device.event.time_zone)}</span></li>
                        ))}</ul>
                    </section>
                )}
                <details class="about-device"><summary>This device</summary>
                    <dl class="facts"><dt>Number</dt><dd>{device.id}</dd><dt>Enrolled</dt><dd>{device.enrolledAt}</dd></dl>
                    <Button kind="danger" onClick={onForget} disabled={scans.waiting > 0} testid="gate-forget">Forget the enrolment</Button>
                </details>
            </div>
            {scans.shown && <Verdict shown={scans.shown} zone={device.event.time_zone} onNext={next} onAgain={scans.again} />}
        </>
    );
}

function App(): JSX.Element {
    const [device, setDevice] = useState<Device | null>();
    const [failure, setFailure] = useState<unknown>();
    const [wanted, setWanted] = useState(Boolean(tokenOf(location.hash)));
    useEffect(() => {
        readDevice().then(setDevice, setFailure);
        const moved = (): void => setWanted(Boolean(tokenOf(location.hash)));
        addEventListener('hashchange', moved);
        return () => removeEventListener('hashchange', moved);
    }, []);
    const forget = (): void => {
        forgetDevice().then(() => setDevice(null), setFailure);
    };
    let page: JSX.Element;
    if (failure) page = <Notice kind="bad"><p>This browser keeps nothing (private window?), so it cannot be a scanner.</p></Notice>;
    else if (device === undefined) page = <Pending error={undefined} what="the scanner" />;
    else if (!device || wanted) {
        page = <>
            {device && <Notice kind="warn"><p>This is the scanner “{device.name}” already. Enrolling it again replaces that. <button type="button" class="button button-quiet" onClick={() => { history.replaceState(null, '', '/gate/'); setWanted(false); }}>Keep it as it is</button></p></Notice>}
            <EnrolPage onDone={(made) => { setDevice(made); setWanted(false); }} />
        </>;
    } else page = <ScanPage key={device.id} device={device} onForget={forget} />;
    return <Shell brand={<Brand href="/gate/" sub="gate" />}>{page}</Shell>;
}

const root = document.getElementById('app');
if (root) render(<App />, root);
