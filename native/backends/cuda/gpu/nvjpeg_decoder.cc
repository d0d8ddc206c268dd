#include "native/backends/cuda/gpu/nvjpeg_decoder.h"

#include <nvjpeg.h>

#include <utility>

#include "native/backends/cuda/gpu/gpu_stream.h"
#include "native/backends/cuda/gpu/symbols.h"
#include "native/backends/cuda/libraries.h"

namespace resnet_native::cuda {
namespace {

constexpr int kHuffmanThreads =
    4;  // of the host, for the part of decoding that a GPU without a decoder leaves

// Chroma is interpolated, as libjpeg does.
constexpr unsigned kFlags = NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION;

struct Nvjpeg {
  decltype(nvjpegCreateEx)* CreateEx;
  decltype(nvjpegDestroy)* Destroy;
  decltype(nvjpegJpegStateCreate)* JpegStateCreate;
  decltype(nvjpegJpegStateDestroy)* JpegStateDestroy;
  decltype(nvjpegGetImageInfo)* GetImageInfo;
  decltype(nvjpegJpegStreamCreate)* JpegStreamCreate;
  decltype(nvjpegJpegStreamDestroy)* JpegStreamDestroy;
  decltype(nvjpegJpegStreamParseHeader)* JpegStreamParseHeader;
  decltype(nvjpegDecodeBatchedSupported)* DecodeBatchedSupported;
  decltype(nvjpegDecodeBatchedInitialize)* DecodeBatchedInitialize;
  decltype(nvjpegDecodeBatched)* DecodeBatched;
};

Nvjpeg Bind(void* library) {
  Nvjpeg nvjpeg{};
  FindSymbol(library, "nvjpegCreateEx", nvjpeg.CreateEx);
  FindSymbol(library, "nvjpegDestroy", nvjpeg.Destroy);
  FindSymbol(library, "nvjpegJpegStateCreate", nvjpeg.JpegStateCreate);
  FindSymbol(library, "nvjpegJpegStateDestroy", nvjpeg.JpegStateDestroy);
  FindSymbol(library, "nvjpegGetImageInfo", nvjpeg.GetImageInfo);
  FindSymbol(library, "nvjpegJpegStreamCreate", nvjpeg.JpegStreamCreate);
  FindSymbol(library, "nvjpegJpegStreamDestroy", nvjpeg.JpegStreamDestroy);
  FindSymbol(library, "nvjpegJpegStreamParseHeader", nvjpeg.JpegStreamParseHeader);
  FindSymbol(library, "nvjpegDecodeBatchedSupported", nvjpeg.DecodeBatchedSupported);
  FindSymbol(library, "nvjpegDecodeBatchedInitialize", nvjpeg.DecodeBatchedInitialize);
  FindSymbol(library, "nvjpegDecodeBatched", nvjpeg.DecodeBatched);
  return nvjpeg;
}

class NvjpegDecoder final : public ImageDecoder {
 public:
  NvjpegDecoder(std::shared_ptr<GpuState> state, const Nvjpeg& nvjpeg)
      : state_(std::move(state)), nvjpeg_(nvjpeg) {
    state_->Enter();
    // A card without decoders of its own refuses that backend.
    nvjpegStatus_t status = Create(NVJPEG_BACKEND_HARDWARE);
    if (status != NVJPEG_STATUS_SUCCESS) status = Create(NVJPEG_BACKEND_DEFAULT);
    if (status == NVJPEG_STATUS_SUCCESS) return;
    throw Error(ErrorCode::kDeviceUnavailable,
                "nvJPEG cannot be used here: status " + std::to_string(status));
  }
  ~NvjpegDecoder() override {
    state_->EnterQuietly();
    Release();
  }

  bool Takes(std::span<const uint8_t> file, int64_t height, int64_t width) override {
    state_->Enter();
    int components = 0, widths[NVJPEG_MAX_COMPONENT] = {}, heights[NVJPEG_MAX_COMPONENT] = {};
    nvjpegChromaSubsampling_t subsampling = NVJPEG_CSS_UNKNOWN;
    const nvjpegStatus_t status =
        nvjpeg_.GetImageInfo(handle_, file.data(), file.size(), &components, &subsampling, widths, heights);
    if (status != NVJPEG_STATUS_SUCCESS || heights[0] != height || widths[0] != width) return false;
    return (components == 1 || (components == 3 && IsCommon(subsampling))) && SuitsHardware(file);
  }

  bool Decode(Stream& stream, const std::vector<EncodedImage>& images) override {
    state_->Enter();
    std::vector<const unsigned char*> files;
    std::vector<size_t> sizes;
    std::vector<nvjpegImage_t> targets;
    for (const EncodedImage& image : images) {
      files.push_back(image.file.data());
      sizes.push_back(image.file.size());
      nvjpegImage_t target{};
      target.channel[0] = static_cast<unsigned char*>(image.pixels);
      target.pitch[0] = static_cast<size_t>(image.width) * 3;
      targets.push_back(target);
    }
    const auto count = static_cast<int>(images.size());
    nvjpegStatus_t status =
        nvjpeg_.DecodeBatchedInitialize(handle_, jpeg_state_, count, kHuffmanThreads, NVJPEG_OUTPUT_RGBI);
    if (status != NVJPEG_STATUS_SUCCESS) Fail(status, "preparing to decode");
    status = nvjpeg_.DecodeBatched(handle_, jpeg_state_, files.data(), sizes.data(), targets.data(),
                                   CudaStreamOf(stream));
    if (status == NVJPEG_STATUS_SUCCESS) return true;
    if (!MayBeOfFile(status)) Fail(status, "decoding");
    state_->CheckAlive("decoding JPEGs");
    return false;
  }

 private:
  nvjpegStatus_t Create(nvjpegBackend_t backend) {
    nvjpegStatus_t status = nvjpeg_.CreateEx(backend, nullptr, nullptr, kFlags, &handle_);
    if (status == NVJPEG_STATUS_SUCCESS) status = nvjpeg_.JpegStateCreate(handle_, &jpeg_state_);
    if (status == NVJPEG_STATUS_SUCCESS && backend == NVJPEG_BACKEND_HARDWARE) {
      status = nvjpeg_.JpegStreamCreate(handle_, &header_);
    }
    if (status != NVJPEG_STATUS_SUCCESS) Release();
    return status;
  }

  void Release() noexcept {
    if (header_) nvjpeg_.JpegStreamDestroy(std::exchange(header_, nullptr));
    if (jpeg_state_) nvjpeg_.JpegStateDestroy(std::exchange(jpeg_state_, nullptr));
    if (handle_) nvjpeg_.Destroy(std::exchange(handle_, nullptr));
  }

  // Of others, the host's decoder has the say.
  static bool IsCommon(nvjpegChromaSubsampling_t subsampling) {
    return subsampling == NVJPEG_CSS_444 || subsampling == NVJPEG_CSS_422 || subsampling == NVJPEG_CSS_420;
  }
  // The card's own decoders know fewer kinds than nvJPEG, and one that they do not know fails its batch.
  bool SuitsHardware(std::span<const uint8_t> file) {
    if (!header_) return true;
    int differs = 1;  // from what they support
    return nvjpeg_.JpegStreamParseHeader(handle_, file.data(), file.size(), header_) ==
               NVJPEG_STATUS_SUCCESS &&
           nvjpeg_.DecodeBatchedSupported(handle_, header_, &differs) == NVJPEG_STATUS_SUCCESS &&
           differs == 0;
  }
  // The last three are what is said of some damaged or odd files as well.
  static bool MayBeOfFile(nvjpegStatus_t status) {
    return status == NVJPEG_STATUS_BAD_JPEG || status == NVJPEG_STATUS_JPEG_NOT_SUPPORTED ||
           status == NVJPEG_STATUS_IMPLEMENTATION_NOT_SUPPORTED ||
           status == NVJPEG_STATUS_INCOMPLETE_BITSTREAM || status == NVJPEG_STATUS_EXECUTION_FAILED ||
           status == NVJPEG_STATUS_INTERNAL_ERROR || status == NVJPEG_STATUS_INVALID_PARAMETER;
  }
  [[noreturn]] void Fail(nvjpegStatus_t status, const std::string& doing) {
    const std::string message = "nvJPEG: status " + std::to_string(status) + " while " + doing;
    if (status == NVJPEG_STATUS_ALLOCATOR_FAILURE) throw Error(ErrorCode::kOutOfMemory, message);
    state_->Fail(message);
  }

  const std::shared_ptr<GpuState> state_;
  const Nvjpeg nvjpeg_;
  nvjpegHandle_t handle_ = nullptr;
  nvjpegJpegState_t jpeg_state_ = nullptr;
  nvjpegJpegStream_t header_ = nullptr;  // of the file that is looked at; the card's own decoders only
};

}  // namespace

std::unique_ptr<ImageDecoder> NewNvjpegDecoder(std::shared_ptr<GpuState> state) {
  void* library = LoadNvjpeg(CUDART_VERSION, DefaultSearch());
  return std::make_unique<NvjpegDecoder>(std::move(state), Bind(library));
}

}  // namespace resnet_native::cuda
