// The program ends, in every way a program can, while datagrams pour in. No crash, no hang, no noise.
import assert from 'node:assert/strict';
import { Child, type ChildResult, runProgram, startProgram } from '../support/child.js';
import { bound, Inbox, Sockets, unusedPort } from '../support/peer.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** What holds a thread while the program ends. */
type Kind = 'socket' | 'dedicated' | 'busyPoll' | 'server' | 'silent server';
const kinds: Kind[] = ['socket', 'dedicated', 'busyPoll', 'server', 'silent server'];

/** Ends in the way that `ending` says when it has received so many datagrams. */
async function floodedProgram(kind: Kind, ending: string, after: number) {
  const { createServer, createSocket } = await import('ksocket');
  // biome-ignore lint/suspicious/noExplicitAny: a socket or a server
  let receiver: any;
  let received = 0;
  const count = () => {
    received++;
    if (received === after) end('in a listener');
  };
  if (kind === 'server' || kind === 'silent server') {
    receiver = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    if (kind === 'server') receiver.on('datagram', count);
    await receiver.start();
  } else {
    receiver = createSocket({
      type: 'udp4',
      ...(kind === 'dedicated' ? { thread: 'dedicated' as const } : {}),
      ...(kind === 'busyPoll' ? { busyPoll: 100 } : {}),
    });
    receiver.on('message', count);
    await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
  }
  console.log(`port ${receiver.address().port}`);
  const end = (where: string) => {
    if (ending === 'process.exit()' && where !== 'in a listener') process.exit(7);
    if (ending === 'process.exit() in a listener' && where === 'in a listener') process.exit(7);
    if (ending === 'an uncaught exception' && where !== 'in a listener') throw new Error('uncaught');
    if (ending === 'an uncaught exception in a listener' && where === 'in a listener') throw new Error('uncaught');
    if (ending === 'a rejection in a listener' && where === 'in a listener') void Promise.reject(new Error('uncaught'));
    if (ending === 'unref' && where !== 'in a listener') receiver.unref();
    if (ending === 'close' && where !== 'in a listener') (receiver.close ?? receiver.stop).call(receiver);
    if (ending === 'close in a listener' && where === 'in a listener') (receiver.close ?? receiver.stop).call(receiver);
    if (ending === 'close, then process.exit()' && where !== 'in a listener') {
      (receiver.close ?? receiver.stop).call(receiver);
      process.exit(7);
    }
  };
  const timer = setInterval(() => {
    if (receiver.stats().rxDatagrams < after) return;
    clearInterval(timer);
    end('in a timer');
  }, 1);
  process.on('exit', () => console.log('exit'));
}

/** `rate`: datagrams a second, 0 for a flood. */
async function runFlooded(kind: Kind, ending: string, rate: number): Promise<ChildResult> {
  await using child = startProgram(floodedProgram, [kind, ending, rate === 0 ? 2000 : 20]);
  const [, port] = await child.line(/^port (\d+)$/);
  await using _sender = startSender({ port: Number(port), count: 0, bytes: 64, rate });
  return await child.end();
}

const endings: [ending: string, code: number, stderr: RegExp][] = [
  ['process.exit()', 7, /^$/],
  ['process.exit() in a listener', 7, /^$/],
  ['an uncaught exception', 1, /Error: uncaught/],
  ['an uncaught exception in a listener', 1, /Error: uncaught/],
  ['a rejection in a listener', 1, /Error: uncaught/],
  ['unref', 0, /^$/],
  ['close', 0, /^$/],
  ['close in a listener', 0, /^$/],
  ['close, then process.exit()', 7, /^$/],
];

for (const [ending, code, stderr] of endings) {
  test(`${ending} while datagrams pour in`, async () => {
    for (const kind of kinds) {
      if (kind === 'silent server' && ending.includes('in a listener')) continue; // it has none
      const result = await runFlooded(kind, ending, 0);
      check(result, kind);
    }
    // What trickles in an idle event loop receives by itself.
    for (const kind of ['socket', 'dedicated'] as const) check(await runFlooded(kind, ending, 300), kind);

    function check(result: ChildResult, kind: Kind): void {
      const what = `${kind}: ${JSON.stringify(result)}`;
      assert.equal(result.signal, null, what);
      assert.equal(result.code, code, what);
      assert.match(result.stderr, stderr, what);
      assert.doesNotMatch(result.stderr, /warning|deprecat|assert|abort|fatal/i, what);
      assert.match(result.stdout, /^port \d+\nexit\n$/, what);
    }
  });
}

test('SIGTERM and SIGINT without a handler end it as any program', async () => {
  for (const kind of kinds) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await using child = startProgram(floodedProgram, [kind, 'never', 1]);
      const [, port] = await child.line(/^port (\d+)$/);
      await using _sender = startSender({ port: Number(port), count: 0, bytes: 64 });
      await waitFor(() => child.lines.length > 0, 'start');
      child.kill(signal);
      const result = await child.end();
      assert.deepEqual([result.code, result.signal, result.stderr], [null, signal, ''], kind);
    }
  }
});

test('a signal handler runs under flood, closes, and the program ends by itself', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4', () => {});
    process.on('SIGTERM', () => {
      console.log('handler');
      socket.close();
    });
    socket.bind(0, '127.0.0.1', () => console.log(`port ${socket.address().port}`));
  };
  await using child = startProgram(program, []);
  const [, port] = await child.line(/^port (\d+)$/);
  await using _sender = startSender({ port: Number(port), count: 0, bytes: 64 });
  child.kill('SIGTERM');
  const result = await child.end();
  assert.deepEqual(result, { code: 0, signal: null, stdout: `port ${port}\nhandler\n`, stderr: '' });
});

test('what was sent in the last tick before process.exit() goes out', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const result = await runProgram(
    async (port) => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1', () => {
        socket.connect(port, '127.0.0.1', () => {
          for (let i = 0; i < 10; i++) socket.send(`${i}`);
          process.exit(0);
        });
      });
    },
    [port],
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
  await inbox.take(10);
  assert.equal(inbox.texts.join(''), '0123456789');
});

/** Programs that send at their very end: what they have sent, and their exit code. In each, `send` is a socket's that is
 * bound, and connected or not. */
const lastWords: Record<string, { sends: string[]; code: number; program: (send: (text: string) => void) => void }> = {
  "in an 'exit' listener that was added late": {
    sends: ['1', '2'],
    code: 0,
    program(send) {
      process.on('exit', () => send('1'));
      process.on('exit', () => send('2'));
      process.exit();
    },
  },
  "in 'exit' listeners at the natural end": {
    sends: ['1', '2'],
    code: 0,
    program(send) {
      process.on('exit', () => send('2'));
      process.prependListener('exit', () => send('1'));
    },
  },
  "in an 'exit' listener that exits itself": {
    sends: ['1'],
    code: 4,
    program(send) {
      process.on('exit', () => {
        send('1');
        process.exit(4);
      });
      process.on('exit', () => send('never'));
      process.exit(3);
    },
  },
  "in an 'exit' listener that throws": {
    sends: ['1'],
    code: 3,
    program(send) {
      process.on('exit', () => {
        send('1');
        throw new Error('in the listener');
      });
      process.exit(3);
    },
  },
  'in the tick of an uncaught exception, and behind it': {
    sends: ['1', '2'],
    code: 1,
    program(send) {
      process.on('exit', () => send('2'));
      send('1');
      throw new Error('uncaught');
    },
  },
  "when nobody listens to 'exit' any more": {
    sends: ['1'],
    code: 5,
    program(send) {
      process.removeAllListeners('exit');
      send('1');
      process.exit(5);
    },
  },
  'before process.reallyExit()': {
    sends: ['1'],
    code: 6,
    program(send) {
      send('1');
      (process as unknown as { reallyExit(code: number): void }).reallyExit(6);
    },
  },
};

/** What a socket receives while something ends that sends to it. */
async function receivedBy(act: (port: number) => Promise<void>): Promise<string[]> {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  await act(port);
  receiver.send('the end', port, '127.0.0.1'); // behind all others
  await waitFor(() => inbox.texts.includes('the end'));
  return inbox.texts.slice(0, -1);
}

for (const [when, { sends, code, program }] of Object.entries(lastWords)) {
  test(`what is sent ${when} goes out once`, async () => {
    for (const connected of [false, true]) {
      for (const thread of [undefined, 'dedicated'] as const) {
        const received = await receivedBy(async (port) => {
          const source = `
            const { createSocket } = await import('ksocket');
            const socket = createSocket({ type: 'udp4', thread: ${JSON.stringify(thread)} });
            await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
            if (${connected}) await new Promise((resolve) => socket.connect(${port}, '127.0.0.1', resolve));
            socket.unref();
            const send = (text) => ${connected} ? socket.send(text) : socket.send(text, ${port}, '127.0.0.1');
            ({ ${program} }).program(send);`;
          await using child = new Child(process.execPath, ['--input-type=module', '-e', source]);
          const result = await child.end();
          assert.deepEqual([result.code, result.signal], [code, null], result.stderr);
        });
        assert.deepEqual(received, sends, `connected ${connected}, thread ${thread}`);
      }
    }
  });
}

test("what is sent in a 'message' listener that exits goes out once", async () => {
  const received = await receivedBy(async (port) => {
    const result = await runProgram(
      async (port) => {
        const { createSocket } = await import('ksocket');
        const socket = createSocket('udp4');
        socket.on('message', (data) => {
          socket.send(data, port, '127.0.0.1');
          if (`${data}` === '4') process.exit(8);
        });
        socket.bind(0, '127.0.0.1', () => {
          for (let i = 0; i < 10; i++) socket.send(`${i}`, socket.address().port, '127.0.0.1');
        });
      },
      [port],
    );
    assert.deepEqual(result, { code: 8, signal: null, stdout: '', stderr: '' });
  });
  assert.deepEqual(received, ['0', '1', '2', '3', '4']);
});

test("what a 'batch' listener answers before it exits goes out", async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  const port = await bound(client);
  client.once('message', (_, { port }) => client.send('question', port, '127.0.0.1'));
  const result = await runProgram(
    async (port) => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.on('batch', (batch) => {
        batch.reply(0, `answer to ${batch.data(0)}`);
        process.exit(8);
      });
      socket.bind(0, '127.0.0.1', () => socket.send('here', port, '127.0.0.1'));
    },
    [port],
  );
  assert.deepEqual(result, { code: 8, signal: null, stdout: '', stderr: '' });
  await inbox.take(2);
  assert.deepEqual(inbox.texts, ['here', 'answer to question']);
});

test('what a worker sent goes out when it exits, throws or is terminated', async () => {
  for (const end of ['exit', 'throw', 'terminate', 'main exits']) {
    const received = await receivedBy(async (port) => {
      const result = await runProgram(
        async (end, port) => {
          const { Worker } = await import('node:worker_threads');
          const { once } = await import('node:events');
          const source = `
            const { parentPort, workerData: { end, port } } = require('node:worker_threads');
            import('ksocket').then(({ createSocket }) => {
              const socket = createSocket('udp4');
              socket.bind(0, '127.0.0.1', () => {
                const send = (text) => socket.send(text, port, '127.0.0.1');
                if (end === 'exit' || end === 'throw') process.on('exit', () => send('2'));
                send('1');
                if (end === 'exit') process.exit();
                if (end === 'throw') throw new Error('in the worker');
                parentPort.postMessage('sent');
                for (;;);
              });
            });`;
          const worker = new Worker(source, { eval: true, execArgv: [], workerData: { end, port } });
          worker.on('error', () => {});
          const exited = once(worker, 'exit').catch(() => {});
          if (end === 'terminate' || end === 'main exits') await once(worker, 'message');
          if (end === 'main exits') process.exit();
          if (end === 'terminate') await worker.terminate();
          await exited;
        },
        [end, port],
      );
      assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' }, end);
    });
    assert.deepEqual(received, end === 'exit' || end === 'throw' ? ['1', '2'] : ['1'], end);
  }
});

test('an exception while a module loads, with sockets in every state', async () => {
  for (const state of ['unbound', 'binding', 'bound', 'sending', 'dedicated', 'server starting', 'server running']) {
    const result = await runProgram(
      async (state) => {
        const { createServer, createSocket } = await import('ksocket');
        const socket = createSocket({ type: 'udp4', ...(state === 'dedicated' ? { busyPoll: 100 } : {}) }, () => {});
        const server = createServer({ port: 0, reply: 'echo' });
        if (state === 'server starting') void server.start();
        if (state === 'server running') await server.start();
        if (state !== 'unbound' && !state.startsWith('server')) socket.bind(0, '127.0.0.1');
        if (state === 'bound' || state === 'dedicated')
          await new Promise<void>((resolve) => socket.on('listening', resolve));
        if (state === 'sending') socket.send('x', 9, '127.0.0.1');
        throw new Error('while loading');
      },
      [state],
    );
    assert.deepEqual([result.code, result.signal, result.stdout], [1, null, ''], state);
    assert.match(result.stderr, /Error: while loading/);
    assert.equal(result.stderr.match(/Error:/g)?.length, 1, result.stderr);
  }
});

test('a program that only imports ksocket ends at once', async () => {
  const result = await runProgram(async () => {
    await import('ksocket');
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
});

test('closing and opening in exit handlers is harmless', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4', () => {});
    socket.bind(0, '127.0.0.1', () => process.exit(5));
    process.on('exit', () => {
      socket.send('late', socket.address().port, '127.0.0.1');
      socket.close();
      createSocket('udp4').bind(0, '127.0.0.1');
      console.log('exit');
    });
  }, []);
  assert.deepEqual(result, { code: 5, signal: null, stdout: 'exit\n', stderr: '' });
});

test('child processes inherit no descriptor of ksocket', async () => {
  const result = await runProgram(async () => {
    const { createServer, createSocket } = await import('ksocket');
    const { spawnSync } = await import('node:child_process');
    const list = () => spawnSync('ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout;
    const before = list();
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const server = createServer({ port: 0, reply: 'x', replyTo: { address: '127.0.0.1', port: 9 } });
    await server.start();
    console.log(list() === before);
    socket.close();
    await server.stop();
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\n', stderr: '' });
});

test('sockets that are closed in listeners, and replaced, under flood', async () => {
  const port = await unusedPort();
  const program = async (port: number) => {
    const { createSocket } = await import('ksocket');
    let opened = 0;
    const open = () => {
      opened++;
      let got = 0;
      const socket = createSocket({ type: 'udp4', ...(opened % 5 === 0 ? { thread: 'dedicated' as const } : {}) });
      socket.on('message', () => {
        got++;
        if (got > 10) console.log('a message after close');
        if (got === 10) socket.close(opened < 200 ? open : () => console.log(opened));
      });
      socket.on('error', (error) => console.log(error.message));
      socket.bind(port, '127.0.0.1', () => opened === 1 && console.log('ready'));
    };
    open();
  };
  await using child = startProgram(program, [port]);
  await child.line(/^ready$/);
  await using _sender = startSender({ port, count: 0, bytes: 64 });
  const result = await child.end();
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'ready\n200\n', stderr: '' });
});
