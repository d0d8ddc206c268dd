import process from 'node:process';

/** The command line that a script was started by. */
export function commandOf(script) {
  return ['node', script, ...process.argv.slice(2)].join(' ');
}

/** The options of these names as positive integers; ends the process with wrong usage for what is none. */
export function positiveIntegers(options, names) {
  return names.map((name) => {
    const value = Number(options[name]);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    console.error(`Expected a positive integer for --${name} but received ${options[name]}`);
    return process.exit(2);
  });
}
