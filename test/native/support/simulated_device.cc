#include "test/native/support/simulated_device.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <thread>

#include "native/image/jpeg.h"
#include "test/native/support/simulated_kernels.h"

namespace resnet_native::testing {
namespace {

using cuda::Operands;
using cuda::Operation;

constexpr const char* kLibraryCandidate = "split";
constexpr unsigned char kPoison = 0xff;  // a NaN in every float type

// What the parts of one device share. One mutex: a simulation need not be fast at that.
struct State {
  explicit State(std::shared_ptr<Behaviour> behaviour) : behaviour(std::move(behaviour)) {}

  // Throws the error that the device is in, if it is.
  void Check() {
    std::lock_guard lock(mutex);
    if (error) throw *error;
  }

  void Fail(const Error& what) {
    std::lock_guard lock(mutex);
    if (!error) error = what;
    changed.notify_all();
  }

  // Throws unless the bytes lie in one living piece of memory of that kind.
  void CheckRange(bool pinned, const void* data, size_t bytes, const std::string& what) {
    if (bytes == 0) return;
    std::lock_guard lock(mutex);
    const std::map<const char*, size_t>& pieces = pinned ? pinned_pieces : device_pieces;
    const char* begin = static_cast<const char*>(data);
    auto piece = pieces.upper_bound(begin);
    if (piece != pieces.begin() && begin + bytes <= std::prev(piece)->first + std::prev(piece)->second)
      return;
    throw Error(ErrorCode::kInternal, "simulated device: " + what + " of " + std::to_string(bytes) +
                                          " bytes is not in " + (pinned ? "pinned" : "device") + " memory");
  }

  const std::shared_ptr<Behaviour> behaviour;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Error> error;
  std::map<const char*, size_t> device_pieces, pinned_pieces;
};

using StatePtr = std::shared_ptr<State>;

class SimulatedBuffer final : public cuda::Buffer {
 public:
  SimulatedBuffer(StatePtr state, void* data, size_t bytes, bool pinned)
      : Buffer(data, bytes), state_(std::move(state)), pinned_(pinned) {
    std::memset(data, kPoison, bytes);
    std::lock_guard lock(state_->mutex);
    (pinned ? state_->pinned_pieces : state_->device_pieces)[static_cast<char*>(data)] = bytes;
  }
  ~SimulatedBuffer() override {
    {
      std::lock_guard lock(state_->mutex);
      (pinned_ ? state_->pinned_pieces : state_->device_pieces).erase(static_cast<char*>(data()));
      if (!pinned_) state_->behaviour->used_bytes -= static_cast<int64_t>(bytes());
    }
    std::free(data());
  }

 private:
  const StatePtr state_;
  const bool pinned_;
};

class SimulatedKernel final : public cuda::Kernel {
 public:
  SimulatedKernel(Operation operation, std::string name, size_t workspace)
      : operation_(std::move(operation)), name_(std::move(name)), workspace_(workspace) {}

  const std::string& name() const override { return name_; }
  size_t workspace_bytes() const override { return workspace_; }
  const Operation& operation() const { return operation_; }

 private:
  const Operation operation_;
  const std::string name_;
  const size_t workspace_;
};

// How far a stream had come when it was recorded.
class SimulatedEvent final : public cuda::Event {
 public:
  explicit SimulatedEvent(StatePtr state) : state_(std::move(state)), shared_(std::make_shared<Shared>()) {}

  void Synchronize() override {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->error || shared_->done == shared_->recorded; });
    if (state_->error) throw *state_->error;
  }

  double MillisecondsSince(const cuda::Event& start) const override {
    std::lock_guard lock(state_->mutex);
    return shared_->clock - static_cast<const SimulatedEvent&>(start).shared_->clock;
  }

  struct Shared {
    int64_t recorded = 0, done = 0;
    double clock = 0;  // of its stream
  };
  const std::shared_ptr<Shared>& shared() const { return shared_; }

 private:
  const StatePtr state_;
  const std::shared_ptr<Shared> shared_;
};

struct QueuedLaunch {
  const SimulatedKernel* kernel;
  Operands operands;
};

class SimulatedCapture final : public cuda::Capture {
 public:
  std::vector<QueuedLaunch> launches;
};

class SimulatedStream final : public cuda::Stream {
 public:
  explicit SimulatedStream(StatePtr state) : state_(std::move(state)), thread_([this] { Work(); }) {}
  ~SimulatedStream() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    queued_.notify_all();
    thread_.join();
  }

  void CopyToDevice(void* device, const void* pinned, size_t bytes) override {
    Queue([=, this] { Copy(device, pinned, device, pinned, bytes); });
  }
  void CopyToHost(void* pinned, const void* device, size_t bytes) override {
    Queue([=, this] { Copy(pinned, device, device, pinned, bytes); });
  }

  void Launch(const cuda::Kernel& kernel, const Operands& operands) override {
    const QueuedLaunch launch{static_cast<const SimulatedKernel*>(&kernel), operands};
    if (!capturing_) return Queue([=, this] { Run(launch); });
    state_->Check();
    capturing_->launches.push_back(launch);
  }

  void BeginCapture() override {
    state_->Check();
    capturing_ = std::make_unique<SimulatedCapture>();
  }
  std::unique_ptr<cuda::Capture> EndCapture() override {
    auto capture = std::move(capturing_);
    state_->Check();
    if (state_->behaviour->fails_to_capture) throw Error(ErrorCode::kInternal, "simulated: capture failed");
    return capture;
  }
  void Launch(const cuda::Capture& capture) override {
    ++state_->behaviour->replays;
    Queue([this, launches = &static_cast<const SimulatedCapture&>(capture).launches] {
      for (const QueuedLaunch& launch : *launches) Run(launch);
    });
  }

  void Record(cuda::Event& event) override {
    const auto shared = static_cast<SimulatedEvent&>(event).shared();
    int64_t number;
    {
      std::lock_guard lock(state_->mutex);
      number = ++shared->recorded;
    }
    Queue([=, this] {
      std::lock_guard lock(state_->mutex);
      shared->done = number;
      shared->clock = clock_;
      state_->changed.notify_all();
    });
  }
  void Wait(const cuda::Event& event) override {
    const auto shared = static_cast<const SimulatedEvent&>(event).shared();
    Queue([=, this, number = shared->recorded] {
      std::unique_lock lock(state_->mutex);
      state_->changed.wait(lock, [&] { return state_->error || shared->done >= number; });
    });
  }

 private:
  void Queue(std::function<void()> work) {
    state_->Check();
    if (capturing_) throw Error(ErrorCode::kInternal, "simulated device: not while a capture is under way");
    {
      std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    queued_.notify_one();
  }

  void Work() {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock lock(mutex_);
        queued_.wait(lock, [this] { return ending_ || !work_.empty(); });
        if (work_.empty()) return;
        work = std::move(work_.front());
        work_.pop_front();
      }
      try {
        state_->Check();
        work();
      } catch (const Error& error) {
        state_->Fail(error);  // of whatever kind, the work behind it is not done
      }
    }
  }

  void Copy(void* to, const void* from, const void* device, const void* pinned, size_t bytes) {
    state_->CheckRange(false, device, bytes, "a copy");
    state_->CheckRange(true, pinned, bytes, "a copy");
    std::memcpy(to, from, bytes);
  }

  void Run(const QueuedLaunch& launch) {
    Behaviour& behaviour = *state_->behaviour;
    ++behaviour.launches;
    if (behaviour.launches_left >= 0 && behaviour.launches_left-- <= 0) {
      throw Error(ErrorCode::kDeviceLost, "simulated: an illegal memory access was encountered");
    }
    CheckOperands(launch);
    const int64_t busy = ++behaviour.streams_busy;
    for (int64_t most = behaviour.most_streams_busy;
         most < busy && !behaviour.most_streams_busy.compare_exchange_weak(most, busy);) {
    }
    const bool library = launch.kernel->name() == kLibraryCandidate;
    ComputeOnHost(launch.kernel->operation(), launch.operands, library ? Int8Way::kLibrary : Int8Way::kExact);
    // A workspace holds nothing from one launch to the next.
    std::fill_n(static_cast<uint8_t*>(launch.operands.workspace), launch.kernel->workspace_bytes(), kPoison);
    if (behaviour.launch_microseconds > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(behaviour.launch_microseconds));
    }
    --behaviour.streams_busy;
    const auto cost = behaviour.costs.find(launch.kernel->name());
    clock_ += cost == behaviour.costs.end() ? 1 : cost->second;
  }

  void CheckOperands(const QueuedLaunch& launch) {
    const Operation& operation = launch.kernel->operation();
    const std::string name = cuda::ToString(operation);
    const cuda::OperandBytes bytes = cuda::BytesOf(operation);
    const Operands& operands = launch.operands;
    const auto y = reinterpret_cast<uintptr_t>(operands.y);
    const auto check = [&](const void* data, size_t size, const std::string& what, bool may_be_y = false) {
      if (size == 0) return;
      state_->CheckRange(false, data, size, what + " of " + name);
      const auto begin = reinterpret_cast<uintptr_t>(data);
      const bool overlaps = begin < y + bytes.y && y < begin + size;
      if (begin % cuda::kAlignment != 0 || (overlaps && !may_be_y)) {
        throw Error(ErrorCode::kInternal, "simulated device: " + what + " of " + name +
                                              (overlaps ? " overlaps y" : " is not aligned"));
      }
    };
    const bool in_place = std::holds_alternative<cuda::Elementwise>(operation);
    check(operands.y, bytes.y, "y", true);
    check(operands.x, bytes.x, "x", in_place && operands.x == operands.y);
    check(operands.residual, bytes.residual, "residual");
    check(operands.filters, bytes.filters, "filters");
    check(operands.scale, bytes.scale, "scale");
    check(operands.shift, bytes.shift, "shift");
    check(operands.typed_shift, bytes.typed_shift, "typed_shift");
    check(operands.table, bytes.table, "table");
    check(operands.workspace, launch.kernel->workspace_bytes(), "workspace");
  }

  const StatePtr state_;
  std::unique_ptr<SimulatedCapture> capturing_;
  double clock_ = 0;  // of the working thread, read under state_->mutex
  std::mutex mutex_;
  std::condition_variable queued_;
  std::deque<std::function<void()>> work_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses the rest
};

// The host's decoder, with a copy to the device behind it.
class SimulatedDecoder final : public cuda::ImageDecoder {
 public:
  explicit SimulatedDecoder(cuda::Device& device) : device_(device) {}

  bool Takes(std::span<const uint8_t> file, int64_t, int64_t) override {
    return file.size() > 2 && file[0] == 0xff && file[1] == 0xd8;
  }
  bool Decode(cuda::Stream& stream, const std::vector<cuda::EncodedImage>& images) override {
    pixels_.clear();
    for (const cuda::EncodedImage& image : images) {
      pixels_.push_back(device_.AllocatePinned(image.height * image.width * 3));
      auto* to = static_cast<uint8_t*>(pixels_.back()->data());
      if (!DecodePlainJpeg(image.file, image.height, image.width, to)) return false;
      stream.CopyToDevice(image.pixels, to, pixels_.back()->bytes());
    }
    return true;
  }

 private:
  cuda::Device& device_;
  std::vector<std::unique_ptr<cuda::Buffer>> pixels_;
};

class SimulatedDevice final : public cuda::Device {
 public:
  SimulatedDevice(int index, std::shared_ptr<Behaviour> behaviour)
      : properties_{index, "Simulated GPU", 9, 0, size_t{4} << 30, "simulation 1"},
        state_(std::make_shared<State>(std::move(behaviour))) {}

  const cuda::DeviceProperties& properties() const override { return properties_; }

  cuda::MemoryInfo memory() override {
    state_->Check();
    std::lock_guard lock(state_->mutex);
    const int64_t total = state_->behaviour->memory_bytes;
    return {static_cast<size_t>(std::max<int64_t>(total - state_->behaviour->used_bytes, 0)),
            static_cast<size_t>(total)};
  }

  std::unique_ptr<cuda::Buffer> Allocate(size_t bytes) override {
    state_->Check();
    {
      std::lock_guard lock(state_->mutex);
      if (state_->behaviour->used_bytes + static_cast<int64_t>(bytes) > state_->behaviour->memory_bytes) {
        throw Error(ErrorCode::kOutOfMemory, "simulated: out of memory");
      }
      state_->behaviour->used_bytes += static_cast<int64_t>(bytes);
    }
    return MakeBuffer(bytes, false);
  }
  std::unique_ptr<cuda::Buffer> AllocatePinned(size_t bytes) override {
    state_->Check();
    return MakeBuffer(bytes, true);
  }

  std::unique_ptr<cuda::Stream> NewStream() override {
    state_->Check();
    return std::make_unique<SimulatedStream>(state_);
  }
  std::unique_ptr<cuda::Event> NewEvent() override {
    state_->Check();
    return std::make_unique<SimulatedEvent>(state_);
  }

  std::unique_ptr<cuda::ImageDecoder> NewImageDecoder() override {
    state_->Check();
    if (state_->behaviour->lacks_decoder) {
      throw Error(ErrorCode::kDeviceUnavailable, "simulated: there is no decoder");
    }
    return std::make_unique<SimulatedDecoder>(*this);
  }

  // Convolutions have three: names that tests give costs to, and workspaces that a plan must place. One of
  // them computes int8 as libraries do.
  std::vector<cuda::Candidate> Candidates(const Operation& operation) override {
    state_->Check();
    if (!std::holds_alternative<cuda::Convolution>(operation) || !state_->behaviour->has_choice) {
      return {{"simulated"}};
    }
    return {{"fused"}, {kLibraryCandidate}, {"risky", true}};
  }

  std::unique_ptr<const cuda::Kernel> Build(const Operation& operation,
                                            const std::string& candidate) override {
    ++state_->behaviour->builds;
    for (const cuda::Candidate& known : Candidates(operation)) {
      if (known.name != candidate || state_->behaviour->unbuildable.contains(candidate)) continue;
      return std::make_unique<SimulatedKernel>(operation, candidate,
                                               candidate == kLibraryCandidate ? 1000 : 0);
    }
    throw Error(ErrorCode::kUnsupported, "simulated: \"" + candidate + "\" cannot be built");
  }

 private:
  std::unique_ptr<cuda::Buffer> MakeBuffer(size_t bytes, bool pinned) {
    const size_t rounded =
        (std::max<size_t>(bytes, 1) + cuda::kAlignment - 1) / cuda::kAlignment * cuda::kAlignment;
    return std::make_unique<SimulatedBuffer>(state_, std::aligned_alloc(cuda::kAlignment, rounded), bytes,
                                             pinned);
  }

  const cuda::DeviceProperties properties_;
  const StatePtr state_;
};

}  // namespace

std::shared_ptr<cuda::Device> MakeSimulatedDevice(int index, std::shared_ptr<Behaviour> behaviour) {
  return std::make_shared<SimulatedDevice>(index, std::move(behaviour));
}

std::vector<DeviceInfo> SimulatedSource::List() {
  std::vector<DeviceInfo> devices;
  for (int i = 0; i < count_; ++i) {
    devices.push_back({"cuda:" + std::to_string(i),
                       "Simulated GPU",
                       true,
                       "9.0",
                       {"float32", "tf32", "float16", "bfloat16", "int8"},
                       ""});
  }
  return devices;
}

bool SimulatedSource::Try(int, const cuda::Operation&, const std::string& candidate) {
  return !behaviour_->crashing.contains(candidate);
}

}  // namespace resnet_native::testing
