import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ResNetError } from '../errors.js';
import { PIPELINE_FORMAT, type PipelineResults } from './pipeline-results.js';
import { ratesSvg } from './rates-svg.js';
import { benchTable, pipelineTable, replaceTables } from './report.js';
import { FORMAT, type Results } from './results.js';

/**
 * Regenerates what the README tells of benchmarks from bench/results: NAME.json becomes the table between the markers
 * `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`, and, unless it is of a pipeline, the plot docs/plots/NAME.svg.
 * @param root the folder with README.md and bench/results.
 * @returns the names of the results.
 * @throws ResNetError `INVALID_ARGUMENT` for a file that is no benchmark's, and for markers without a file.
 */
export async function writeReport(root: string): Promise<string[]> {
  const results = join(root, 'bench', 'results');
  const plots = join(root, 'docs', 'plots');
  await mkdir(plots, { recursive: true });
  const tables = new Map<string, string>();
  for (const file of (await readdir(results)).sort()) {
    if (!file.endsWith('.json')) continue;
    const name = basename(file, '.json');
    const content = parse(file, await readFile(join(results, file), 'utf8'));
    if (content.format === PIPELINE_FORMAT) {
      tables.set(name, pipelineTable(content));
    } else {
      tables.set(name, benchTable(content));
      await writeFile(join(plots, `${name}.svg`), ratesSvg(content));
    }
  }
  const readme = join(root, 'README.md');
  await writeFile(readme, replaceTables(await readFile(readme, 'utf8'), tables));
  return [...tables.keys()];
}

function parse(file: string, text: string): Results | PipelineResults {
  const content = JSON.parse(text) as { format?: unknown };
  if (content.format === FORMAT) return content as Results;
  if (content.format === PIPELINE_FORMAT) return content as PipelineResults;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `${file} is no result of a benchmark: expected the format ${FORMAT} or ${PIPELINE_FORMAT}`,
  );
}
