#include <sstream>

#include "native/graph/graph.h"
#include "native/graph/overloaded.h"

namespace resnet_native {
namespace {

void PrintPair(std::ostream& out, const char* what, int h, int w, int usual) {
  if (h == usual && w == usual) return;
  out << ' ' << what << ' ' << h;
  if (h != w) out << "x" << w;
}

void PrintWindow(std::ostream& out, const Window& window) {
  out << ' ' << window.kernel_h << 'x' << window.kernel_w;
  PrintPair(out, "stride", window.stride_h, window.stride_w, 1);
  PrintPair(out, "pad", window.pad_h, window.pad_w, 0);
  PrintPair(out, "dilation", window.dilation_h, window.dilation_w, 1);
}

void PrintConv(std::ostream& out, const Conv2dOp& op) {
  PrintWindow(out, op.window);
  out << ' ' << op.in_channels << "->" << op.out_channels;
  if (op.groups != 1) out << " groups " << op.groups;
  if (op.input_quantization) out << " int8";
  if (op.input_normalize) out << " normalize";
  if (!op.filters.channel_scale.empty()) out << " scale";
  if (!op.bias.empty()) out << " bias";
  if (op.has_residual) out << " residual";
  if (op.relu) out << " relu";
  if (op.max_pool) {
    out << " max_pool";
    PrintWindow(out, *op.max_pool);
  }
}

void PrintAttributes(std::ostream& out, const Op& op) {
  std::visit(
      Overloaded{
          [&](const InputOp& input) { out << ' ' << input.channels; },
          [&](const Conv2dOp& conv) { PrintConv(out, conv); },
          [&](const MaxPool2dOp& pool) { PrintWindow(out, pool.window); },
          [&](const LinearOp& linear) {
            out << ' ' << linear.in_features << "->" << linear.out_features;
            if (linear.input_quantization) out << " int8";
            if (!linear.bias.empty()) out << " bias";
          },
          [&](const QuantizeOp& quantize) { out << (quantize.input_normalize ? " normalize" : ""); },
          [&](const AddOp& add) { out << (add.relu ? " relu" : ""); },
          [&](const ZeroPadShortcutOp& pad) { out << " stride " << pad.stride << " ->" << pad.out_channels; },
          [](const auto&) {},
      },
      op);
}

}  // namespace

std::string ToString(const Graph& graph) {
  std::ostringstream out;
  for (const Node& node : graph.nodes) {
    out << node.name << " = " << OpName(node.op) << '(';
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      out << (i ? ", " : "") << graph.nodes[node.inputs[i]].name;
    }
    out << ')';
    PrintAttributes(out, node.op);
    if (node.quantization) {
      out << " -> " << (node.quantization->zero_point == 0 ? "unsigned " : "signed ")
          << node.quantization->scale;
    }
    out << '\n';
  }
  out << "outputs:";
  for (NodeId output : graph.outputs) out << ' ' << graph.nodes[output].name;
  out << '\n';
  return out.str();
}

}  // namespace resnet_native
