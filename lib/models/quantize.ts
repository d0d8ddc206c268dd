import { checkOptions } from '../is.js';
import type { ModuleBuffer } from '../nn/state.js';
import { readModel } from '../runtime/compilable.js';
import {
  type CalibrationImages,
  type CalibrationRun,
  checkCalibrationImages,
  checkQuantizationOptions,
  type QuantizationOptions,
  quantize,
} from '../runtime/quantization.js';
import { GraphModel } from './graph-model.js';
import type { Model } from './model.js';

export type QuantizeOptions = QuantizationOptions & CalibrationRun;

/**
 * The model in int8: weights in int8 and a scale for every value, found by running the float32 network over images like
 * those that it will see. It compiles with `dtype: 'int8'` without calibration, on every device that has int8, and what
 * `saveSafetensors` writes of it does too. With other dtypes it computes with the rounded weights.
 * @param images batches as `run` takes them; a few dozen images are enough.
 * @throws ResNetError `INVALID_ARGUMENT` for no images, for NaN or infinity in images or weights, and for options;
 * `INVALID_SHAPE` for images that the network does not take.
 */
export async function quantizeModel(
  model: Model,
  images: CalibrationImages,
  options: QuantizeOptions = {},
): Promise<GraphModel> {
  const { device, threads, onImages, ...quantization } = options;
  checkOptions('quantizeModel', { device, threads, onImages }, ['device', 'threads', 'onImages']);
  checkCalibrationImages(images);
  checkQuantizationOptions(quantization);
  const { graph, parameters } = await quantize(readModel(model), images, quantization, {
    device,
    threads,
    onImages,
  });
  const quantized = new GraphModel(graph);
  for (const [key, buffer] of quantized.stateDict()) {
    buffer.data = parameters.get(key)?.data as ModuleBuffer['data'];
  }
  quantized.transform = model.transform;
  quantized.categories = model.categories;
  return quantized;
}
