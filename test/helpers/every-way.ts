/**
 * Whether captures are tried in every way that an image can be given. `npm test` tries them all with one guest of each architecture and the
 * quickest with the other; `npm run test:long` sets this.
 */
export const EVERY_WAY = process.env.KDUMP_HOTPLUG_EVERY_WAY !== undefined;
