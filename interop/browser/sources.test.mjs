// What an answer was taken from can be opened: the file, and of a PDF the page.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { startAntiphon } from './programs.mjs';
import { microphoneFile } from './sound.mjs';
import { visit } from './visitor.mjs';

/** A PDF of pages with one line each. */
function pdf(...lines) {
  const pages = lines.map((_, number) => `${4 + 2 * number} 0 R`).join(' ');
  const objects = ['<< /Type /Catalog /Pages 2 0 R >>', `<< /Type /Pages /Kids [${pages}] /Count ${lines.length} >>`, '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'];
  for (const [number, line] of lines.entries()) {
    const content = `BT /F1 12 Tf 72 720 Td (${line}) Tj ET`;
    objects.push(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * number} 0 R >>`);
    objects.push(`<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
  }
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, number) => {
    const offset = file.length;
    file += `${number + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const table = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${table}\n%%EOF\n`;
  return file;
}

function furnish(folder) {
  mkdirSync(join(folder, 'knowledge'));
  writeFileSync(join(folder, 'antiphon.toml'), 'name = "desk"\n[llm]\nprovider = "builtin"\n[knowledge]\npath = "knowledge"\n');
  const others = ['Bread', 'Milk', 'Apples', 'Flour', 'Honey'].map((name) => `# ${name}\n${name} comes from the farm.\n`);
  writeFileSync(join(folder, 'knowledge', 'goods.md'), others.join('\n'));
  writeFileSync(join(folder, 'knowledge', 'prices.pdf'), pdf('Cheese is sold by the kilogram.', 'A basket of strawberries costs four euros.'));
  writeFileSync(join(folder, 'secret.md'), 'nobody reads this');
}

test('the passages of an answer are opened where they stand', { timeout: 120_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'antiphon-microphone-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const antiphon = await startAntiphon({}, furnish);
  context.after(() => antiphon.stop());
  const microphone = microphoneFile(join(folder, 'microphone.wav'), []);
  await visit(antiphon, microphone, async (visitor) => {
    await visitor.press('Start call');
    await visitor.state('listening');
    await visitor.type('How much is a basket of strawberries?');
    await visitor.said('agent', 'four euros');
    await visitor.page.locator('.knowledge summary').first().click();
    const link = visitor.page.getByRole('link', { name: 'prices.pdf, page 2' });
    await link.waitFor();
    const address = await link.getAttribute('href');
    assert.match(address, /#page=2$/);
    await visitor.screenshot('sources');
    const opened = await fetch(new URL(address, antiphon.url));
    assert.equal(opened.headers.get('content-type'), 'application/pdf');
    assert.match(await opened.text(), /^%PDF/);
    for (const outside of ['../secret.md', '/etc/passwd', 'antiphon.toml', '../antiphon.toml']) {
      const refused = await fetch(new URL(`api/playground/document?source=${encodeURIComponent(outside)}`, antiphon.url));
      assert.equal(refused.status, 404, outside);
    }
    await visitor.press('End call');
  });
});
