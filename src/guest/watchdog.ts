import { spawn } from 'node:child_process';
import { KdumpError } from '../errors.js';
import type { Qmp } from './qmp.js';

/** Resumes the guest when this process ends without having said that it need not. */
export interface Watchdog {
  /** All is well: it ends without a word. */
  dismiss(): void;
  /** It resumes the guest now. */
  release(): void;
}

/**
 * Reads a line from its standard input. If that ends without one, the process that holds the other end is dead, however it died: the kernel closes
 * its descriptors. Descriptor 3 is the monitor's socket, connected and negotiated. The byte 0xff makes QEMU forget a command that was cut
 * (docs/interop/qmp-spec, "Forcing the JSON parser into known-good state"). QEMU drops commands of a client that leaves (monitor_qmp_event in
 * monitor/qmp.c), so it waits for the answer, on a socket that does not block.
 */
const SCRIPT = `trap '' HUP INT TERM PIPE
read -r word
[ "$word" = done ] && exit 0
tries=0
until printf '\\377{"execute":"cont","id":"watchdog"}\\n' >&3; do
  tries=$((tries + 1)); [ $tries -gt 100 ] && exit 1
  sleep 0.1
done
while [ $tries -lt 200 ]; do
  if read -r answer <&3; then
    case $answer in *'"watchdog"'*) exit 0 ;; esac
  else
    tries=$((tries + 1)); sleep 0.1
  fi
done`;

/** Starts it, in a session of its own, so that no terminal's Ctrl-C reaches it. @throws KdumpError `io` when there is no sh */
export async function startWatchdog(qmp: Qmp): Promise<Watchdog> {
  const child = spawn('/bin/sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore', qmp.socket], cwd: '/' });
  // Node stops reading a stream that it hands on.
  qmp.socket.resume();
  const pipe = child.stdin;
  // Its end may come before ours.
  pipe?.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(
        new KdumpError('io', 'cannot start the process that resumes the guest if this one dies', { file: '/bin/sh', found: error.message }),
      );
    });
  });
  child.unref();
  return {
    dismiss: () => {
      pipe?.end('done\n');
    },
    release: () => {
      pipe?.end();
    },
  };
}
