import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { type Started, start } from './start.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const SCREENSHOTS = fileURLToPath(new URL('../../build/screenshots/', import.meta.url));
const FLOWER = fileURLToPath(new URL('../golden/images/flower.jpg', import.meta.url));
const [DIGIT] = HELD_OUT as [string];

let server: Started;
beforeAll(async () => {
  const defaults = { device: 'cpu', threads: 1, outputs: ['logits', 'avgpool'] };
  server = await start({ models: { digits: DIGITS_MODEL }, defaults });
});

describe('without a browser', () => {
  test('the page names no other host, and says that it may load nothing from one', async () => {
    const response = await fetch(server.url);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await response.text();
    expect(html).toContain('<html lang="en">');
    const scripts = ['app.js', 'api.js', 'bars.js', 'charts.js', 'drawing.js', 'style.css'];
    for (const file of scripts) {
      const part = await fetch(`${server.url}/page/${file}`);
      expect(part.status).toBe(200);
      const text = (await part.text()).replace('http://www.w3.org/2000/svg', '');
      expect(html + text).not.toMatch(/https?:\/\//);
    }
  });
});

describe.skipIf(!CHROMIUM)(`in Chromium${CHROMIUM ? '' : ' (skipped: it is not installed)'}`, () => {
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] });
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(server.url);
    await page.waitForSelector('#about dd');
  });

  afterAll(() => browser?.close());

  const screenshot = (name: string) =>
    page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  const text = (selector: string) =>
    expect.poll(() => page.locator(selector).first().textContent(), { timeout: 10_000 });
  const said = (digit: string) => text('#said').toBe(`It looks like ${digit}`);

  async function stroke(points: readonly (readonly [number, number])[]): Promise<void> {
    const box = await page.locator('#canvas').boundingBox();
    if (!box) throw new Error('the canvas is not there');
    for (const [i, [x, y]] of points.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 4 });
      if (i === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }

  test('tells the model and its device', async () => {
    expect(await page.locator('#about').innerText()).toMatch(/digits, version 1[\s\S]*cpu[\s\S]*float32/);
  });

  test('reads a digit that is drawn with the mouse', async () => {
    const circle = Array.from({ length: 25 }, (_, i) => {
      const angle = (2 * Math.PI * i) / 24;
      return [0.5 + 0.22 * Math.sin(angle), 0.5 - 0.32 * Math.cos(angle)] as const;
    });
    await stroke(circle);
    await said('0');
    expect(await page.locator('#digits tr').count()).toBe(10);
    await screenshot('digit');
    await page.click('#clear');
    expect(await page.locator('#digits tr').count()).toBe(0);
  });

  test('draws with the keyboard too', async () => {
    await page.focus('#canvas');
    for (let i = 0; i < 7; i++) await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Space');
    for (let i = 0; i < 14; i++) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await said('1');
    expect(await page.locator('#pen').isVisible()).toBe(true);
    await screenshot('keyboard');
    await page.keyboard.press('Delete');
    await text('#said').toBe('');
  });

  test('classifies files that are chosen', async () => {
    await page.setInputFiles('#files', [DIGIT]);
    const item = page.locator('#results li').first();
    await item.waitFor();
    expect(await item.locator('tr').first().innerText()).toMatch(new RegExp(`^${digitOf(DIGIT)}\\b`));
    expect(await page.locator('#status').innerText()).toMatch(new RegExp(`: ${digitOf(DIGIT)}$`));
  });

  test('classifies a photo that is dropped, and charts what was done', async () => {
    const base64 = readFileSync(FLOWER).toString('base64');
    // Text, because TypeScript knows no DataTransfer here.
    const transfer = await page.evaluateHandle(`
      const bytes = Uint8Array.from(atob('${base64}'), (char) => char.charCodeAt(0));
      const dropped = new DataTransfer();
      dropped.items.add(new File([bytes], 'flower.jpg', { type: 'image/jpeg' }));
      dropped`);
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer });
    await text('#results caption').toBe('flower.jpg');
    expect(await page.locator('#results li').first().locator('tr').count()).toBe(5);
    await text('#charts output').toContain('images/s');
    await screenshot('photo');
  });

  test('says what is wrong with a file that is no image', async () => {
    await page.setInputFiles('#files', [
      { name: 'notes.txt', mimeType: 'image/png', buffer: Buffer.from('no image') },
    ]);
    await text('#status.wrong').toContain('Cannot decode');
    // The browser logs the refusal itself.
    problems.splice(0, problems.length, ...problems.filter((text) => !text.includes('400 (Bad Request)')));
  });

  test('fits a narrow screen', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await screenshot('narrow');
    await page.setViewportSize({ width: 1200, height: 900 });
  });

  test('has a dark mode, names for all controls, and no errors', async () => {
    const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await ground()).not.toBe(light);
    await screenshot('dark');
    const unnamed = await page.evaluate(`
      [...document.querySelectorAll('input, select, button, canvas')]
        .filter((it) => !it.getAttribute('aria-label') && !it.closest('label') && !it.textContent.trim())
        .map((it) => it.outerHTML)`);
    expect(unnamed).toEqual([]);
    expect(problems).toEqual([]);
  });

  test('shows labels and file names as they are, whatever is in them', async () => {
    const [evil, name] = ['<img src=x onerror="document.title=1">', '<b>x</b>&amp;.png'];
    const labels = Array.from({ length: 10 }, () => evil);
    const { url } = await start({ models: { digits: { model: DIGITS_MODEL, labels } } });
    await page.goto(url);
    await page.waitForSelector('#about dd');
    await page.setInputFiles('#files', [{ name, mimeType: 'image/png', buffer: readFileSync(DIGIT) }]);
    const item = page.locator('#results li').first();
    await item.waitFor();
    expect(await item.locator('th').first().textContent()).toBe(evil);
    expect(await item.locator('caption').textContent()).toBe(name);
    expect(await page.title()).toBe('resnet-native');
  });

  test('says so when the server goes away, and goes on when there is one again', async () => {
    const first = await start({ models: { digits: DIGITS_MODEL } });
    await page.goto(first.url);
    await page.waitForSelector('#about dd');
    expect(await page.locator('#gone').textContent()).toBe('');
    await first.server.close();
    await text('#gone').toMatch(/does not answer/);
    await screenshot('gone');
    await page.setInputFiles('#files', [DIGIT]);
    await text('#status').toMatch(/does not answer/);
    const port = Number(new URL(first.url).port);
    await start({ models: { numbers: DIGITS_MODEL }, port });
    await text('#gone').toBe('');
    await expect.poll(() => page.locator('#model option').allTextContents()).toEqual(['numbers']);
    await page.setInputFiles('#files', [DIGIT]);
    await text('#status').toMatch(new RegExp(`: ${digitOf(DIGIT)}$`));
  });
});
