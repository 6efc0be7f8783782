// SPDX-License-Identifier: Apache-2.0
//
// stream - server-sent events that are open only while somebody looks.
//
// The connection is closed when the page is hidden and opened anew when it is seen again; onOpen is called at every new
// connection, so that the caller fetches what it may have missed.

export interface StreamHandlers {
    onOpen: () => void;
    onState?: (live: boolean) => void;
    events: Record<string, (data: string) => void>;
}

export function openStream(url: string, handlers: StreamHandlers): () => void {
    let source: EventSource | null = null;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let ended = false;

    const close = (): void => {
        clearTimeout(retry);
        source?.close();
        source = null;
    };
    const open = (): void => {
        if (ended || source || document.hidden) return;
        const opened = new EventSource(url);
        source = opened;
        opened.onopen = () => {
            handlers.onState?.(true);
            handlers.onOpen();
        };
        opened.onerror = () => {
            handlers.onState?.(false);
            if (opened.readyState !== EventSource.CLOSED) return; // it tries again by itself
            close();
            retry = setTimeout(open, 3_000 + Math.random() * 4_000);
        };
        for (const [name, handle] of Object.entries(handlers.events)) {
            opened.addEventListener(name, (event) => handle(String((event as MessageEvent<unknown>).data)));
        }
    };
    const look = (): void => {
        if (document.hidden) close();
        else open();
    };
    document.addEventListener('visibilitychange', look);
    addEventListener('pagehide', close);
    addEventListener('pageshow', look);
    open();
    return () => {
        ended = true;
        document.removeEventListener('visibilitychange', look);
        removeEventListener('pagehide', close);
        removeEventListener('pageshow', look);
        close();
    };
}
