import { defineConfig } from 'vitest/config';

/** The slow variants of tests, run by `npm run test:long`. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 20 * 60_000,
  },
});
