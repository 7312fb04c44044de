import { defineConfig } from 'vitest/config';

/** The tests that `scripts/mutation.mjs` chooses for the folder that it has broken. */
export default defineConfig({
  test: {
    include: (process.env.KDUMP_HOTPLUG_MUTATION_TESTS ?? '').split(' '),
    testTimeout: 60_000,
    // Loading takes longer than most of these tests.
    isolate: false,
  },
});
