export {
  type ClassificationOptions,
  type ClassificationTransform,
  classification,
  type DecodeMode,
} from './classification.js';
export {
  type DecodedImage,
  type DecodeOptions,
  decodeImage,
  type ImageSource,
} from './decode.js';
