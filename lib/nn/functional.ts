import { ResNetError } from '../errors.js';
import { requireValue, type Value } from '../graph/value.js';
import { checkInteger, show } from '../is.js';

// Operations without a module, called inside `forward`. Their nodes are named after the module that calls them:
// `layer1.0.add`. All throw ResNetError: `UNSUPPORTED` for what is no Value of the trace under way, `INVALID_SHAPE` for
// values that do not fit.

/** a + b, of one shape. */
export function add(a: Value, b: Value): Value {
  requireValue(b, 'the second input of add');
  return requireValue(a, 'the first input of add').recorder.record({ op: 'add' }, [a, b]);
}

/** max(x, 0). */
export function relu(x: Value): Value {
  return requireValue(x, 'the input of relu').recorder.record({ op: 'relu' }, [x]);
}

/**
 * [n, c, h, w] to [n, c · h · w].
 * @param startDim as in torch.flatten; only 1 is supported (`UNSUPPORTED`).
 */
export function flatten(x: Value, startDim = 1): Value {
  if (startDim !== 1) {
    throw new ResNetError('UNSUPPORTED', `flatten starts at dimension 1 only but received ${show(startDim)}`);
  }
  return requireValue(x, 'the input of flatten').recorder.record({ op: 'flatten' }, [x]);
}

/**
 * The paper's option A: every `stride`-th pixel of x, zero channels appended up to `outChannels`.
 * @throws ResNetError `INVALID_ARGUMENT` for a stride or channels that are not positive integers.
 */
export function zeroPadShortcut(
  x: Value,
  { stride, outChannels }: { stride: number; outChannels: number },
): Value {
  checkInteger('stride', stride, 1);
  checkInteger('outChannels', outChannels, 1);
  const { recorder } = requireValue(x, 'the input of zeroPadShortcut');
  return recorder.record({ op: 'zero_pad_shortcut', stride, outChannels }, [x]);
}
