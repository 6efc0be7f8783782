// SPDX-License-Identifier: Apache-2.0
//
// camera - frames from the camera, decoded by zxing compiled to WebAssembly, which comes from our own origin and nowhere else.
import wasmUrl from 'zxing-wasm/reader/zxing_reader.wasm';

const BETWEEN_FRAMES_MS = 80;
const FRAME_MAX_PX = 960;

type Decode = (image: ImageData) => Promise<string | null>;

async function loadDecoder(): Promise<Decode> {
    const { prepareZXingModule, readBarcodes } = await import('zxing-wasm/reader');
    // Without this the module would fetch its code from a public CDN.
    await prepareZXingModule({ overrides: { locateFile: () => new URL(wasmUrl, location.origin).href }, fireImmediately: true });
    return async (image) => {
        const [found] = await readBarcodes(image, { formats: ['QRCode'], maxNumberOfSymbols: 1, tryHarder: true });
        return found?.isValid && found.text ? found.text : null;
    };
}

let decoder: Promise<Decode> | undefined;

/** Fetch and compile early, so that the first scan is as quick as the second. */
export function warmDecoder(): Promise<Decode> {
    decoder ??= loadDecoder().catch((error: unknown) => {
        decoder = undefined;
        throw error;
    });
    return decoder;
}

export interface Camera {
    stop: () => void;
    torch: ((on: boolean) => Promise<void>) | null;
}

export async function startCamera(video: HTMLVideoElement, onCode: (code: string) => void): Promise<Camera> {
    const [decode, stream] = await Promise.all([
        warmDecoder(),
        navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } } }),
    ]);
    video.srcObject = stream;
    await video.play();
    const track = stream.getVideoTracks()[0];
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });
    let stopped = false;

    const look = async (): Promise<void> => {
        const { videoWidth, videoHeight } = video;
        if (!context || videoWidth === 0 || document.hidden) return;
        const scale = Math.min(1, FRAME_MAX_PX / Math.max(videoWidth, videoHeight));
        canvas.width = Math.round(videoWidth * scale);
        canvas.height = Math.round(videoHeight * scale);
        context.drawImage(video, 0, 0, canvas.width, canvas.height);
        const code = await decode(context.getImageData(0, 0, canvas.width, canvas.height));
        if (code && !stopped) onCode(code);
    };
    const loop = (): void => {
        if (stopped) return;
        const began = performance.now();
        look().catch(() => undefined).finally(() => setTimeout(next, Math.max(0, BETWEEN_FRAMES_MS - (performance.now() - began))));
    };
    const next = (): void => {
        if (stopped) return;
        if ('requestVideoFrameCallback' in video && !document.hidden) video.requestVideoFrameCallback(loop);
        else setTimeout(loop, BETWEEN_FRAMES_MS);
    };
    loop();

    const capabilities = track?.getCapabilities?.() as (MediaTrackCapabilities & { torch?: boolean }) | undefined;
    return {
        stop: () => {
            stopped = true;
            for (const one of stream.getTracks()) one.stop();
            video.srcObject = null;
        },
        torch: capabilities?.torch && track
            ? (on) => track.applyConstraints({ advanced: [{ torch: on } as MediaTrackConstraintSet] })
            : null,
    };
}

export function cameraWords(error: unknown): string {
    const name = error instanceof DOMException ? error.name : '';
    if (name === 'NotAllowedError') return 'The camera was not allowed. Allow it in the browser’s settings for this page, or use a hand scanner or the field below.';
    if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'There is no camera here. Use a hand scanner or the field below.';
    if (name === 'NotReadableError') return 'Another app is using the camera. Close it and try again.';
    if (!('mediaDevices' in navigator)) return 'This page has no camera without HTTPS. Use a hand scanner or the field below.';
    return 'The camera could not be started. Use a hand scanner or the field below.';
}
