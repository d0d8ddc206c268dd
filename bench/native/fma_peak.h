#pragma once

#include "native/backends/cpu/thread_pool.h"

namespace resnet_native::bench {

// GFLOP/s of independent multiply-adds in registers on all threads of the pool at once, with the widest
// vectors that the CPU has: what no kernel can pass. Takes a few milliseconds; the best of several tries.
double MeasureFmaGflops(cpu::ThreadPool& pool);

}  // namespace resnet_native::bench
