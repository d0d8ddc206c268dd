#include "native/backend.h"

namespace resnet_native {

void CheckRequest(const Graph& graph, const RunRequest& request) {
  const InputBatch& input = request.input;
  const int channels = std::get<InputOp>(graph.nodes[0].op).channels;
  if (input.c != channels) {
    throw Error(ErrorCode::kInvalidShape, "expected input of " + std::to_string(channels) +
                                              " channels but it has " + std::to_string(input.c));
  }
  const bool bytes = input.dtype == DType::kUint8 && input.layout == Layout::kNhwc;
  if (!bytes && input.dtype != DType::kFloat32) {
    throw Error(ErrorCode::kInvalidArgument, "expected input of uint8 in NHWC order or of float32");
  }
  if (request.outputs.size() != graph.outputs.size()) {
    throw Error(ErrorCode::kInvalidArgument, "expected " + std::to_string(graph.outputs.size()) +
                                                 " output buffers but got " +
                                                 std::to_string(request.outputs.size()));
  }
}

InputBatch PartOf(const InputBatch& batch, int64_t first, int64_t count) {
  InputBatch part = batch;
  part.images = batch.images + first;
  part.n = count;
  return part;
}

std::vector<const void*> ImagesIn(const void* data, int64_t n, int64_t image_bytes) {
  std::vector<const void*> images;
  for (int64_t i = 0; i < n; ++i) images.push_back(static_cast<const char*>(data) + i * image_bytes);
  return images;
}

void Backend::DecodeJpegs(int, std::span<JpegCrop>) {
  throw Error(ErrorCode::kUnsupported, "this device decodes no images; use `decode: 'host'`");
}

}  // namespace resnet_native
