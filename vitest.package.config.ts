import { defineConfig } from 'vitest/config';

/** What `npm publish` would publish, run by `npm run test:package`: builds, packs and installs, which takes half a minute. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    testTimeout: 5 * 60_000,
    hookTimeout: 5 * 60_000,
    maxWorkers: 2,
  },
});
