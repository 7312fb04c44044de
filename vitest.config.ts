import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/package/**', 'test/report/browser.test.ts', 'node_modules/**'],
    globalSetup: ['test/helpers/bundle.ts'],
    testTimeout: 60_000,
    maxWorkers: 2,
    coverage: { include: ['src/**'], exclude: ['src/cli/**'] },
  },
});
