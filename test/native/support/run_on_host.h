#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

namespace resnet_native::cuda::testing {

// Runs every thread of a body (gpu/kernels/grid.h), one after the other, and the phases of a block as its
// barriers would.
template <class Body>
void RunOnHost(const Body& body) {
  if constexpr (requires { typename Body::Shared; }) {
    for (uint32_t block = 0; block < body.blocks; ++block) {
      auto shared = std::make_unique<typename Body::Shared>();
      std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(*shared));  // NaN: nothing is there yet
      for (int phase = 0; phase < body.phases(); ++phase) {
        for (int thread = 0; thread < Body::kThreads; ++thread) body(phase, block, thread, *shared);
      }
    }
  } else {
    for (uint32_t thread = 0; thread < body.threads; ++thread) body(thread);
  }
}

}  // namespace resnet_native::cuda::testing
