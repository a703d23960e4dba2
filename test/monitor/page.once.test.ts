// The page, in a browser. Screenshots are left in the folder that KSOCKET_SCREENSHOTS names, if it does.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { createServer, type Server } from 'ksocket';
import { createMonitor, type Monitor } from 'ksocket/monitor';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { startBrowser } from '../support/browser.js';
import { portOf } from '../support/monitor.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const DESKTOP = { viewport: { width: 1360, height: 900 } };
const PHONE = { viewport: { width: 360, height: 780 } };
const INSTALL_MS = 300_000;

let browser: Browser;
let server: Server;
let second: Server;
let monitor: Monitor;

before(
  async () => {
    browser = await startBrowser();
    const options = { address: '127.0.0.1', port: 0, reply: 'echo' };
    server = createServer(options);
    second = createServer(options);
    monitor = createMonitor({ servers: [server, second] });
    await Promise.all([server.start(), second.start(), monitor.start()]);
  },
  { timeout: INSTALL_MS },
);
after(async () => {
  await browser.close();
  await monitor.stop();
  await Promise.all([server.stop(), second.stop()]);
});

/** A page that shows figures; what it complains about is a failure when it is closed. */
async function open(options: BrowserContextOptions): Promise<{ page: Page } & AsyncDisposable> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  const origin = `http://127.0.0.1:${portOf(monitor)}`;
  page.on('console', (message) => {
    if (message.type() !== 'log') complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) complaints.push(`elsewhere: ${request.url()}`);
  });
  await page.goto(`${origin}/`);
  await page.locator('#health[data-status=ok]').waitFor();
  await page.locator('[data-counter=rxDatagrams]').waitFor();
  return {
    page,
    async [Symbol.asyncDispose]() {
      // Its requests under way are cut off by closing: that is no complaint.
      const said = [...complaints];
      await context.close();
      assert.deepEqual(said, []);
    },
  };
}

async function echo(to: Server, count: number): Promise<void> {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (let i = 0; i < count; i++) {
    await sent(client, 'hello', to.address()?.port ?? 0);
    await inbox.take(i + 1);
  }
  await waitFor(() => to.stats().txDatagrams >= count, 'the count');
}

/** Every figure of the tables, by the counter's name. */
function figures(page: Page): Promise<Record<string, number>> {
  return page.$$eval('[data-counter]', (cells) =>
    Object.fromEntries(
      cells.map((cell) => [
        (cell as unknown as { dataset: Record<string, string> }).dataset.counter,
        Number(cell.textContent?.replace(/\D/g, '')),
      ]),
    ),
  );
}

async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.KSOCKET_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** `rgb(1, 2, 3)` → 0 (black) to 255 */
async function brightness(page: Page, selector: string, property: 'color' | 'backgroundColor'): Promise<number> {
  const colour = await page.$eval(
    selector,
    (element, name) =>
      (globalThis as unknown as { getComputedStyle(e: unknown): Record<string, string> }).getComputedStyle(element)[
        name
      ],
    property,
  );
  const parts = (colour.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  return parts.reduce((sum, part) => sum + part, 0) / 3;
}

/** Is something drawn on this chart in a colour that is clearly one, as opposed to grey text and lines? */
function isDrawn(page: Page, chart: number): Promise<boolean> {
  return page
    .locator('canvas')
    .nth(chart)
    .evaluate((canvas) => {
      const { width, height } = canvas as unknown as { width: number; height: number };
      const context = (
        canvas as unknown as {
          getContext(kind: '2d'): { getImageData(...box: number[]): { data: Uint8ClampedArray } };
        }
      ).getContext('2d');
      const { data } = context.getImageData(0, 0, width, height);
      for (let i = 0; i < data.length; i += 4) {
        const [red, green, blue, alpha] = data.slice(i, i + 4);
        if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 100) return true;
      }
      return false;
    });
}

function counted(): Record<string, number> {
  const { thread, answering, ...counters } = server.stats();
  return { ...counters, ...answering, ...thread };
}

test('its figures are the counters, and follow them', async () => {
  await using opened = await open(DESKTOP);
  const { page } = opened;
  for (let round = 1; round <= 2; round++) {
    const already = server.stats().rxDatagrams;
    await echo(server, 1234);
    assert.equal(counted().rxDatagrams, already + 1234);
    // Whatever is counted last (the thread's going back to sleep), the page gets to it.
    await waitFor(async () => isDeepStrictEqual(await figures(page), counted()), 'the page to follow');
    assert.match((await page.locator('#tiles').textContent()) ?? '', /Received.*in all/);
  }
  const name = `127.0.0.1:${server.address()?.port}`;
  assert.equal(await page.locator('#since').textContent(), `of ${name}, since it started`);
  await page
    .locator('.tiles .note', { hasText: `${'2\u202f468'} in all` })
    .first()
    .waitFor();
  await waitFor(
    async () => (await isDrawn(page, 0)) && (await isDrawn(page, 3)),
    'the rates and latencies to be drawn',
  );
  assert.ok(await isDrawn(page, 4), 'the distribution');
  assert.equal(await page.locator('canvas').count(), 9);
});

test('another server can be chosen, and a stopped one is a notice', async () => {
  await using opened = await open(DESKTOP);
  const { page } = opened;
  await echo(second, 7);
  await page.getByLabel('Server').selectOption({ index: 1 });
  await waitFor(async () => (await figures(page)).rxDatagrams === second.stats().rxDatagrams, 'the other figures');
  const name = `127.0.0.1:${second.address()?.port}`;
  // /healthz is not asked, so nothing fails: the page says it.
  await second.stop();
  try {
    await page.locator('#health[data-status=unhealthy]').waitFor();
    assert.equal(await page.getByRole('alert').textContent(), `${name} is not running.`);
    assert.equal((await figures(page)).rxDatagrams, 7, 'what it counted stays');
    await screenshot(page, 'unhealthy');
  } finally {
    await second.start();
  }
  await page.locator('#health[data-status=ok]').waitFor();
  assert.equal(await page.locator('#notice').isVisible(), false);
});

test('all controls can be reached and used from the keyboard, with a visible focus', async () => {
  await using opened = await open(DESKTOP);
  const { page } = opened;
  const focused = () =>
    page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as unknown as {
        document: { activeElement: { id: string; className: string; textContent: string } };
        getComputedStyle(element: unknown): { outlineStyle: string };
      };
      const { id, className, textContent } = document.activeElement;
      return {
        name: id || className || textContent,
        outlined: getComputedStyle(document.activeElement).outlineStyle !== 'none',
      };
    });
  const order: string[] = [];
  for (let i = 0; i < 5 + 9; i++) {
    await page.keyboard.press('Tab');
    const { name, outlined } = await focused();
    assert.ok(outlined, `${name} shows that it has the focus`);
    order.push(name);
  }
  assert.deepEqual(order.slice(0, 5), ['skip', 'server', '1 min', '5 min', 'pause']);
  assert.deepEqual(order.slice(5), Array(9).fill('plot'));

  await page.getByRole('button', { name: '5 min' }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.getByRole('button', { name: '5 min' }).getAttribute('aria-pressed'), 'true');
  assert.equal(await page.getByRole('button', { name: '1 min' }).getAttribute('aria-pressed'), 'false');

  // The arrows move a cursor through a chart; its name says what is there.
  const chart = page.locator('.plot').first();
  await chart.focus();
  await page.keyboard.press('ArrowLeft');
  assert.match((await chart.getAttribute('aria-label')) ?? '', /^Datagrams at \d\d:\d\d:\d\d: received .+, sent .+$/);
  await page.keyboard.press('Escape');
  assert.match((await chart.getAttribute('aria-label')) ?? '', /^Datagrams: received .+, sent .+$/);

  // And from bar to bar in the distribution, beginning at the highest.
  const distribution = page.getByRole('img', { name: 'Latency distribution' });
  await distribution.focus();
  await page.keyboard.press('ArrowRight');
  const bar = /^Latency distribution: datagrams \S+ from (.+) to (.+)$/;
  const [, , end] = bar.exec((await distribution.getAttribute('aria-label')) ?? '') ?? assert.fail('no bar is told');
  await page.keyboard.press('ArrowRight');
  assert.equal(bar.exec((await distribution.getAttribute('aria-label')) ?? '')?.[1], end);
  await page.keyboard.press('Escape');
  assert.doesNotMatch((await distribution.getAttribute('aria-label')) ?? '', bar);

  // Paused, the figures stay.
  await page.locator('#pause').focus();
  await page.keyboard.press('Space');
  assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
  const { rxDatagrams } = await figures(page);
  await echo(server, 5);
  const sequence = await page.waitForResponse((response) => response.url().endsWith('/stats.json'));
  assert.equal(sequence.status(), 200);
  await page.waitForResponse((response) => response.url().endsWith('/stats.json'));
  assert.equal((await figures(page)).rxDatagrams, rxDatagrams);
  await page.keyboard.press('Space');
  assert.equal((await figures(page)).rxDatagrams, rxDatagrams + 5);
});

test('on a phone nothing has to be scrolled sideways', async () => {
  await using opened = await open(PHONE);
  const { page } = opened;
  const widest = () =>
    page.evaluate(() => {
      const { document } = globalThis as unknown as {
        document: {
          documentElement: { scrollWidth: number };
          querySelectorAll(s: string): Iterable<{ getBoundingClientRect(): { right: number } }>;
        };
      };
      const rights = [...document.querySelectorAll('main *, header *, footer *')].map(
        (element) => element.getBoundingClientRect().right,
      );
      return Math.max(document.documentElement.scrollWidth, ...rights);
    });
  await waitFor(async () => (await widest()) <= PHONE.viewport.width, 'the charts to fit');
  await screenshot(page, 'phone');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`it is ${colorScheme} for who prefers that`, async () => {
    await using opened = await open({ ...DESKTOP, colorScheme });
    const { page } = opened;
    await echo(server, 100);
    const back = await brightness(page, 'body', 'backgroundColor');
    const card = await brightness(page, 'figure', 'backgroundColor');
    const ink = await brightness(page, 'body', 'color');
    if (colorScheme === 'light') assert.ok(back > 200 && card > 200 && ink < 60, `${back} ${card} ${ink}`);
    else assert.ok(back < 60 && card < 60 && ink > 200, `${back} ${card} ${ink}`);
    await screenshot(page, colorScheme);
  });
}

test('it says when the monitor does not answer any more, and goes on when it does', async () => {
  const own = createMonitor({ servers: [server] });
  await own.start();
  const port = portOf(own);
  const context = await browser.newContext(DESKTOP);
  try {
    const page = await context.newPage();
    const thrown: string[] = [];
    page.on('pageerror', (error) => thrown.push(`${error}`));
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.locator('#health[data-status=ok]').waitFor();
    await own.stop();
    await page.locator('#health[data-status=silent]').waitFor();
    assert.match((await page.getByRole('alert').textContent()) ?? '', /does not answer/);
    const again = createMonitor({ servers: [server], port });
    await again.start();
    await page.locator('#health[data-status=ok]').waitFor();
    assert.equal(await page.locator('#notice').isVisible(), false);
    await again.stop();
    assert.deepEqual(thrown, []);
  } finally {
    await context.close();
    await own.stop();
  }
});

const COLUMNS: [width: number, columns: number][] = [
  [390, 1],
  [699, 1],
  [700, 2],
  [768, 2],
  [1099, 2],
  [1100, 3],
  [1280, 3],
];
for (const [width, columns] of COLUMNS) {
  test(`at ${width} pixels the charts stand ${columns} abreast and fill the page`, async () => {
    await using opened = await open({ viewport: { width, height: 900 } });
    const { page } = opened;
    const boxes = await page.$$eval('figure', (figures) =>
      figures.map((figure) => {
        const { left, width } = (
          figure as unknown as { getBoundingClientRect(): { left: number; width: number } }
        ).getBoundingClientRect();
        return { left, width };
      }),
    );
    assert.equal(new Set(boxes.map(({ left }) => Math.round(left))).size, columns);
    for (const box of boxes) assert.ok(box.width > (width - 80) / columns, `${box.width} pixels`);
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.equal(overflow, 0, 'nothing reaches beyond the page');
    const plots = await page.$$eval('.plot', (all) =>
      all.map((each) => {
        const of = (one: unknown) =>
          (one as { getBoundingClientRect(): { width: number } }).getBoundingClientRect().width;
        return of((each as unknown as { querySelector(s: string): unknown }).querySelector('.uplot')) / of(each);
      }),
    );
    for (const share of plots) assert.ok(share > 0.95 && share <= 1.01, `a plot takes ${share} of its place`);
    const folder = process.env.KSOCKET_SCREENSHOTS;
    if (folder) await page.screenshot({ path: join(folder, `monitor-${width}.png`), fullPage: true });
  });
}
