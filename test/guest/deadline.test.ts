import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeQemu } from '../helpers/fake-qemu.js';
import { copyOf } from '../helpers/fixtures.js';
import { has, PROGRAM, scratchFolder } from '../helpers/run.js';
import { start } from '../helpers/start.js';

const folder = scratchFolder();
const CHANGE = ['--add-memory', '0x80000000+256M', '--add-cpu', '2'];

let qemu: FakeQemu;
let image: string;
beforeEach(async () => {
  qemu = await FakeQemu.start();
  image = copyOf('ppc64le-64k', folder);
});
afterEach(() => {
  qemu.end();
});

/** The bytes of the image when the guest is told to run again. */
function bytesWhenResumed(): { bytes: Buffer | undefined; at: number } {
  const seen: { bytes: Buffer | undefined; at: number } = { bytes: undefined, at: 0 };
  qemu.hook = (name) => {
    if (name === 'cont') [seen.bytes, seen.at] = [readFileSync(image), performance.now()];
    return false;
  };
  return seen;
}

describe.skipIf(!has('strace'))('a guest runs again 10 s after it was paused', () => {
  // The journal is the first write, the marker of the elfcorehdr the second.
  test.each([
    ['the program is stopped between two writes', 'signal=STOP:when=3'],
    ['the program is stopped before its last write', 'signal=STOP:when=5'],
    ['a write waits for the disk', 'delay_enter=15000000:when=3'],
  ])('when %s: it is ended before it can write more, and the next command rolls back what it wrote', async (_, fault) => {
    const before = readFileSync(image);
    const seen = bytesWhenResumed();
    const from = performance.now();
    const args = ['-f', '-o', '/dev/null', '-e', `inject=pwrite64:${fault}`];
    const child = spawn('strace', [...args, process.execPath, PROGRAM, 'apply', image, '--qmp', qemu.socket, ...CHANGE]);
    let errors = '';
    child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    const ended = new Promise((resolve) => child.once('close', resolve));
    while (seen.bytes === undefined && performance.now() - from < 30_000) await sleep(50);
    await ended;
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(seen.at - from).toBeLessThan(14_000);
    expect(errors).toContain('the guest stood still for 10 s');
    expect(seen.bytes?.equals(before)).toBe(false);
    expect(readFileSync(image).equals(seen.bytes ?? before)).toBe(true);

    const next = await start(['apply', image, '--qmp', qemu.socket, '--add-memory', '0x0+4096']).ended;
    expect(next.stderr).toContain('it is rolled back');
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('when QEMU is slow to pause it: nothing is written then', async () => {
    const before = readFileSync(image);
    qemu.hook = (name, socket) => {
      if (name !== 'stop') return false;
      const id = qemu.lastId;
      setTimeout(() => {
        qemu.running = false;
        qemu.event('STOP');
        socket.write(`${JSON.stringify({ return: {}, id })}\r\n`);
      }, 6000);
      return true;
    };
    const result = await start(['apply', image, '--qmp', qemu.socket, ...CHANGE]).ended;
    expect(result.status).toBe(5);
    expect(result.stderr).toContain('paused for too long before anything was written');
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('a monitor that says it paused the guest, which runs on', async () => {
    const before = readFileSync(image);
    qemu.hook = (name, socket) => {
      if (name !== 'stop') return false;
      return socket.write(`${JSON.stringify({ return: {}, id: qemu.lastId })}\r\n`);
    };
    const result = await start(['apply', image, '--qmp', qemu.socket, ...CHANGE]).ended;
    expect(result.status).toBe(5);
    expect(result.stderr).toContain('QEMU did not pause the guest');
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('Ctrl-Z in the pause stops the program when the guest runs again', async () => {
    qemu.hook = (name) => {
      if (name === 'stop') program.process.kill('SIGTSTP');
      return false;
    };
    const program = start(['apply', image, '--qmp', qemu.socket, ...CHANGE]);
    while (qemu.runCommands.length < 2) await sleep(20);
    await sleep(200);
    expect(qemu.runCommands).toEqual(['stop', 'cont']);
    program.process.kill('SIGCONT');
    expect(await program.ended).toMatchObject({ status: 0 });
  });
});
