import { execFileSync } from 'node:child_process';

/** Makes the program that the command-line tests run. */
export default function bundle(): void {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}
