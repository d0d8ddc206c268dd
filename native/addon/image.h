#pragma once

#include <napi.h>

namespace resnet_native {

// (pixels: Uint8Array, height, width, geometry) => Promise<Uint8Array>. The pixels are read in place: until
// the promise settles they stay alive, and the caller leaves them unchanged and attached.
Napi::Value ResizeCropImage(const Napi::CallbackInfo& info);

// (file: Uint8Array, height, width, geometry) => Promise<Uint8Array | null>. The same of the pixels of a JPEG
// file of that size; null for one that DecodePlainJpeg leaves to others. The file is read in place as well.
Napi::Value ResizeCropJpeg(const Napi::CallbackInfo& info);

// (device: string, files: NativeJpeg[]) => Promise<(Uint8Array | null)[]>: Backend::DecodeJpegs.
Napi::Value DecodeJpegs(const Napi::CallbackInfo& info);

}  // namespace resnet_native
