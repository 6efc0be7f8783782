// SPDX-License-Identifier: Apache-2.0
//
// context - what every staff page knows: who works here, for which organiser, and what the live stream has told.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Alert, Me } from '../shared/types';

export const SITE = 'Gatehouse staff';

export interface Organiser {
    id: string;
    name: string;
    slug?: string;
}

export interface Figures {
    event: string;
    sold: number;
    held: number;
    free: number;
    admitted: number;
}

export interface Desk {
    me: Me;
    organiser: Organiser;
    owner: boolean;
    /** By event id, as the stream last told. */
    figures: Map<string, Figures>;
    /** Newest first, live. */
    alerts: Alert[] | undefined;
    alertsError: unknown;
    setAlert: (alert: Alert) => void;
    live: boolean;
    /** Roles of this person with this organiser. */
    can: (...roles: string[]) => boolean;
}

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
    const desk = useContext(DeskContext);
    if (!desk) throw new Error('no desk');
    return desk;
}

export const under = (desk: Desk, path: string): string => `/api/v1/organisers/${desk.organiser.id}/${path}`;
