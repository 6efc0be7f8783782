// SPDX-License-Identifier: Apache-2.0
//
// wedge - hand scanners that type: characters in quick succession and Enter, wherever the focus is. Typing into a field is
// left alone. The keys of a code must not press buttons on their way: blanks and Enter are kept from the page.

const GAP_MS = 1_000;
const SHORTEST = 4;
const LONGEST = 2_048;

export function listenToWedge(onCode: (code: string) => void): () => void {
    let typed = '';
    let last = 0;
    const key = (event: KeyboardEvent): void => {
        const target = event.target as HTMLElement | null;
        if (target?.closest('input, textarea, select') || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.timeStamp - last > GAP_MS) typed = '';
        last = event.timeStamp;
        if (event.key === 'Enter') {
            const code = typed;
            typed = '';
            if (code.length < SHORTEST) return;
            event.preventDefault();
            event.stopPropagation();
            onCode(code);
        } else if (event.key.length === 1 && typed.length < LONGEST) {
            if (event.key === ' ' && typed === '') return;
            typed += event.key;
            if (event.key === ' ') event.preventDefault();
        }
    };
    // A button is pressed when the blank is let go of.
    const up = (event: KeyboardEvent): void => {
        if (event.key === ' ' && typed !== '') event.preventDefault();
    };
    document.addEventListener('keydown', key, { capture: true });
    document.addEventListener('keyup', up, { capture: true });
    return () => {
        document.removeEventListener('keydown', key, { capture: true });
        document.removeEventListener('keyup', up, { capture: true });
    };
}
