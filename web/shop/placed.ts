// SPDX-License-Identifier: Apache-2.0
//
// placed - the order that was placed a moment ago, as it was answered, so that the checkout page need not ask for it again. It is
// given once: whoever comes later asks the server.
import type { Order } from '../shared/types';

let placed: Order | undefined;

export function rememberPlaced(order: Order): void {
    placed = order;
}

export function takePlaced(id: string): Order | undefined {
    const taken = placed?.id === id ? placed : undefined;
    placed = undefined;
    return taken;
}
