// SPDX-License-Identifier: Apache-2.0
//
// placed - the order that was placed a moment ago, as it was answered, so that the checkout page need not ask for it again.
import type { Order } from '../shared/types';

let placed: Order | undefined;

export function rememberPlaced(order: Order): void {
    placed = order;
}

export function justPlaced(id: string): Order | undefined {
    return placed?.id === id ? placed : undefined;
}
