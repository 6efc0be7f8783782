// SPDX-License-Identifier: Apache-2.0
//
// signals - sound and vibration of a verdict. The screen alone must be enough: either may be missing.

export type Tone = 'admitted' | 'rejected' | 'uncertain';

let audio: AudioContext | undefined;

/** Browsers allow sound only after somebody touched the page. */
export function unlockSound(): void {
    try {
        audio ??= new AudioContext();
        void audio.resume();
    } catch {
        audio = undefined;
    }
}

const tunes: Record<Tone, { notes: [hz: number, at: number, length: number][]; wave: OscillatorType; buzz: number[] }> = {
    admitted: { notes: [[880, 0, 0.09], [1320, 0.1, 0.16]], wave: 'sine', buzz: [80] },
    rejected: { notes: [[196, 0, 0.28], [147, 0.34, 0.45]], wave: 'square', buzz: [220, 90, 220, 90, 420] },
    uncertain: { notes: [[440, 0, 0.12], [440, 0.2, 0.12], [440, 0.4, 0.12]], wave: 'triangle', buzz: [120, 80, 120] },
};

export function signal(tone: Tone): void {
    const { notes, wave, buzz } = tunes[tone];
    navigator.vibrate?.(buzz);
    if (!audio || audio.state !== 'running') return;
    for (const [hz, at, length] of notes) {
        const start = audio.currentTime + at;
        const oscillator = audio.createOscillator();
        const gain = audio.createGain();
        oscillator.type = wave;
        oscillator.frequency.value = hz;
        gain.gain.setValueAtTime(0.0001, start);
        gain.gain.exponentialRampToValueAtTime(0.4, start + 0.012);
        gain.gain.exponentialRampToValueAtTime(0.0001, start + length);
        oscillator.connect(gain).connect(audio.destination);
        oscillator.start(start);
        oscillator.stop(start + length + 0.02);
    }
}

/** Keep the screen on; asked again whenever the page is seen again. */
export function keepAwake(): () => void {
    let lock: WakeLockSentinel | undefined;
    let ended = false;
    const ask = (): void => {
        if (ended || document.hidden || !('wakeLock' in navigator)) return;
        navigator.wakeLock.request('screen').then((given) => {
            if (ended) void given.release();
            else lock = given;
        }, () => undefined); // refused when the battery is low: scanning goes on
    };
    ask();
    document.addEventListener('visibilitychange', ask);
    return () => {
        ended = true;
        document.removeEventListener('visibilitychange', ask);
        void lock?.release();
    };
}
