// What nobody catches, without the test runner to hear of it.

/** The messages of the errors that were uncaught while `action` ran, in order; it may look at those so far. */
export async function uncaughtWhile(action: (thrown: readonly string[]) => Promise<void>): Promise<string[]> {
  const thrown: string[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void thrown.push(error.message));
  try {
    await action(thrown);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const each of others) process.on('uncaughtException', each);
  }
  return thrown;
}
