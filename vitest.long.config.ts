import { defineConfig } from 'vitest/config';
import { LONG } from './vitest.config.js';

/** The slow variants of tests, run by `npm run test:long`: files of a minute or two each, so that two at a time end together. */
export default defineConfig({
  test: {
    include: [...LONG, 'test/conformance/**/*.test.ts', 'test/patch/full-disk.test.ts'],
    env: { KDUMP_HOTPLUG_EVERY_WAY: '1' },
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 60 * 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
