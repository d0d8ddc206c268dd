#include <cstddef>

extern "C" size_t cublasLtGetVersion() { return 130002; }
