#pragma once

#include <cstdint>
#include <span>

namespace resnet_native {

// Whether this machine has TurboJPEG, the interface of libjpeg-turbo. It is looked for once, and never
// needed: it takes half the time of a decoder that can do more.
bool DecodesJpeg();

// Decodes a JPEG of height × width pixels to RGB rows without gaps, to the pixels that Pillow gives. False
// for a file of another size, and for one that is damaged in any way, colours of four inks or a rare
// subsampling: `rgb` then holds anything, and a decoder that knows more has to say what the file is.
// Thread-safe; never throws.
bool DecodePlainJpeg(std::span<const uint8_t> file, int64_t height, int64_t width, uint8_t* rgb);

}  // namespace resnet_native
