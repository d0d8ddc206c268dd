#include "native/weight_source.h"

#include <cstring>

#include "native/half.h"

namespace resnet_native {
namespace {

float FromInt8(int8_t value) { return value; }

// `from` may be the end of `to`: bytes may alias anything, and each value is read before its place is
// written.
template <class Narrow, float (*kWiden)(Narrow)>
void WidenEach(const char* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Narrow value;
    std::memcpy(&value, from + i * sizeof value, sizeof value);
    to[i] = kWiden(value);
  }
}

void Widen(DType dtype, const char* from, float* to, size_t count) {
  if (dtype == DType::kInt8) WidenEach<int8_t, FromInt8>(from, to, count);
  if (dtype == DType::kFloat16) WidenEach<uint16_t, FromFloat16>(from, to, count);
  if (dtype == DType::kBfloat16) WidenEach<uint16_t, FromBfloat16>(from, to, count);
}

}  // namespace

WeightSource WeightSource::InMemory(std::shared_ptr<const void> owner, const void* data, DType dtype,
                                    size_t size) {
  WeightSource source(dtype, size);
  source.owner_ = std::move(owner);
  source.data_ = data;
  return source;
}

WeightSource WeightSource::InFile(std::shared_ptr<const WeightsFile> file, uint64_t position, DType dtype,
                                  size_t size) {
  WeightSource source(dtype, size);
  source.file_ = std::move(file);
  source.position_ = position;
  return source;
}

Weight WeightSource::Read(size_t first, size_t count) const {
  if (!file_ && dtype_ == DType::kFloat32) return {owner_, static_cast<const float*>(data_) + first, count};

  const auto values = std::make_shared_for_overwrite<float[]>(count);
  const size_t element = static_cast<size_t>(ElementBytes(dtype_));
  const char* narrow = static_cast<const char*>(data_);
  if (!file_) {
    narrow += first * element;
  } else {
    // Narrow values go to the end of their place, from where they are widened forwards.
    char* to = reinterpret_cast<char*>(values.get()) + count * (sizeof(float) - element);
    file_->Read(position_ + first * element, to, count * element);
    narrow = to;
  }
  Widen(dtype_, narrow, values.get(), count);
  return {values, values.get(), count};
}

}  // namespace resnet_native
