#include "native/weight_source.h"

namespace resnet_native {

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
  const bool is_int8 = dtype_ == DType::kInt8;
  if (!file_ && !is_int8) return {owner_, static_cast<const float*>(data_) + first, count};

  const auto values = std::make_shared_for_overwrite<float[]>(count);
  const auto* bytes = static_cast<const int8_t*>(data_);
  if (!file_) {
    bytes += first;
  } else {
    // int8 goes to the end of its place, from where it is widened forwards.
    char* to = reinterpret_cast<char*>(values.get()) + (is_int8 ? count * (sizeof(float) - 1) : 0);
    const size_t element = ElementBytes(dtype_);
    file_->Read(position_ + first * element, to, count * element);
    bytes = reinterpret_cast<const int8_t*>(to);
  }
  for (size_t i = 0; is_int8 && i < count; ++i) values[i] = bytes[i];
  return {values, values.get(), count};
}

}  // namespace resnet_native
