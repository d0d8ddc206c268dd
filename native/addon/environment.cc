#include "native/addon/environment.h"

namespace resnet_native {

void Environment::Set(Napi::Env env) {
  auto environment = std::make_unique<Environment>();
  environment->completions = Completions::Create(env);
  env.SetInstanceData(environment.release());
}

}  // namespace resnet_native
