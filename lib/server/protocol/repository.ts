import { RequestError } from '../request-error.js';

/**
 * Triton's clients can send another configuration, or the files of a model, along with the request to load it. Here a model
 * is what the server was started with.
 * @throws RequestError 400.
 */
export function refuseLoadParameters(parameters: object): void {
  const [name] = Object.keys(parameters);
  if (name === undefined) return;
  throw new RequestError(
    400,
    'UNSUPPORTED',
    `Loading takes no parameters but received ${JSON.stringify(name)}: models are loaded as the server was told at its start`,
  );
}
