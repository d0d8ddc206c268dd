#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/error.h"
#include "native/graph/graph.h"
#include "native/image/resize.h"
#include "native/tensor.h"

// What a backend is.
//
//   Backend  one per kind of device, lives as long as the process. Thread-safe.
//   Plan     a compiled network: packed weights and the choice of kernels. Immutable, thread-safe and
//            shared by reference between JavaScript threads. Serves every batch and image size.
//   Context  what one run needs beside the plan: an arena, threads or a stream. Runs one batch at a time;
//            a Session (native/session.h) owns the contexts and the queue before them.
//
// Threads: Compile, Devices and NewContext may block and are called off the JavaScript thread. Context::Run
// returns soon or blocks as the backend likes, but is never called on the JavaScript thread; it calls `done`
// exactly once, on any thread.
//
// Errors: everything throws resnet_native::Error; Run never throws, it hands the exception to `done`. After a
// failed run the context can be used again unless the code is kDeviceLost.
//
// Memory: the caller owns the input and the outputs of a run and keeps them until `done` is called.

namespace resnet_native {

struct DeviceInfo {
  std::string id;    // "cpu", "cuda:0"
  std::string name;  // as the maker calls it
  bool available = false;
  std::string isa;                  // the instruction set or compute capability in use
  std::vector<std::string> dtypes;  // those that `compile` takes
  std::string reason;               // why it is not available or what is limited; empty otherwise
  bool lost = false;                // not available after an error that only a new process mends
};

enum class MemoryMode { kAuto, kLow };

// Whether algorithms are chosen by a cost model or by measuring, and how carefully.
enum class Autotune { kOff, kQuick, kFull };

struct CompileOptions {
  DType dtype = DType::kFloat32;
  int device_index = 0;
  int max_batch = 32;
  int threads = 0;  // CPU: 0 takes what the machine grants (cgroup limits included)
  MemoryMode memory = MemoryMode::kAuto;
  int height = 0, width = 0;   // of the images that are prepared for; 0: 224 × 224. Runs may bring any size
  uint64_t memory_budget = 0;  // CUDA: bytes for the plan and its contexts; 0: what there is
  std::string cache_folder;    // where measured choices are kept; empty: nowhere
  Autotune autotune = Autotune::kOff;  // CPU
  // CPU: nodes and the algorithms that they are to have, which count before anything else.
  std::vector<std::pair<std::string, std::string>> plan;
};

// A batch as the user brought it: n images of h × w × c elements in the layout named, uint8 (NHWC only) or
// float32. Each may lie anywhere, so that requests which came one by one run together without a copy.
struct InputBatch {
  const void* const* images = nullptr;
  DType dtype = DType::kFloat32;
  Layout layout = Layout::kNhwc;
  int64_t n = 0, h = 0, w = 0, c = 0;

  int64_t image_bytes() const { return h * w * c * ElementBytes(dtype); }
};

// The same, of the images [first, first + count). Shares the array of pointers.
InputBatch PartOf(const InputBatch& batch, int64_t first, int64_t count);

// Where the images are that lie one after the other: what InputBatch::images points to.
std::vector<const void*> ImagesIn(const void* data, int64_t n, int64_t image_bytes);

struct RunRequest {
  InputBatch input;
  // One float32 buffer per graph output, in that order, as large as InferShapes says; filled in NCHW order.
  std::vector<float*> outputs;
  // Looked at between steps: when it turns true the run may stop early with kAborted. May be null.
  const std::atomic<bool>* cancelled = nullptr;
  // If not null, gets the milliseconds of each step of Plan::Describe(), in that order.
  std::vector<double>* step_ms = nullptr;
};

// Throws kInvalidShape or kInvalidArgument if the graph does not take such a request, whatever its sizes.
void CheckRequest(const Graph& graph, const RunRequest& request);

// Called exactly once; null means success.
using Completion = std::function<void(std::exception_ptr error)>;

// What a plan does, step by step, for session.plan and the profiles.
struct StepInfo {
  std::string name;    // the node's name
  std::string op;      // OpName
  std::string kernel;  // which kernel was chosen
  int64_t macs = 0;    // multiply-adds for one image of 224 × 224; 0 where there are none or it does not fit
  // Where there was a choice of algorithms: the one taken, as CompileOptions::plan names it, and how come.
  std::string algorithm, reason;
};

class Context {
 public:
  virtual ~Context() = default;
  virtual void Run(const RunRequest& request, Completion done) = 0;
};

class Plan {
 public:
  virtual ~Plan() = default;
  // The graph after the passes: what InferShapes needs to size a run's outputs.
  virtual const Graph& graph() const = 0;
  virtual std::vector<StepInfo> Describe() const = 0;
  virtual std::unique_ptr<Context> NewContext(std::shared_ptr<const Plan> self) const = 0;
  virtual int default_contexts() const = 0;
};

// A JPEG file, and where the crop of it goes: crop_height × crop_width × 3 bytes. The sizes have passed
// CheckResizeCrop, and the memory is the caller's.
struct JpegCrop {
  std::span<const uint8_t> file;
  int64_t height = 0, width = 0;  // of the picture, as the file's header says
  ResizeCropGeometry geometry;
  uint8_t* crop = nullptr;
  bool done = false;  // false: this decoder cannot, or the file is damaged; another has to say
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::vector<DeviceInfo> Devices() = 0;
  // `graph` is valid (Validate) and as traced; the backend runs the passes it wants.
  virtual std::shared_ptr<const Plan> Compile(Graph graph, const CompileOptions& options) = 0;
  // Decodes on the device, resizes as native/image/resize.h does, crops, and sets `done` of each. Blocks.
  // Throws kUnsupported on a device that decodes nothing, kDeviceUnavailable where a library for it is
  // missing; even if there are no crops.
  virtual void DecodeJpegs(int device_index, std::span<JpegCrop> crops);
};

// The backends built in. They live as long as the process.
Backend& ReferenceBackend();
Backend& CpuBackend();

}  // namespace resnet_native
