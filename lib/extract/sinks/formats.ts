import { openNpy } from './npy.js';
import { openSafetensors } from './safetensors.js';
import type { FeatureFormat, OpenSink } from './sink.js';

export const OPEN_SINK: Readonly<Record<FeatureFormat, OpenSink>> = {
  npy: openNpy,
  parquet: async (path, columns) => (await import('./parquet.js')).openParquet(path, columns),
  safetensors: openSafetensors,
};
