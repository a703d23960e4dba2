// JSON lines: `{"cmd":"start"}`, `stop` and `exit` on stdin; `ready`, `started`, `result` and
// `unavailable` events on stdout. native/src/control.cc speaks the same.
import process from 'node:process';

/** @param {object} message */
export function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/**
 * Calls the handler named by each command. The end of stdin means that the harness is gone.
 * @param {Record<'start' | 'stop' | 'exit', () => void>} handlers
 */
export function listen(handlers) {
  let input = '';
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (chunk) => {
    input += chunk;
    const lines = input.split('\n');
    input = lines.pop() ?? '';
    for (const line of lines) handlers[JSON.parse(line).cmd]?.();
  });
  process.stdin.on('end', handlers.exit);
}
