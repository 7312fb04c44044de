import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 30_000,
    coverage: { include: ['src/**'], exclude: ['src/cli/**'] },
  },
});
