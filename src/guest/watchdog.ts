import { spawn } from 'node:child_process';
import { KdumpError } from '../errors.js';
import type { Qmp } from './qmp.js';

/** Resumes the guest when this process ends without having said that it need not, or is not done in time. */
export interface Watchdog {
  /** All is well: it ends without a word. */
  dismiss(): void;
  /** It resumes the guest now. */
  release(): void;
}

/**
 * Reads a word from its standard input. If that ends without one, the process that holds the other end is dead, however it died: the kernel closes
 * its descriptors. If it does not end within $1 seconds, that process is stopped or waits for a disk. Whenever it goes on, it would write into a
 * guest that runs, so it is killed first: it runs no further instruction, stopped or not, and the end of the pipe shows that it is gone. That is
 * waited for, but not for long: a call that waits for a disk cannot be ended.
 *
 * Descriptor 3 is the monitor's socket, connected and negotiated. The byte 0xff makes QEMU forget a command that was cut (docs/interop/qmp-spec,
 * "Forcing the JSON parser into known-good state"). QEMU drops commands of a client that leaves (monitor_qmp_event in monitor/qmp.c), so it
 * waits for the answer, on a socket that does not block.
 */
const SCRIPT = `trap '' HUP INT TERM PIPE
command -v timeout >/dev/null && command -v cat >/dev/null || exit 1
echo ready
word=$(timeout -s KILL "$1" cat)
status=$?
[ "$word" = done ] && exit 0
if [ $status -ne 0 ]; then
  read -r pid name state parent rest </proc/$$/stat
  if [ "$parent" = $PPID ]; then
    kill -KILL $PPID
    echo "kdump-hotplug: the guest stood still for $1 s: this program was ended, and the guest resumed; the next command with --qmp rolls back what is half written" >&2
    timeout -s KILL 2 cat >/dev/null
  fi
fi
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

/**
 * Starts it, in a session of its own, so that no terminal's Ctrl-C reaches it.
 *
 * @param seconds how long it waits for the word, from now on
 * @throws KdumpError `io` when it cannot be started
 */
export async function startWatchdog(qmp: Qmp, seconds: number): Promise<Watchdog> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', String(seconds)], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit', qmp.socket],
    cwd: '/',
  });
  // Node stops reading a stream that it hands on.
  qmp.socket.resume();
  const { stdin, stdout } = child;
  // Its end may come before ours.
  stdin?.on('error', () => undefined);
  stdout?.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    const fail = (found: string): void => {
      reject(
        new KdumpError('io', 'cannot start the process that resumes the guest if this one does not', {
          file: '/bin/sh',
          found,
          expected: 'a shell, and timeout and cat of coreutils in PATH',
        }),
      );
    };
    stdout?.once('data', () => {
      resolve();
    });
    child.once('error', (error) => {
      fail(error.message);
    });
    child.once('exit', () => {
      fail('it ended at once');
    });
  });
  stdout?.destroy();
  child.unref();
  return {
    dismiss: () => {
      stdin?.end('done\n');
    },
    release: () => {
      stdin?.end();
    },
  };
}
