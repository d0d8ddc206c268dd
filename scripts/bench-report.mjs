// `npm run bench:report`: the README's tables and docs/plots from bench/results/*.json. Needs a built dist/; what it
// does is described and written in lib/bench/write-report.ts.

import { writeReport } from '../dist/bench/write-report.js';
import { fail, root } from './tools.mjs';

try {
  const names = await writeReport(root);
  console.log(`README.md and docs/plots now show ${names.join(', ') || 'nothing: bench/results is empty'}`);
} catch (error) {
  fail(error.message);
}
