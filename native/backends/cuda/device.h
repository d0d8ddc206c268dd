#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "native/error.h"
#include "native/graph/graph.h"
#include "native/tensor.h"

// What the CUDA backend asks of a GPU. All that decides something (batch buckets, arenas, staging, overlap,
// the choice of kernels and its cache, recovery) lies above this header and is host code; below it are two
// implementations: CUDA with cuDNN and cuBLASLt (gpu/), and a simulation on the host that only tests use.
//
//   Device    one GPU of this process. Thread-safe; outlives everything made from it, which is held by
//             shared_ptr above.
//   Buffer    memory, of the device or pinned on the host. Whoever has the unique_ptr owns it, and keeps it
//             until no stream can touch it any more; it may be freed on any thread.
//   Kernel    one way of doing one Operation. Immutable and thread-safe: any number of streams may launch it
//             at once, so nothing that a launch changes may live in it (workspaces come with the launch,
//             handles of libraries belong to the Stream).
//   Stream    work in order. One thread at a time uses a stream, and the events and captures recorded on it.
//   Event     a point in a stream's work, to wait for and to measure between.
//   Capture   a captured sequence of launches, replayed as one (a CUDA graph). Lives no longer than the
//             buffers and kernels that it was captured with.
//
// Threads: nothing here is called on the JavaScript thread. Any call may come from any thread, so an
// implementation that keeps a current device for each thread sets it in every call. Only Event::Synchronize,
// Candidates, Build, Allocate* and the frees may block; everything of a Stream returns once the work is
// queued. A capture on one thread does not disturb what other threads do, allocations included.
//
// Errors: everything throws resnet_native::Error, destructors nothing. The codes:
//   kOutOfMemory   the device or the host has no memory for this; nothing else is disturbed.
//   kUnsupported   this Operation, or this Kernel of it, cannot be had here; try another.
//   kDeviceLost    the device reported an error after which CUDA wants the process to be started anew (what
//                  CUDA calls sticky). From then on every call but destructors and properties() throws
//                  kDeviceLost on every thread, and whoever is blocked in Synchronize is woken by it.
//   kInternal      anything else that a library reported, with its own words in the message.
// Work that was queued reports its error from a later call, at the latest from Event::Synchronize.
//
// Numbers: activations are dense NHWC. kTf32 is stored as float32. Sums are taken in float32 at least (int32
// for int8), kFloat32 never rounds operands to tf32, and NaN propagates, through ReLU and max pooling too.
//
// kInt8 is the arithmetic of native/graph/quantization.h. Its bytes are stored less 128, as int8, which is
// what libraries multiply: where "the byte" is said below, it is the stored value plus 128. Kernels of ours
// give the very bits of that arithmetic. A candidate of a library adds up the stored values, and its own
// fused tail may round in another order: its bytes may then differ by 1.

namespace resnet_native::cuda {

// Of every Buffer, and of every operand and workspace given to a launch.
inline constexpr size_t kAlignment = 256;

// The byte that is stored as 0, kInt8.
inline constexpr int kStoredZero = 128;

// In bytes, as stored.
inline size_t ElementSize(DType dtype) { return static_cast<size_t>(ElementBytes(dtype)); }

// ---- Operations: what is computed, with all sizes. Plain data; if equal, the same kernels fit. ----

// The run's input as an activation. `from`: kUint8 (NHWC only) or kFloat32. y is [n, h, w, padded_channels],
// zero in the channels from `channels` on. uint8 becomes x * scale[c] + shift[c], in float32, if `normalize`;
// else it is converted as it is. One rounding, to `to`. Operands: x, y; scale and shift if `normalize`.
// To kInt8, uint8 becomes table[c * 256 + x], and float32 the byte of fma(x, scale[0], shift[0]).
struct LoadInput {
  DType from = DType::kUint8, to = DType::kFloat16;
  Layout layout = Layout::kNhwc;
  int64_t n = 0, h = 0, w = 0;
  int channels = 3, padded_channels = 3;
  bool normalize = false;
  bool operator==(const LoadInput&) const = default;
};

// y = relu?(conv(x) + residual? + bias), in this order, in float32, rounded once where the kernel can: a
// kernel of several passes may round the convolution to the dtype in between. x is [n, h, w, in_channels],
// filters [out_channels][kernel_h][kernel_w][in_channels / groups], residual as y. x, filters, residual and y
// have `dtype`. Operands: x, filters, shift (the bias), typed_shift, y; residual if `residual`.
//
// kInt8: y = fma(residual's byte, residual_scale, fma(sum of bytes, scale[k], shift[k])), and its byte, or
// relu? of it as float32 if `to_float`; padding is made of bytes `zero_point`, 0 or 128. A byte is clamped at
// 0, so that `relu` matters to floats only. Operands: scale and residual_scale too.
struct Convolution {
  DType dtype = DType::kFloat16;
  int64_t n = 0, h = 0, w = 0;
  int in_channels = 0, out_channels = 0, groups = 1;
  Window window;
  bool residual = false, relu = false;
  int zero_point = 0;     // of x, kInt8
  bool to_float = false;  // kInt8

  DType to() const { return to_float ? DType::kFloat32 : dtype; }
  TensorShape OutShape() const { return {n, window.OutH(h), window.OutW(w), out_channels}; }
  bool operator==(const Convolution&) const = default;
};

// y[rows][out_features] = x[rows][in_features] · filters[out_features][in_features] + bias. x and filters
// have `dtype`, y has `to`: `dtype` or kFloat32. Operands: x, filters, shift (the bias), typed_shift, y;
// kInt8 as a convolution's.
struct Linear {
  DType dtype = DType::kFloat16, to = DType::kFloat32;
  int64_t rows = 0;
  int in_features = 0, out_features = 0;
  bool operator==(const Linear&) const = default;
};

// Padding never wins. Operands: x [n, h, w, channels], y.
struct MaxPool {
  DType dtype = DType::kFloat16;
  int64_t n = 0, h = 0, w = 0;
  int channels = 0;
  Window window;

  TensorShape OutShape() const { return {n, window.OutH(h), window.OutW(w), channels}; }
  bool operator==(const MaxPool&) const = default;
};

// The mean over all pixels, summed in float32. Operands: x [n, pixels, channels], y [n, channels]. y has
// `dtype`; kInt8 is fma(sum of bytes, pixel_scale / pixels, shift[0]), as a byte or, if `to_float`, as
// float32. Operands: pixel_scale and shift too.
struct AveragePool {
  DType dtype = DType::kFloat16;
  int64_t n = 0, pixels = 0;
  int channels = 0;
  bool to_float = false;  // kInt8

  DType to() const { return to_float ? DType::kFloat32 : dtype; }
  bool operator==(const AveragePool&) const = default;
};

// y = relu?(fma(residual, residual_scale, fma(x, scale[c], shift[c]))) of every element alone, in float32,
// rounded once: additions, ReLU, batch norm that no convolution took in, and all that is done to bytes. From
// a float type to itself, from kFloat32 to kInt8, from kInt8 to itself or kFloat32; a residual has the type
// `from`. Without `affine` x is taken as it is. Operands: x [elements / channels][channels], y, which may be
// x where both have one type; scale and shift if `affine`, residual and residual_scale if `residual`.
struct Elementwise {
  DType from = DType::kFloat16, to = DType::kFloat16;
  int64_t elements = 0;
  int channels = 1;  // 1: one scale for all
  bool affine = false, residual = false, relu = false;
  bool operator==(const Elementwise&) const = default;
};

// y[n, i, j, c] = x[n, i * stride, j * stride, c], zero in the channels from `channels` to `out_channels`:
// the paper's option A. y has ceil(h / stride) × ceil(w / stride) pixels. Operands: x, y.
struct ZeroPadShortcut {
  DType dtype = DType::kFloat16;
  int64_t n = 0, h = 0, w = 0;
  int channels = 0, out_channels = 0, stride = 1;
  int zero_point = 0;  // kInt8: the byte that is zero
  bool operator==(const ZeroPadShortcut&) const = default;
};

// NHWC to NCHW, and to another dtype on the way: what a run hands back, and torch's flatten.
// Operands: x [n, pixels, channels] of `from`, y [n, channels, pixels] of `to` (`from` or kFloat32). kInt8 to
// kFloat32 is fma(byte, scale[0], shift[0]).
struct ToNchw {
  DType from = DType::kFloat16, to = DType::kFloat32;
  int64_t n = 0, pixels = 0;
  int channels = 0;
  bool operator==(const ToNchw&) const = default;
};

// One pass of Pillow's resize (native/image/filter.h) over bytes [outer][in_axis][inner], of which the axis
// is resized: rows of pixels of 3 bytes across, whole rows down. Exact. Operands: x, y
// [outer][out_axis][inner], filters: int32 first[out_axis], count[out_axis],
// weights[out_axis][weight_stride].
struct Resample {
  int64_t outer = 1, in_axis = 0, out_axis = 0, inner = 1, weight_stride = 0;
  bool operator==(const Resample&) const = default;
};

using Operation = std::variant<LoadInput, Convolution, Linear, MaxPool, AveragePool, Elementwise,
                               ZeroPadShortcut, ToNchw, Resample>;

// Every field, in a form that is stable over processes and versions: the key under which a choice is
// remembered, and what messages show. "conv f16 8x56x56x64 k64 3x3 s1x1 p1x1 d1x1 g1 residual relu".
std::string ToString(const Operation& operation);

// Addresses in device memory; see each Operation for which it needs. Nothing overlaps y, unless it says so.
struct Operands {
  const void* x = nullptr;
  const void* residual = nullptr;
  void* y = nullptr;
  const void* filters = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;  // of Convolution and Linear, the bias
  // Convolution and Linear, for libraries: the bias rounded to `dtype`. kInt8: float32, what has to be added
  // to scale[k] times the sum of stored values, with the residual as stored, to give y as stored.
  const void* typed_shift = nullptr;
  float residual_scale = 1;       // by value
  double pixel_scale = 1;         // AveragePool, kInt8: of the sum of a single pixel; by value
  const int8_t* table = nullptr;  // LoadInput
  void* workspace = nullptr;      // Kernel::workspace_bytes() of them
};

// How many bytes each operand has; 0 for those that the operation does without.
struct OperandBytes {
  size_t x = 0, residual = 0, y = 0, filters = 0, scale = 0, shift = 0, typed_shift = 0, table = 0;
};
OperandBytes BytesOf(const Operation& operation);

// ---- The device ----

struct DeviceProperties {
  int index = 0;
  std::string name;  // "NVIDIA H200"
  int compute_major = 0, compute_minor = 0;
  size_t total_memory = 0;
  // Of everything that kernels come from, for the cache of choices: "driver 13000 cudnn 91200 cublaslt
  // 130100".
  std::string versions;
};

struct MemoryInfo {
  size_t free = 0, total = 0;
};

class Buffer {
 public:
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 protected:
  Buffer(void* data, size_t bytes) : data_(data), bytes_(bytes) {}

 private:
  void* data_;
  size_t bytes_;
};

// One way of doing an operation, before anything is built.
struct Candidate {
  // Stable over processes while DeviceProperties::versions is: "cudnn fused eng47_k24=3", "cublaslt 2",
  // "cudnn split eng0", "own".
  std::string name;
  // Plans of its kind have crashed inside the library in some release, which nothing in this process would
  // survive: it is tried in a child process first.
  bool may_crash = false;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual const std::string& name() const = 0;  // the Candidate's
  virtual size_t workspace_bytes() const = 0;
};

class Event {
 public:
  virtual ~Event() = default;
  // Blocks, without spinning for long, until the work recorded before it is done; throws what that work
  // reported.
  virtual void Synchronize() = 0;
  // Between two events that are both done.
  virtual double MillisecondsSince(const Event& start) const = 0;
};

class Capture {
 public:
  virtual ~Capture() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;  // waits for its work, whatever became of it

  // Host memory is pinned and stays unchanged until the copy is done.
  virtual void CopyToDevice(void* device, const void* pinned, size_t bytes) = 0;
  virtual void CopyToHost(void* pinned, const void* device, size_t bytes) = 0;
  virtual void Launch(const Kernel& kernel, const Operands& operands) = 0;

  // Between the two, Launch is captured and not run; nothing else is called on the stream. The operands are
  // fixed then. EndCapture ends the capture even if it throws.
  virtual void BeginCapture() = 0;
  virtual std::unique_ptr<Capture> EndCapture() = 0;
  virtual void Launch(const Capture& capture) = 0;

  virtual void Record(Event& event) = 0;
  // What is queued from now on begins only after the event of another stream.
  virtual void Wait(const Event& event) = 0;
};

// A JPEG to be decoded to RGB rows without gaps, in device memory.
struct EncodedImage {
  std::span<const uint8_t> file;
  int64_t height = 0, width = 0;
  void* pixels = nullptr;
};

// One thread at a time uses a decoder.
class ImageDecoder {
 public:
  virtual ~ImageDecoder() = default;
  // Whether this is a JPEG of that size, and of a kind that the decoder knows.
  virtual bool Takes(std::span<const uint8_t> file, int64_t height, int64_t width) = 0;
  // Decodes images that it takes; the files stay until the stream has done it, and until then nothing else is
  // asked of the decoder. Nothing that was queued before may still use the memory of the pixels: a card's own
  // decoders write at once, not in the stream's order. False: it failed at one of them, and what the others
  // are is undefined.
  virtual bool Decode(Stream& stream, const std::vector<EncodedImage>& images) = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceProperties& properties() const = 0;
  virtual MemoryInfo memory() = 0;

  // Contents are undefined. `bytes` may be 0.
  virtual std::unique_ptr<Buffer> Allocate(size_t bytes) = 0;
  virtual std::unique_ptr<Buffer> AllocatePinned(size_t bytes) = 0;

  virtual std::unique_ptr<Stream> NewStream() = 0;
  virtual std::unique_ptr<Event> NewEvent() = 0;
  // Throws kDeviceUnavailable where the library for it is missing.
  virtual std::unique_ptr<ImageDecoder> NewImageDecoder() = 0;

  // The ways of doing it, the one expected to be fastest first; quick, builds nothing. At least one, or
  // kUnsupported. Convolutions: fused and split plans of cuDNN, cuBLASLt where it fits, kernels of ours.
  virtual std::vector<Candidate> Candidates(const Operation& operation) = 0;
  // Builds the candidate of that name. kUnsupported if it cannot be built after all, or is no candidate.
  virtual std::unique_ptr<const Kernel> Build(const Operation& operation, const std::string& candidate) = 0;
};

}  // namespace resnet_native::cuda
