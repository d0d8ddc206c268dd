#!/usr/bin/env bash
# Builds the CUDA backend on a machine with a GPU, checks everything that only a GPU can show, and measures. Fails loudly;
# ends with one summary, and writes bench/results/cuda-GPU.json.
#
#   scripts/verify-cuda.sh [--bench] [--only PART[,PART…]] [--cache-dir DIR] [-- OPTIONS OF bench/cuda/bench.mjs]
#
#   build      Release for this GPU: the addon, the CUDA library, the native tests                        limit 8 minutes
#   kernels    every operation, every candidate, against the reference kernels                            limit 5 minutes
#   goldens    torchvision's ten builders in every float type against torch in float64                    limit 8 minutes
#   int8       the ten builders in int8 against the exact arithmetic, and against torch                   limit 8 minutes
#   decode     nvJPEG's pixels against the host's                                                         limit 2 minutes
#   faults     batches 1 to 512, 8 contexts, 1,000 sessions, out of memory and on                         limit 5 minutes
#   sanitizer  compute-sanitizer's memcheck and racecheck over the kernels of ours                        limit 5 minutes
#   bench      against torch eager and torch.compile: with --bench or --only bench. Goes on where it was cut off.
#
# Without --only: all but bench, and that too with --bench. A part that fails does not stop those behind it, but for build.
#
# Needs nvcc 12.8 or newer, CMake, a C++20 compiler, cuDNN 9 and cuBLASLt (those of torch's wheels do), and for bench a
# python3 with torch and torchvision. Node and the rest come from .gpu-kit where a kit was unpacked there; else they are
# looked for as usual. --cache-dir keeps what was compiled and chosen (cuDNN plans, inductor), for a later run on a fresh
# machine.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

PARTS=(build kernels goldens int8 decode faults sanitizer bench)
declare -A LIMIT=([build]=480 [kernels]=300 [goldens]=480 [int8]=480 [decode]=120 [faults]=300 [sanitizer]=300 [bench]=3600)
tree=build/verify-cuda
wanted=(build kernels goldens int8 decode faults sanitizer)
cache=$PWD/build/cuda-cache
bench_options=()

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
fail() { echo "verify-cuda: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --bench) wanted+=(bench) ;;
    --only) shift; IFS=, read -r -a wanted <<<"${1:?--only needs a part}" ;;
    --cache-dir) shift; cache=$(realpath -m "${1:?--cache-dir needs a folder}") ;;
    --help) usage; exit 0 ;;
    --) shift; bench_options=("$@"); break ;;
    *) fail "what is $1? See --help" ;;
  esac
  shift
done
for part in "${wanted[@]}"; do
  [[ " ${PARTS[*]} " == *" $part "* ]] || fail "there is no part $part; there are: ${PARTS[*]}"
done

# ---- The machine ----

if [ -f .gpu-kit/unpack.sh ]; then
  set +u
  # shellcheck disable=SC1091
  . .gpu-kit/unpack.sh || fail "the kit in .gpu-kit does not unpack"
  set -u
fi
for program in node cmake nvcc nvidia-smi python3; do
  command -v "$program" >/dev/null || [ "$program" = nvcc -a -x "${CUDACXX:-}" ] || fail "$program is missing"
done
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader --id=0) || fail "nvidia-smi finds no GPU: $gpu"
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader --id=0 | tr -d .) || fail "no compute capability"
# Hopper's own instructions need the a.
[ "$capability" = 90 ] && capability=90a
export CUDAARCHS=$capability-real
export CUDACXX=${CUDACXX:-$(command -v nvcc)}
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export RESNET_NATIVE_REQUIRE_GPU=1 RESNET_NATIVE_HOME=$cache/resnet-native
export TORCHINDUCTOR_CACHE_DIR=$cache/inductor TRITON_CACHE_DIR=$cache/triton
mkdir -p "$cache" "$RESNET_NATIVE_HOME" "$tree"
echo "verify-cuda: $gpu (sm_$capability), driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader --id=0)," \
  "$(nvcc --version 2>/dev/null | grep -o 'release [0-9.]*' || true), node $(node --version), $(nproc) cores"

# nvJPEG, which torch does not bring.
[ -d "${NVJPEG_ROOT:-}/lib" ] && export LD_LIBRARY_PATH=$NVJPEG_ROOT/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# ---- The parts ----

generator=()
command -v ninja >/dev/null && generator=(-G Ninja)

build() {
  [ -f dist/index.js ] || npm run build:ts || return
  node scripts/build-native.mjs || return
  ls -l build/Release/resnet_native.node build/Release/resnet_native_cuda.so || return
  cmake -S . -B "$tree" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DRESNET_NATIVE_TESTS=ON -DRESNET_NATIVE_CUDA=ON || return
  cmake --build "$tree" --parallel "$CMAKE_BUILD_PARALLEL_LEVEL" || return
  node scripts/cuda-resources.mjs "$tree"
}

native_tests=$tree/test/native/resnet_native_tests

kernels() {
  "$native_tests" --gtest_filter='*Operations*:*Convolutions*:*Cuda*' --gtest_brief=1 || return
  # A GPU that the tests do not find is skipped by them, and a failure here.
  "$native_tests" --gtest_filter='Operations.AddTensors/gpu' | tee "$tree/kernels.log" | grep -q '\[  PASSED  \] 1 test' ||
    { cat "$tree/kernels.log"; return 1; }
}

node_tests() { node node_modules/vitest/vitest.mjs run --reporter=verbose "$@"; }
goldens() { node_tests test/gpu/goldens.test.ts -t '(float32|tf32|float16)$'; }
int8() { node_tests test/gpu/goldens.test.ts -t 'in int8'; }
decode() { node_tests test/gpu/decode.test.ts; }
faults() { node_tests test/gpu/faults.test.ts; }

sanitizer() {
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is missing"; return 1; }
  local tool
  for tool in memcheck racecheck; do
    RESNET_NATIVE_OWN_KERNELS=1 compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 20 \
      "$native_tests" --gtest_filter='*/gpu' --gtest_brief=1 || return
  done
}

bench() { node bench/cuda/bench.mjs "${bench_options[@]}"; }

# ---- Run them ----

summary=()
status=0
for part in "${wanted[@]}"; do
  echo "verify-cuda: ---- $part ----"
  start=$SECONDS
  # A part runs in a process group of its own, which the limit ends as a whole.
  export -f "$part" node_tests
  export tree native_tests
  if declare -p generator bench_options >"$tree/arrays.sh" &&
    timeout --kill-after=10 "${LIMIT[$part]}" bash -c ". '$tree/arrays.sh'; $part" 2>&1 | tee "$tree/$part.log"; then
    summary+=("$(printf 'ok      %-10s %4d s' "$part" $((SECONDS - start)))")
  else
    summary+=("$(printf 'FAILED  %-10s %4d s  %s' "$part" $((SECONDS - start)) "$tree/$part.log")")
    status=1
    [ "$part" = build ] && break
  fi
done
echo
echo "verify-cuda on $gpu: $([ $status = 0 ] && echo 'all parts passed' || echo 'FAILED')"
printf '  %s\n' "${summary[@]}"
exit $status
