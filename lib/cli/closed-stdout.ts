/**
 * Ends the process quietly once nobody reads its output any more (`| head`): that is no failure, and nothing is left to
 * do. Without a listener Node would throw the EPIPE.
 */
export function endWhenStdoutCloses(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}
