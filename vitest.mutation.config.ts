import { defineConfig } from 'vitest/config';

/** The tests that `npm run mutation` asks: those of range arithmetic, FDT edits and the journal that run within the process and in milliseconds. */
export default defineConfig({
  test: {
    include: [
      'test/memory/**/*.test.ts',
      'test/fdt/{edit,edit.property,parse}.test.ts',
      'test/journal/*.test.ts',
      'test/patch/{recover,undo,undo-order}.test.ts',
      'test/plan/plan-memory.test.ts',
    ],
    testTimeout: 60_000,
  },
});
