// Builds and runs the native test suite: node scripts/test-native.mjs [preset …]
// Each failure is a line `✖ name` and, indented, what the test printed. The last line is `N passed, N failed`:
// GoogleTest cases and the layout check, over all presets given.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildNative } from './native-build.mjs';

const presets = process.argv.length > 2 ? process.argv.slice(2) : ['default'];
const total = { passed: 0, failed: 0 };

for (const preset of presets) {
  const { passed, failed, skipped, note } = testPreset(preset);
  console.log(
    `native ${preset}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}${note}`,
  );
  total.passed += passed;
  total.failed += failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

function testPreset(preset) {
  const started = Date.now();
  let directory;
  try {
    directory = buildNative(preset);
  } catch (error) {
    // Not a test, but not a pass either: the closing line must not look like success.
    return { passed: 0, failed: 1, skipped: 0, failures: [], note: ` (does not build: ${error.message})` };
  }
  const report = join(directory, 'ctest.xml');
  rmSync(report, { force: true });
  // The tests keep to ports of the kernel's choice and count only their own descriptors and threads, so they may
  // run side by side.
  const jobs = String(availableParallelism());
  const args = ['--test-dir', directory, '--quiet', '--no-tests=error', '-j', jobs, '--output-junit', report];
  const { status } = spawnSync('ctest', args, { stdio: 'inherit' });
  const counts = readReport(report);
  for (const { name, output } of counts.failures) console.log(`✖ ${name}\n${output.replaceAll(/^/gm, '      ')}`);
  if (status !== 0 && counts.failed === 0) return { ...counts, failed: 1, note: ` (ctest ended with ${status})` };
  return { ...counts, note: ` (${((Date.now() - started) / 1000).toFixed(0)} s)` };
}

function readReport(report) {
  let xml;
  try {
    xml = readFileSync(report, 'utf8');
  } catch {
    return { passed: 0, failed: 0, skipped: 0, failures: [] };
  }
  const suite = /<testsuite\b[^>]*>/.exec(xml)[0];
  const count = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)[1]);
  const failed = count('failures');
  const skipped = count('disabled') + count('skipped');
  const failures = xml
    .split('<testcase ')
    .slice(1)
    .filter((test) => test.includes('<failure'))
    .map((test) => ({
      name: unescapeXml(/name="([^"]*)"/.exec(test)[1]),
      output: unescapeXml(/<system-out>(.*)<\/system-out>/s.exec(test)?.[1].trim() ?? ''),
    }));
  return { passed: count('tests') - failed - skipped, failed, skipped, failures };
}

function unescapeXml(text) {
  const named = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replaceAll(/&(?:(lt|gt|quot|apos|amp)|#(\d+));/g, (_, name, code) =>
    name === undefined ? String.fromCharCode(Number(code)) : named[name],
  );
}
