#include "test/native/support/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <random>

namespace resnet_native::testing {

InputBatch OwnedInput::Batch(Layout layout) const {
  const DType dtype = bytes.empty() ? DType::kFloat32 : DType::kUint8;
  InputBatch batch{nullptr, dtype, layout, shape.n, shape.h, shape.w, shape.c};
  const void* data = bytes.empty() ? static_cast<const void*>(floats.data()) : bytes.data();
  auto pointers = ImagesIn(data, shape.n, batch.image_bytes());
  if (pointers != images) images = std::move(pointers);  // else runs that were given them may still read them
  batch.images = images.data();
  return batch;
}

OwnedInput RandomInput(const TensorShape& shape, bool bytes, uint32_t seed) {
  std::mt19937 random(seed);
  OwnedInput input{shape, {}, {}};
  if (bytes) {
    input.bytes.resize(shape.elements());
    for (uint8_t& value : input.bytes) value = static_cast<uint8_t>(random() >> 24);
  } else {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    input.floats.resize(shape.elements());
    for (float& value : input.floats) value = uniform(random);
  }
  return input;
}

void RunAndWait(Context& context, const RunRequest& request) {
  std::promise<void> finished;
  context.Run(request, [&](std::exception_ptr error) {
    if (error) {
      finished.set_exception(error);
    } else {
      finished.set_value();
    }
  });
  finished.get_future().get();
}

std::vector<std::vector<float>> RunGraph(Backend& backend, const Graph& graph, const OwnedInput& input,
                                         const CompileOptions& options, Layout layout) {
  Validate(graph);
  const std::shared_ptr<const Plan> plan = backend.Compile(graph, options);
  const std::unique_ptr<Context> context = plan->NewContext(plan);
  const auto shapes = InferShapes(plan->graph(), input.shape.n, input.shape.h, input.shape.w);

  std::vector<std::vector<float>> results;
  RunRequest request{input.Batch(layout), {}};
  for (NodeId output : plan->graph().outputs) results.emplace_back(shapes[output].elements());
  for (std::vector<float>& result : results) request.outputs.push_back(result.data());
  RunAndWait(*context, request);
  return results;
}

void ExpectNear(const std::vector<float>& expected, const std::vector<float>& actual, double relative) {
  ASSERT_EQ(expected.size(), actual.size());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    const double difference = std::abs(static_cast<double>(expected[i]) - actual[i]);
    ASSERT_FALSE(std::isnan(difference)) << "at " << i << ": " << expected[i] << " and " << actual[i];
    worst = std::max(worst, difference);
  }
  EXPECT_LE(worst, relative * largest);
}

}  // namespace resnet_native::testing
