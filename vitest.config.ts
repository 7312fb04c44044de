import { defineConfig } from 'vitest/config';

/** Files that take long, or wait for other programs: `npm run test:long` runs them. */
export const LONG = [
  'test/long/**/*.test.ts',
  'test/report/browser.test.ts',
  'test/guest/deadline.test.ts',
  'test/guest/qemu.test.ts',
  'test/guest/virtio-mem.test.ts',
  'test/conformance/qemu-dumps.test.ts',
  'test/examples/ansible.test.ts',
  'test/examples/ci-jobs.test.ts',
  'test/library/examples.test.ts',
];

/** Folders of src of whose branches 95 % have to be gone through. */
const HELD = ['arch', 'bytes', 'check', 'description', 'elf', 'fdt', 'image', 'journal', 'machine', 'memory', 'patch', 'plan', 'text'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...LONG, 'test/package/**', 'node_modules/**'],
    globalSetup: ['test/helpers/bundle.ts'],
    // For what hangs: a machine that does something else takes many times as long.
    testTimeout: 5 * 60_000,
    hookTimeout: 60_000,
    // For two cores: many tests wait for programs that they start.
    maxWorkers: 3,
    // Half a second of loading for each of a hundred files; no test changes what others see, but by files of its own.
    isolate: false,
    // Programs that tests start are not counted, so the folders that these try alone are not held to a figure.
    coverage: {
      include: ['src/**'],
      exclude: ['src/cli/**'],
      thresholds: Object.fromEntries(HELD.map((folder) => [`src/${folder}/**`, { branches: 95 }])),
    },
  },
});
