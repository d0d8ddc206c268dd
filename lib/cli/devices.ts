import type { Command } from 'commander';
import { type Device, devices } from '../runtime/devices.js';
import { stylesFor, widthOf } from './text.js';

/** `devices`: what each backend found on this machine, and why one is missing. */
export function addDevices(program: Command): void {
  program
    .command('devices')
    .description('show what computes here, and why something does not')
    .option('--json', 'print one JSON array and nothing else')
    .action(async (options: { json?: true }) => {
      const found = await devices();
      process.stdout.write(options.json ? `${JSON.stringify(found)}\n` : deviceTable(found));
    });
}

function deviceTable(found: readonly Device[]): string {
  const style = stylesFor(process.stdout);
  const idWidth = widthOf(found.map(({ id }) => id));
  const nameWidth = widthOf(found.map(({ name }) => name));
  const isaWidth = widthOf(found.map(({ isa }) => isa));
  const indent = ' '.repeat(2 + idWidth + 2);
  const lines = found.map(({ id, name, available, isa, dtypes, reason }) => {
    const mark = available ? style('green', '✓') : style('red', '✗');
    const head = `${mark} ${style('bold', id.padEnd(idWidth))}`;
    if (!available) return `${head}  not available: ${reason}`;
    const row = `${head}  ${name.padEnd(nameWidth)}  ${isa.padEnd(isaWidth)}  ${dtypes.join(' ')}`;
    return reason ? `${row}\n${indent}${style('yellow', reason)}` : row;
  });
  return `${lines.join('\n')}\n`;
}
