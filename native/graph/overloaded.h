#pragma once

namespace resnet_native {

// A visitor made of lambdas, one for each operation: std::visit(Overloaded{...}, node.op).
template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace resnet_native
