import { defineConfig } from 'vitest/config';

/** Real guests that crash, run by `npm run e2e`. One guest at a time: under emulation each takes a processor of its own. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.e2e.ts'],
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 15 * 60_000,
    hookTimeout: 15 * 60_000,
    maxWorkers: 1,
    fileParallelism: false,
  },
});
