// A program: one case of a process whose server answers in the kernel, in the network namespace that it is started in
// (processes.once.test.ts).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KernelState } from 'ksocket';
import { listening } from '../support/activated.js';
import { Child, type ChildOptions, startCli, startProgram } from '../support/child.js';
import { Asker, answeredAll, ask, hasProgram } from '../support/kernel.js';
import { hosts, OURS_V4 } from '../support/kernel-server.js';
import { forgedFlood } from '../support/programs.js';
import { ip, OURS } from '../support/second-host.js';
import { waitFor } from '../support/wait.js';

/** Of how many sources. */
const FORGED = Number(process.env.KSOCKET_TEST_SOURCES ?? 500_000);

/** Says where it listens and how it answers, and then what it is asked on a line of its input. */
async function serve(
  options: { rules?: string[]; [option: string]: unknown },
  { give, take }: { give?: string; take?: string },
): Promise<void> {
  const { createServer, slot } = await import('ksocket');
  const reply = options.rules ? [slot.counter(8)] : ['k', slot.request(), ' k'];
  const rules = [{ name: 'say', action: { reply, amplify: true } }];
  const server = createServer({
    ...(options.fd ? {} : { address: '0.0.0.0', port: 0 }),
    kernel: true,
    ...options,
    rules,
  });
  const failed = (error: NodeJS.ErrnoException) => {
    console.log(`failed ${error.code} ${error.message}`);
    process.exit(1);
  };
  await (take ? server.takeOver(take) : server.start()).catch(failed);
  if (give) void server.handOver(give);
  console.log(`port ${server.address()?.port}`);
  console.log(`kernel ${JSON.stringify(server.kernel)}`);
  process.stdin.on('data', () => {
    const { answering, rxDatagrams } = server.stats();
    console.log(
      `now ${JSON.stringify({ kernel: server.kernel, replies: answering.kernelReplies, rxDatagrams, hits: server.ruleHits().say })}`,
    );
  });
}

async function started(
  options: { rules?: string[]; [option: string]: unknown },
  childOptions: ChildOptions = {},
  handOver: { give?: string; take?: string } = {},
) {
  const child = startProgram(serve, [options, handOver], { stdin: true, ...childOptions });
  const port = Number((await child.line(/^port (\d+)$/))[1]);
  const kernel: KernelState = JSON.parse((await child.line(/^kernel (.*)$/))[1]);
  return { child, port, kernel };
}

interface Now {
  kernel: KernelState;
  replies: number;
  rxDatagrams: number;
  hits: number;
}

async function now(child: Child): Promise<Now> {
  const before = child.lines.length;
  child.process.stdin?.write('now\n');
  await waitFor(() => child.lines.slice(before).some((line) => line.startsWith('now ')));
  return JSON.parse((child.lines.findLast((line) => line.startsWith('now ')) as string).slice(4));
}

/** Of the program that the interface has. */
function programId(name: string): number | undefined {
  const [link] = JSON.parse(ip('-j', '-d', 'link', 'show', 'dev', name));
  return link.xdp?.prog?.id;
}

function isLoaded(id: number): boolean {
  try {
    execFileSync('bpftool', ['prog', 'show', 'id', `${id}`], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

/** What leaves a process without these capabilities, though it is root's. */
function without(...capabilities: string[]): string[] {
  return ['setpriv', `--bounding-set=${capabilities.map((name) => `-${name}`).join()}`];
}

/** What the IPv4 header of an answer has. */
function tosOfAnswer(under: string[], address: string, port: number): number {
  const program = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
s.settimeout(5)
s.sendto(b"x", ("${address}", ${port}))
print(s.recvmsg(64, 64)[1][0][2][0])`;
  const [command, ...args] = [...under, 'python3', '-c', program];
  return Number(execFileSync(command, args, { encoding: 'utf8' }));
}

export const cases: Record<string, () => Promise<void>> = {
  'a process that is stopped for five seconds answers all that it is asked meanwhile, and one that is killed leaves nothing':
    async () => {
      await using host = await hosts();
      const { child, port } = await started({});
      await using _ = child;
      const asker = await Asker.start(host.before, OURS_V4, port, 25_000, 5000);
      child.kill('SIGSTOP');
      const state = () => execFileSync('ps', ['-o', 'state=', '-p', `${child.pid}`], { encoding: 'utf8' }).trim();
      await waitFor(() => state() === 'T');
      const asked = await asker.end();
      assert.equal(state(), 'T');
      child.kill('SIGCONT');
      assert.ok(answeredAll(asked), JSON.stringify(asked));
      const { replies, rxDatagrams } = await now(child);
      assert.deepEqual([replies, rxDatagrams], [25_000, 0]);
      const id = programId(OURS) as number;
      assert.ok(isLoaded(id) && hasProgram('lo'));
      child.kill('SIGKILL');
      await child.end();
      await waitFor(() => !hasProgram(OURS) && !hasProgram('lo') && !isLoaded(id));
    },

  'without the rights the thread answers, and the server says which are missing': async () => {
    await using host = await hosts();
    for (const capability of ['bpf', 'net_admin', 'perfmon']) {
      const under = without(capability, 'sys_admin');
      const { child, port, kernel } = await started({}, { under });
      await using _ = child;
      const reason = 'EPERM: needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN';
      assert.ok(kernel.state === 'unavailable' && kernel.reason?.startsWith(reason), JSON.stringify(kernel));
      assert.ok(answeredAll(await ask(host.before, OURS_V4, port, 50)));
      assert.equal((await now(child)).rxDatagrams, 50);
      await using strict = startProgram(serve, [{ kernel: { required: true } }, {}], { under });
      const [line] = await strict.line(/^failed .*$/);
      assert.ok(
        line.startsWith('failed EPERM bpf EPERM: options.kernel needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN'),
        line,
      );
      await using info = startProgram(
        async () => {
          const { kernelAnswers, missing } = (await import('ksocket')).features();
          console.log(`${kernelAnswers} ${missing.kernelAnswers}`);
        },
        [],
        { under },
      );
      assert.match((await info.end()).stdout, /^false EPERM: needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN/);
    }
  },

  'in a user namespace, whose root is nobody outside, the thread answers': async () => {
    const { child, kernel } = await started({ address: '127.0.0.1' }, { under: ['unshare', '-r'] });
    await using _ = child;
    assert.ok(kernel.reason?.startsWith('EPERM: needs CAP_BPF'), JSON.stringify(kernel));
  },

  'the process that takes over answers in the kernel once the one before has ended': async () => {
    await using host = await hosts();
    const path = join(tmpdir(), `ksocket-test-${process.pid}`);
    const first = await started({}, {}, { give: path });
    await using _ = first.child;
    const asker = await Asker.start(host.before, OURS_V4, first.port, 10_000, 4000);
    const second = await started({}, {}, { take: path });
    await using __ = second.child;
    const asked = await asker.end();
    assert.ok(answeredAll(asked), JSON.stringify(asked));
    await waitFor(async () => (await now(second.child)).kernel.state === 'attached');
    const { replies } = await now(second.child);
    assert.ok(answeredAll(await ask(host.before, OURS_V4, second.port, 100)));
    const after = await now(second.child);
    assert.deepEqual([after.replies, after.hits], [replies + 100, 10_100]);
  },

  'a server at a descriptor that somebody else has bound answers in the kernel': async () => {
    await using host = await hosts();
    const under = listening({ type: 'udp4', address: '0.0.0.0', port: 7000, tos: 0xb8 });
    const { child, port, kernel } = await started({ fd: 3 }, { under });
    await using _ = child;
    assert.equal(kernel.state, 'attached', JSON.stringify(kernel));
    assert.ok(answeredAll(await ask(host.before, OURS_V4, port, 50)));
    assert.equal(tosOfAnswer(host.before, OURS_V4, port), 0xb8);
    const { replies, rxDatagrams } = await now(child);
    assert.deepEqual([replies, rxDatagrams], [51, 0]);
  },

  'a server at a descriptor that does not get all is left to the thread in the process that takes over, too':
    async () => {
      await using host = await hosts();
      const path = join(tmpdir(), `ksocket-test-${process.pid}`);
      const one = { type: 'udp4', address: '0.0.0.0', port: 7000 } as const;
      for (const [socket, kernel, what] of [
        [{ ...one, device: OURS }, true, 'that is bound to an interface'],
        [{ ...one, reusePort: true }, false, 'whose port others may have, too'],
      ] as const) {
        const first = await started({ fd: 3, kernel }, { under: listening(socket) }, { give: path });
        await using _ = first.child;
        const second = await started({}, {}, { take: path, give: `${path}2` });
        await using __ = second.child;
        const third = await started({}, {}, { take: `${path}2` });
        await using ___ = third.child;
        const reason = `ENOTSUP: needs a socket that gets all that is sent to its address, not one ${what}`;
        for (const { kernel } of [...(first.kernel.state === 'off' ? [] : [first]), second, third])
          assert.deepEqual([kernel.state, kernel.reason], ['unavailable', reason]);
        assert.ok(answeredAll(await ask(host.before, OURS_V4, third.port, 50)));
        const { replies, rxDatagrams } = await now(third.child);
        assert.deepEqual([replies, rxDatagrams], [0, 50]);
      }
    },

  'numbers of replies go on in the process that takes over, and while names change': async () => {
    await using host = await hosts();
    const path = join(tmpdir(), `ksocket-test-${process.pid}`);
    const numbered = { rules: ['counted'] };
    const first = await started(numbered, {}, { give: path });
    await using _ = first.child;
    assert.deepEqual((await ask(host.before, OURS_V4, first.port, 50)).numbers, [0, 49]);
    const second = await started(numbered, {}, { take: path });
    await using __ = second.child;
    await waitFor(async () => (await now(second.child)).kernel.state === 'attached');
    assert.deepEqual((await ask(host.before, OURS_V4, second.port, 50)).numbers, [50, 99]);
  },

  'ksocket serve answers in the kernel by the rules of a file': async () => {
    await using host = await hosts();
    const folder = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
    try {
      const file = join(folder, 'rules.json');
      writeFileSync(file, '[{ "action": { "reply": ["k", { "slot": "request" }, " k"], "amplify": true } }]');
      await using child = startCli(['serve', '--port', '0', '--rules', file, '--kernel', OURS, 'nowhere0']);
      const [, port] = await child.line(/listening on port (\d+)$/);
      await child.line(new RegExp(`^ksocket: kernel: ${OURS}: generic$`));
      await child.line(/^ksocket: kernel: nowhere0: ENODEV: there is no such interface$/);
      assert.ok(answeredAll(await ask(host.before, OURS_V4, Number(port), 50)));
      child.kill('SIGTERM');
      assert.equal((await child.end()).code, 0);
      assert.equal(hasProgram(OURS), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },

  'sources that are forged fill no more than the maps that there are, and others are served': async () => {
    await using host = await hosts();
    const limits = { perSource: { rate: 1000, burst: 1000, sources: 1024 } };
    const { child, port } = await started({ limits });
    await using _ = child;
    const before = mapBytes(child.pid);
    assert.ok(before > 0);
    const asker = await Asker.start(host.before, OURS_V4, port, 2000, 500);
    await using flood = new Child(
      host.before[0],
      [...host.before.slice(1), forgedFlood, OURS_V4, `${port}`, `${FORGED}`],
      { deadlineMs: 30_000 + FORGED / 100 },
    );
    assert.equal((await flood.end()).code, 0);
    assert.ok(answeredAll(await asker.end()));
    assert.equal(mapBytes(child.pid), before);
    const { replies, rxDatagrams } = await now(child);
    assert.deepEqual([replies, rxDatagrams], [2000 + FORGED, 0]);
  },
};

/** Memory of the maps that the process has. */
function mapBytes(pid: number | undefined): number {
  const folder = `/proc/${pid}/fdinfo`;
  const said = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const bytes = said
    .filter((text) => text.includes('map_type:'))
    .map((text) => Number(/^memlock:\s+(\d+)$/m.exec(text)?.[1]));
  return bytes.reduce((sum, each) => sum + each, 0);
}

const body = cases[process.argv[2]];
if (body !== undefined) {
  await body();
  console.log(`${process.argv[2]}: done`);
}
