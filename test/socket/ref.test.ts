// What keeps a program running, and what lets it end. Each case is a program of its own.
import assert from 'node:assert/strict';
import { type ChildResult, runProgram, startProgram } from '../support/child.js';
import { test } from '../support/test.js';

function ended(result: ChildResult, stdout: string): void {
  assert.deepEqual(result, { code: 0, signal: null, stdout, stderr: '' });
}

test('a bound socket keeps the program running', async () => {
  await using child = startProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    socket.on('message', (data, rinfo) => socket.send(data, rinfo.port, rinfo.address));
    socket.bind(0, '127.0.0.1', () => {
      console.log(`port ${socket.address().port}`);
      // Nothing but the socket is left when this has run.
      setTimeout(() => console.log('still here'), 300);
    });
    process.on('exit', () => console.log('exit'));
  }, []);
  const [, port] = await child.line(/^port (\d+)$/);
  await child.line(/still here/);
  const { createSocket } = await import('ksocket');
  await using peer = createSocket('udp4');
  const answer = new Promise((resolve) => peer.on('message', resolve));
  peer.send('x', Number(port), '127.0.0.1');
  await answer;
  assert.deepEqual(child.lines.slice(1), ['still here']);
});

test('a socket that was never bound does not', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    createSocket('udp4', () => {});
    createSocket({ type: 'udp6', thread: 'dedicated' }).on('message', () => {});
  }, []);
  ended(result, '');
});

test('an unref’d socket does not, whenever it was unref’d', async () => {
  for (const when of ['before bind', 'after bind', 'listening', 'bind, ref, unref']) {
    for (const thread of ['shared', 'dedicated'] as const) {
      const result = await runProgram(
        async (when, thread) => {
          const { createSocket } = await import('ksocket');
          const socket = createSocket({ type: 'udp4', thread });
          if (when === 'before bind') socket.unref();
          socket.bind(0, '127.0.0.1', () => console.log('listening'));
          if (when === 'after bind') socket.unref();
          if (when === 'listening') socket.on('listening', () => socket.unref());
          if (when === 'bind, ref, unref')
            socket.on('listening', () => socket.ref().unref().unref().ref().ref().unref());
        },
        [when, thread],
      );
      ended(result, 'listening\n');
    }
  }
});

test('ref() after unref() keeps it running again', async () => {
  await using child = startProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4').unref();
    socket.on('message', () => {
      console.log('message');
      socket.close();
    });
    socket.bind(0, '127.0.0.1', () => {
      console.log(`port ${socket.address().port}`);
      setTimeout(() => {
        socket.ref();
        setTimeout(() => console.log('ready'), 100);
      }, 10);
    });
  }, []);
  const [, port] = await child.line(/^port (\d+)$/);
  await child.line(/ready/);
  const { createSocket } = await import('ksocket');
  await using peer = createSocket('udp4');
  peer.send('x', Number(port), '127.0.0.1');
  const result = await child.end();
  ended(result, `port ${port}\nready\nmessage\n`);
});

test('ref() before the bind changes nothing: unbound it does not keep the program running, bound it does', async () => {
  const program = async (binds: boolean) => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4').ref();
    if (!binds) return;
    socket.bind(0, '127.0.0.1', () => {
      setTimeout(() => {
        console.log('still here');
        socket.close();
      }, 100).unref();
    });
  };
  ended(await runProgram(program, [false]), '');
  ended(await runProgram(program, [true]), 'still here\n');
});

test('one unref’d socket does not speak for the others of the thread', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const one = createSocket('udp4');
    const two = createSocket('udp4');
    one.bind(0, '127.0.0.1', () => {
      two.bind(0, '127.0.0.1', () => {
        one.unref();
        setTimeout(() => {
          // Only `two` holds the program now.
          console.log('closing');
          two.close();
        }, 100).unref();
      });
    });
    process.on('exit', () => console.log('exit'));
  }, []);
  ended(result, 'closing\nexit\n');
});

test('closing a socket lets the program end, and quickly', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => socket.close(() => console.log('closed')));
    socket.ref().unref();
    socket.ref();
  }, []);
  ended(result, 'closed\n');
});

test('what waits for an unref’d socket’s slow listener comes as long as the program runs, though nothing else happens', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const { createHook } = await import('node:async_hooks');
    const [slow, sender] = [createSocket('udp4'), createSocket('udp4')];
    for (const socket of [slow, sender]) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    const timers = new Set<number>();
    let made = 0;
    createHook({
      init: (id, type) => {
        if (type !== 'Timeout') return;
        timers.add(id);
        made++;
      },
      destroy: (id) => timers.delete(id),
    }).enable();
    let calls = 0;
    const rest = setTimeout(() => console.log(`after ${calls}`), 10_000);
    // The latest may still be there.
    process.on('exit', () => console.log(`timers: ${made > 1 ? 'some' : 'none'}, left: ${Math.max(timers.size, 1)}`));
    slow.on('message', () => {
      for (const until = performance.now() + 2; performance.now() < until; );
      if (++calls === 50) clearTimeout(rest);
    });
    for (const socket of [slow, sender]) socket.unref();
    for (let i = 0; i < 50; i++) sender.send('x', slow.address().port, '127.0.0.1');
  };
  ended(await runProgram(program, []), 'timers: some, left: 1\n');
});

test('an unref’d socket’s sends complete and call back', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4').unref();
    socket.send('x', 9, '127.0.0.1', (error, bytes) => console.log(error, bytes));
  }, []);
  ended(result, 'null 1\n');
});

test('ref() and unref() after close do nothing', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      socket.close();
      socket.unref().ref().unref().ref();
      const next = createSocket('udp4');
      next.bind(0, '127.0.0.1', () => next.close(() => console.log('closed')));
    });
  }, []);
  ended(result, 'closed\n');
});

test('a server keeps the program running until it stops; unref’d it does not', async () => {
  const stopped = await runProgram(async () => {
    const { createServer } = await import('ksocket');
    const server = createServer({ port: 0, address: '127.0.0.1', reply: 'echo' });
    await server.start();
    setTimeout(async () => {
      console.log('stopping');
      await server.stop();
    }, 100).unref();
  }, []);
  ended(stopped, 'stopping\n');
  for (const when of ['before', 'after']) {
    const result = await runProgram(
      async (when) => {
        const { createServer } = await import('ksocket');
        const server = createServer({ port: 0, address: '127.0.0.1', reply: 'echo' });
        if (when === 'before') server.unref();
        await server.start();
        server.unref();
        console.log(server.running);
      },
      [when],
    );
    ended(result, 'true\n');
  }
});
