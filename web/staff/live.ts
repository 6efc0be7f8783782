// SPDX-License-Identifier: Apache-2.0
//
// live - the one stream of the console: alerts and figures as they happen. What was missed while the page was hidden or the
// connection gone is fetched whenever the stream opens.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { get } from '../shared/api';
import { openStream } from '../shared/stream';
import type { Alert, Page } from '../shared/types';
import type { Figures } from './context';

const ALERTS_MAX = 200;

function readJson(text: string): Record<string, unknown> | null {
    try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
    } catch {
        return null;
    }
}

const merge = (list: Alert[], alert: Alert): Alert[] => {
    const known = list.findIndex((item) => item.id === alert.id);
    if (known >= 0) return list.map((item, i) => (i === known ? { ...item, ...alert } : item));
    return [alert, ...list].slice(0, ALERTS_MAX);
};

export interface Live {
    figures: Map<string, Figures>;
    alerts: Alert[] | undefined;
    alertsError: unknown;
    setAlert: (alert: Alert) => void;
    live: boolean;
}

export function useLive(organiser: string, follow: boolean, readAlerts: boolean): Live {
    const [figures, setFigures] = useState(new Map<string, Figures>());
    const [alerts, setAlerts] = useState<Alert[]>();
    const [alertsError, setAlertsError] = useState<unknown>();
    const [live, setLive] = useState(false);
    const setAlert = useCallback((alert: Alert) => setAlerts((old) => merge(old ?? [], alert)), []);
    useEffect(() => {
        const fetchAlerts = (): void => {
            if (!readAlerts) return;
            get<Page<Alert>>(`/api/v1/organisers/${organiser}/alerts?limit=${ALERTS_MAX}`).then((page) => {
                setAlerts(page.data);
                setAlertsError(undefined);
            }, setAlertsError);
        };
        fetchAlerts();
        if (!follow) return;
        return openStream(`/api/v1/organisers/${organiser}/stream`, {
            onOpen: fetchAlerts,
            onState: setLive,
            events: {
                alert: (data) => {
                    const alert = readJson(data);
                    if (alert && typeof alert.id === 'string' && typeof alert.kind === 'string') setAlert(alert as unknown as Alert);
                },
                // One event, or all of the organiser's.
                figures: (data) => {
                    const told: unknown = readJson(data);
                    const list = (Array.isArray(told) ? told : [told]) as (Partial<Figures> | null)[];
                    setFigures((old) => {
                        const next = new Map(old);
                        for (const figure of list) if (typeof figure?.event === 'string') next.set(figure.event, figure as Figures);
                        return next;
                    });
                },
            },
        });
    }, [organiser]);
    return { figures, alerts, alertsError, setAlert, live };
}
