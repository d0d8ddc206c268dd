import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ResNetError } from '../errors.js';
import { extractTable, workersTable } from './extract-report.js';
import {
  EXTRACT_FORMAT,
  type ExtractResults,
  WORKERS_FORMAT,
  type WorkersResults,
} from './extract-results.js';
import { PIPELINE_FORMAT, type PipelineResults } from './pipeline-results.js';
import { ratesSvg } from './rates-svg.js';
import { benchTable, memoryTable, pipelineTable, replaceTables } from './report.js';
import { FORMAT, type Results } from './results.js';
import { serveTables } from './serve-report.js';
import { SERVE_FORMAT, type ServeResults } from './serve-results.js';

/**
 * Regenerates what the README tells of benchmarks from bench/results: NAME.json becomes the table between the markers
 * `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`, and, if it is of `resnet-native bench`, the table of its memory between
 * those of NAME:memory, and the plot docs/plots/NAME.svg.
 * @param root the folder with README.md and bench/results.
 * @returns the names of the results.
 * @throws ResNetError `INVALID_ARGUMENT` for a file that is no benchmark's, and for markers without a file.
 */
export async function writeReport(root: string): Promise<string[]> {
  const results = join(root, 'bench', 'results');
  const plots = join(root, 'docs', 'plots');
  await mkdir(plots, { recursive: true });
  const names: string[] = [];
  const tables = new Map<string, string>();
  for (const file of (await readdir(results)).sort()) {
    if (!file.endsWith('.json')) continue;
    const name = basename(file, '.json');
    const content = parse(file, await readFile(join(results, file), 'utf8'));
    names.push(name);
    tables.set(name, tableOf(content));
    if (content.format !== FORMAT) continue;
    tables.set(`${name}:memory`, memoryTable(content));
    await writeFile(join(plots, `${name}.svg`), ratesSvg(content));
  }
  const readme = join(root, 'README.md');
  await writeFile(readme, replaceTables(await readFile(readme, 'utf8'), tables));
  return names;
}

type AnyResults = Results | PipelineResults | ExtractResults | WorkersResults | ServeResults;

const FORMATS: readonly string[] = [FORMAT, PIPELINE_FORMAT, EXTRACT_FORMAT, WORKERS_FORMAT, SERVE_FORMAT];

function parse(file: string, text: string): AnyResults {
  const content = JSON.parse(text) as AnyResults;
  if (FORMATS.includes(content.format)) return content;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `${file} is no result of a benchmark: expected one of the formats ${FORMATS.join(', ')}`,
  );
}

function tableOf(content: AnyResults): string {
  switch (content.format) {
    case FORMAT:
      return benchTable(content);
    case PIPELINE_FORMAT:
      return pipelineTable(content);
    case EXTRACT_FORMAT:
      return extractTable(content);
    case WORKERS_FORMAT:
      return workersTable(content);
    case SERVE_FORMAT:
      return serveTables(content);
  }
}
