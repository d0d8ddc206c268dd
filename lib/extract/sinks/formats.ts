import { openNpy } from './npy.js';
import { openParquet } from './parquet.js';
import { openSafetensors } from './safetensors.js';
import type { FeatureFormat, OpenSink } from './sink.js';

export const OPEN_SINK: Readonly<Record<FeatureFormat, OpenSink>> = {
  npy: openNpy,
  parquet: openParquet,
  safetensors: openSafetensors,
};
