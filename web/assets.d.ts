// SPDX-License-Identifier: Apache-2.0
// What build.mjs makes of imports that are not TypeScript: style sheets join the page's own, the others become an address.
declare module '*.css';
declare module '*.svg' {
    const url: string;
    export default url;
}
declare module '*.png' {
    const url: string;
    export default url;
}
