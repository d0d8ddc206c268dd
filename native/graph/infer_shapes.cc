#include "native/error.h"
#include "native/graph/graph.h"
#include "native/graph/overloaded.h"

namespace resnet_native {
namespace {

// Above it an image could not be addressed anyway; below it no product of sizes overflows an int64_t.
constexpr int64_t kMaxExtent = 1 << 20;
constexpr int64_t kMaxElements = int64_t{1} << 40;

std::string Show(const TensorShape& shape) {
  if (shape.rank == 2) return "[" + std::to_string(shape.n) + ", " + std::to_string(shape.c) + "]";
  return "[" + std::to_string(shape.n) + ", " + std::to_string(shape.c) + ", " + std::to_string(shape.h) +
         ", " + std::to_string(shape.w) + "]";
}

[[noreturn]] void Fail(const Node& node, const std::string& what) {
  throw Error(ErrorCode::kInvalidShape, "node \"" + node.name + "\": " + what);
}

TensorShape Windowed(const Node& node, const Window& window, const TensorShape& x, int64_t channels) {
  // A window larger than the padded image would round towards an output of one pixel.
  const bool fits = x.h + 2 * window.pad_h >= window.ExtentH() && x.w + 2 * window.pad_w >= window.ExtentW();
  if (!fits) {
    Fail(node, "its window of " + std::to_string(window.kernel_h) + "×" + std::to_string(window.kernel_w) +
                   " does not fit its input " + Show(x) + "; use larger images");
  }
  return {x.n, window.OutH(x.h), window.OutW(x.w), channels, 4};
}

// Broadcasting is not of the family: what is added has equal shapes.
void CheckSame(const Node& node, const TensorShape& a, const TensorShape& b) {
  if (!(a == b)) Fail(node, "its inputs have different shapes, " + Show(a) + " and " + Show(b));
}

TensorShape InferNode(const Node& node, const TensorShape& input, const std::vector<TensorShape>& shapes) {
  const auto at = [&](size_t i) -> const TensorShape& { return shapes[node.inputs[i]]; };
  return std::visit(Overloaded{
                        [&](const InputOp&) { return input; },
                        [&](const NormalizeOp&) { return at(0); },
                        [&](const Conv2dOp& op) {
                          const TensorShape y = Windowed(node, op.window, at(0), op.out_channels);
                          if (op.has_residual) CheckSame(node, y, at(1));
                          return op.max_pool ? Windowed(node, *op.max_pool, y, y.c) : y;
                        },
                        [&](const BatchNormOp&) { return at(0); },
                        [&](const ReluOp&) { return at(0); },
                        [&](const MaxPool2dOp& op) { return Windowed(node, op.window, at(0), at(0).c); },
                        [&](const GlobalAvgPoolOp&) {
                          return TensorShape{at(0).n, 1, 1, at(0).c, 4};
                        },
                        [&](const FlattenOp&) {
                          return TensorShape{at(0).n, 1, 1, at(0).h * at(0).w * at(0).c, 2};
                        },
                        [&](const LinearOp& op) {
                          if (at(0).c != op.in_features) {
                            Fail(node, "expected " + std::to_string(op.in_features) +
                                           " features but its input is " + Show(at(0)));
                          }
                          return TensorShape{at(0).n, 1, 1, op.out_features, 2};
                        },
                        [&](const AddOp&) {
                          CheckSame(node, at(0), at(1));
                          return at(0);
                        },
                        [&](const ZeroPadShortcutOp& op) {
                          return TensorShape{at(0).n, (at(0).h - 1) / op.stride + 1,
                                             (at(0).w - 1) / op.stride + 1, op.out_channels, 4};
                        },
                        [&](const QuantizeOp&) { return at(0); },
                        [&](const DequantizeOp&) { return at(0); },
                    },
                    node.op);
}

}  // namespace

std::vector<TensorShape> InferShapes(const Graph& graph, int64_t n, int64_t h, int64_t w) {
  const Node& first = graph.nodes.at(0);
  const TensorShape input{n, h, w, std::get<InputOp>(first.op).channels, 4};
  if (n < 1 || h < 1 || w < 1 || n > kMaxExtent || h > kMaxExtent || w > kMaxExtent) {
    Fail(first,
         "expected sizes from 1 to " + std::to_string(kMaxExtent) + " but the input is " + Show(input));
  }
  std::vector<TensorShape> shapes;
  shapes.reserve(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    shapes.push_back(InferNode(node, input, shapes));
    const TensorShape& y = shapes.back();
    if (y.h > kMaxExtent || y.w > kMaxExtent || y.n * y.h > kMaxElements / y.w / y.c) {
      Fail(node, "its result " + Show(y) + " is too large; use smaller images or batches");
    }
  }
  return shapes;
}

}  // namespace resnet_native
