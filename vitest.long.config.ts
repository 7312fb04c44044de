import { defineConfig } from 'vitest/config';

/** The slow variants of tests, run by `npm run test:long`: files of a minute or two each, so that two at a time end together. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 20 * 60_000,
    maxWorkers: 2,
  },
});
