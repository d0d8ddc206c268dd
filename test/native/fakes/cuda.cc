#include <cstdio>
#include <cstdlib>
#include <cstring>

// A driver with the GPUs that FAKE_GPUS says, as "8.6 9.0": their compute capabilities. FAKE_CUINIT is what
// cuInit returns.

namespace {

int Number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

// Writes the capability of a GPU; false if there is no such GPU.
bool Capability(int index, int* major, int* minor) {
  const char* text = std::getenv("FAKE_GPUS");
  if (!text) text = "9.0";
  for (;; --index) {
    int length = 0;
    if (std::sscanf(text, " %d.%d%n", major, minor, &length) != 2) return false;
    if (index == 0) return true;
    text += length;
  }
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return Number("FAKE_CUINIT", 0); }

int cuDriverGetVersion(int* version) {
  *version = Number("FAKE_DRIVER_VERSION", 13000);
  return 0;
}

int cuDeviceGetCount(int* count) {
  int major, minor;
  for (*count = 0; Capability(*count, &major, &minor); ++*count) {
  }
  return 0;
}

int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  std::snprintf(name, size, "Fake GPU %d", device);
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  int major = 0, minor = 0;
  if (!Capability(device, &major, &minor)) return 101;
  *value = attribute == 75 ? major : minor;
  return 0;
}

int cuGetErrorString(int error, const char** text) {
  *text = error == 803 ? "system has unsupported display driver / cuda driver combination" : nullptr;
  return error == 803 ? 0 : 1;
}

}  // extern "C"
