import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { EXAMPLES, Machine, writeState } from './examples.js';
import { has } from '../helpers/run.js';

export const hasAnsible = has('ansible-playbook');

type Variables = Record<string, unknown>;

/** What became of one image. */
export interface Played {
  readonly changed: boolean;
  readonly failed: boolean;
  /** Of the task that failed. */
  readonly message?: string;
}

export interface Play {
  readonly status: number | null;
  readonly hosts: Readonly<Record<string, Played>>;
  readonly output: string;
}

/** The playbook in a folder of its own, with an inventory of images on this machine. */
export class Fleet {
  readonly machine: Machine;
  readonly folder: string;

  constructor(root: string, images: Readonly<Record<string, Variables>>) {
    this.machine = new Machine(root);
    this.folder = join(root, 'ansible');
    cpSync(join(EXAMPLES, 'ansible'), this.folder, { recursive: true });
    const state = join(root, 'state');
    mkdirSync(state);
    writeState(state);
    const vars = { ansible_connection: 'local', ansible_python_interpreter: '/usr/bin/python3' };
    writeFileSync(join(this.folder, 'inventory.yml'), stringify({ kdump_images: { vars, hosts: images } }));
  }

  /** Runs one of the documented commands in the folder of the playbook. */
  play(command: string): Play {
    const env = { ANSIBLE_LOCAL_TEMP: join(this.machine.root, 'tmp'), ANSIBLE_NOCOLOR: '1', ANSIBLE_LOCALHOST_WARNING: '0' };
    const { status, stdout, stderr } = this.machine.shell(command, { cwd: this.folder, env });
    const output = stdout + stderr;
    const messages = new Map(
      [...output.matchAll(/^fatal: \[([^\]]+)\]: FAILED! => (\{.*\})$/gm)].map(([, host = '', json = '']) => [
        host,
        (JSON.parse(json) as { msg: string }).msg,
      ]),
    );
    const recap = [...output.matchAll(/^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)/gm)];
    const hosts = recap.map(([, host = '', changed, failed]): [string, Played] => {
      const message = messages.get(host);
      return [host, { changed: changed === '1', failed: failed === '1', ...(message === undefined ? {} : { message }) }];
    });
    return { status, hosts: Object.fromEntries(hosts), output };
  }
}
