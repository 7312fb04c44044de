import { expect, test } from 'vitest';
import { execFileSync } from 'node:child_process';
import { ROOT } from './packed.js';

// Also fails where an export has no docstring, or needs a type that is not exported.
test('docs/api.md is what the docstrings say', () => {
  expect(execFileSync(process.execPath, ['scripts/api-reference.mjs', '--verify'], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })).toBe(
    '',
  );
});
