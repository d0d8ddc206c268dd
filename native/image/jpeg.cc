#include "native/image/jpeg.h"

#include <algorithm>
#include <array>

#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif

namespace resnet_native {
namespace {

// TurboJPEG's own names for these, the same in all its versions since 1.3.
constexpr int kPixelFormatRgb = 0;
constexpr int kAccurateDct = 4096;
constexpr int kStopOnWarning = 8192;
constexpr std::array kSubsamplings{0, 1, 2, 3};  // 4:4:4, 4:2:2, 4:2:0, grey
constexpr std::array kColorSpaces{0, 1, 2};      // RGB, YCbCr, grey

// The functions of TurboJPEG that are used; all null where the library is missing.
struct TurboJpeg {
  void* (*init)() = nullptr;
  int (*read_header)(void* decoder, const unsigned char* file, unsigned long size, int* width, int* height,
                     int* subsampling, int* color_space) = nullptr;
  int (*decompress)(void* decoder, const unsigned char* file, unsigned long size, unsigned char* pixels,
                    int width, int row_bytes, int height, int pixel_format, int flags) = nullptr;
  int (*destroy)(void* decoder) = nullptr;

  explicit operator bool() const { return init && read_header && decompress && destroy; }
};

TurboJpeg Open() {
  TurboJpeg turbo;
#if __has_include(<dlfcn.h>)
  // Never closed: it is in use for as long as the process lives.
  void* library = nullptr;
  for (const char* name : {"libturbojpeg.so.0", "libturbojpeg.0.dylib"}) {
    if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) return turbo;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  find(turbo.init, "tjInitDecompress");
  find(turbo.read_header, "tjDecompressHeader3");
  find(turbo.decompress, "tjDecompress2");
  find(turbo.destroy, "tjDestroy");
#endif
  return turbo;
}

const TurboJpeg& Turbo() {
  static const TurboJpeg turbo = Open();
  return turbo;
}

template <class Values>
bool IsAmong(int value, const Values& values) {
  return std::ranges::find(values, value) != values.end();
}

bool Decode(void* decoder, std::span<const uint8_t> file, int64_t height, int64_t width, uint8_t* rgb) {
  int found_width, found_height, subsampling, color_space;
  if (Turbo().read_header(decoder, file.data(), file.size(), &found_width, &found_height, &subsampling,
                          &color_space) != 0) {
    return false;
  }
  if (found_width != width || found_height != height) return false;
  if (!IsAmong(subsampling, kSubsamplings) || !IsAmong(color_space, kColorSpaces)) return false;
  return Turbo().decompress(decoder, file.data(), file.size(), rgb, found_width, 0, found_height,
                            kPixelFormatRgb, kAccurateDct | kStopOnWarning) == 0;
}

}  // namespace

bool DecodesJpeg() { return static_cast<bool>(Turbo()); }

bool DecodePlainJpeg(std::span<const uint8_t> file, int64_t height, int64_t width, uint8_t* rgb) {
  void* decoder = DecodesJpeg() ? Turbo().init() : nullptr;
  if (!decoder) return false;
  const bool decoded = Decode(decoder, file, height, width, rgb);
  Turbo().destroy(decoder);
  return decoded;
}

}  // namespace resnet_native
