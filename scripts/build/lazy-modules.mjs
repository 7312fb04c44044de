/**
 * Modules of Node that most runs never need, and what it costs to load them with all that they load in turn: child_process, tty and net with
 * the streams, crypto with all its algorithms. In the bundle, each of their functions loads its module when it is first called.
 */
const SLOW = ['child_process', 'crypto', 'net', 'os', 'tty'];

/** Asked at the start by chalk and by the program itself. Where it is no character device, node:tty is not needed for the answer. */
const TTY = `
import { fstatSync } from 'node:fs';
const DEV_NULL = 0x103;
const mayBeTerminal = (descriptor) => {
  try {
    const { rdev, mode } = fstatSync(descriptor);
    return (mode & 0o170000) === 0o020000 && rdev !== DEV_NULL;
  } catch {
    return false;
  }
};
export const isatty = (descriptor) => mayBeTerminal(descriptor) && require('node:tty').isatty(descriptor);
export default { isatty };
`;

/** Its styles take longer to make than most commands take to run, and are needed only where there are colours. */
const CHALK = `
export class Chalk {
  constructor(options) {
    return new (require('chalk').Chalk)(options);
  }
}
`;

/** An esbuild plugin. Values of builtins that are not functions, and classes, are left out: a use of them fails the build. */
export const lazyModules = {
  name: 'lazy-modules',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(node:)?(${SLOW.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'lazy' ? { path, external: true } : { path: path.replace('node:', ''), namespace: 'lazy' },
    );
    build.onResolve({ filter: /^chalk$/ }, ({ path, namespace }) => (namespace === 'lazy' ? undefined : { path, namespace: 'lazy' }));
    build.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => ({
      contents: path === 'chalk' ? CHALK : path === 'tty' ? TTY : await wrappers(path),
      resolveDir: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
    }));
  },
};

async function wrappers(name) {
  const { default: builtin } = await import(`node:${name}`);
  const functions = Object.keys(builtin).filter((key) => typeof builtin[key] === 'function' && /^[a-z]/.test(key));
  return [
    ...functions.map((key) => `export const ${key} = (...args) => require('node:${name}').${key}(...args);`),
    `export default { ${functions.join(', ')} };`,
  ].join('\n');
}
