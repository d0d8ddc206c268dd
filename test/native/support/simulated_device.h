#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "native/backends/cuda/backend.h"
#include "native/backends/cuda/device.h"

namespace resnet_native::testing {

// What a simulated GPU does beside computing. Everything may be changed while it is used.
struct Behaviour {
  std::atomic<int64_t> memory_bytes{int64_t{4} << 30};
  std::atomic<int> launch_microseconds{0};  // that each launch takes, replayed ones too
  std::atomic<int64_t> launches_left{-1};   // then the device is lost, as by an illegal address; -1: never
  std::atomic<bool> fails_to_capture{false};
  std::atomic<bool> lacks_decoder{false};
  std::atomic<bool> has_choice{true};  // false: one candidate for everything, so that nothing is measured
  // Of launches, in milliseconds of a clock that only they advance; others cost 1.
  std::map<std::string, double> costs;
  std::set<std::string> unbuildable, crashing;  // candidates by name

  // What was seen of it.
  std::atomic<int64_t> launches{0}, replays{0}, builds{0}, most_streams_busy{0}, streams_busy{0};
  std::atomic<int64_t> used_bytes{0};  // device memory
};

// A GPU made of host memory and a thread for each stream: the contract of device.h, to the letter. Memory is
// fresh poison whenever it is allocated; every copy and launch is checked, when it runs, against what is
// allocated then.
std::shared_ptr<cuda::Device> MakeSimulatedDevice(int index, std::shared_ptr<Behaviour> behaviour);

// Some simulated GPUs, "cuda:0" and on. `lists` is what they say they compute in.
class SimulatedSource final : public cuda::DeviceSource {
 public:
  explicit SimulatedSource(std::shared_ptr<Behaviour> behaviour, int count = 1)
      : behaviour_(std::move(behaviour)), count_(count) {}

  std::vector<DeviceInfo> List() override;
  std::shared_ptr<cuda::Device> Open(int index) override { return MakeSimulatedDevice(index, behaviour_); }
  bool Try(int index, const cuda::Operation& operation, const std::string& candidate) override;

 private:
  const std::shared_ptr<Behaviour> behaviour_;
  const int count_;
};

}  // namespace resnet_native::testing
