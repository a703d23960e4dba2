// node:test with a limit on every test: a hang is a failure with a name, not a run that never ends.
import { test as nodeTest, type TestContext } from 'node:test';

const LIMIT_MS = 90_000;

export function test(name: string, body: (t: TestContext) => Promise<void> | void, limitMs = LIMIT_MS): void {
  void nodeTest(name, { timeout: limitMs }, body);
}
