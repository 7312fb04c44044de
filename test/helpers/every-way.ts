/**
 * Whether captures are tried in every way that an image can be given. `npm test` tries one way with each; `npm run test:long`
 * sets this.
 */
export const EVERY_WAY = process.env.KDUMP_HOTPLUG_EVERY_WAY !== undefined;
