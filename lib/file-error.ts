import { ResNetError } from './errors.js';

/** What the system said about `path`, as an error of the package: code `FILE`. */
export function fileError(path: string, verb: 'read' | 'write', error: unknown): ResNetError {
  if (error instanceof ResNetError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const hint =
    code === 'ENOENT' || code === 'ENOTDIR'
      ? `there is no such ${verb === 'read' ? 'file' : 'folder'}; a relative path starts at ${process.cwd()}`
      : code === 'EACCES' || code === 'EPERM'
        ? 'permission denied; check the rights of the file and of its folders'
        : code === 'ENOSPC'
          ? 'no space left on the device'
          : String((error as Error).message);
  return new ResNetError('FILE', `Cannot ${verb} ${path}: ${hint}`, { cause: error });
}
