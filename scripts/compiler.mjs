// The C++ compiler of programs that tests need.
import { execFileSync } from 'node:child_process';

/** Runs the compiler that CXX names, which may be a command with arguments ('ccache g++'), and returns what it says. */
export function runCompiler(args, options = {}) {
  const [program, ...first] = (process.env.CXX?.trim() || 'c++').split(/\s+/);
  return execFileSync(program, [...first, ...args], options);
}
