import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'node_modules'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allow: [{ name: ['bigint'], from: 'lib' }] }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    // fs.writeSync ignores a position that is not a safe integer and writes at the file's current offset instead.
    // One module owns the calls that take a position.
    files: ['src/**/*.ts', 'bin/**/*.ts'],
    ignores: ['src/file/node-file-system.ts', 'src/file/standard-streams.ts', 'src/file/unnamed-file.ts'],
    rules: {
      'no-restricted-imports': ['error', { paths: ['fs', 'node:fs', 'fs/promises', 'node:fs/promises'] }],
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        Buffer: 'readonly',
        process: 'readonly',
        __filename: 'readonly',
        __dirname: 'readonly',
        module: 'readonly',
        exports: 'readonly',
      },
    },
  },
  { files: ['**/*.mjs'], languageOptions: { globals: { console: 'readonly', process: 'readonly', Buffer: 'readonly', URL: 'readonly' } } },
);
