#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "native/backends/cuda/device.h"

// Some plans of cuDNN have crashed inside the library, which no guard in the process survives. They are tried
// in a process of their own: the program trial_main.cc, which lies beside this library and opens it.

namespace resnet_native::cuda {

// True if the program ends by itself, in time and with exit code 0. It gets no input, and what it prints goes
// nowhere.
bool RunsWell(const std::string& program, const std::vector<std::string>& arguments,
              std::chrono::milliseconds limit);

// Builds and launches the candidate in the program of that path.
bool TryInChild(const std::string& program, const std::string& library, int device,
                const Operation& operation, const std::string& candidate);

// What that program does, in it. Throws what the device throws.
void Try(Device& device, const Operation& operation, const std::string& candidate);

// An operation as an argument on a command line, for a process of the same build.
std::string ToArgument(const Operation& operation);
Operation FromArgument(const std::string& argument);

}  // namespace resnet_native::cuda
