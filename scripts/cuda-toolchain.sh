#!/usr/bin/env bash
# Makes a CUDA build toolchain out of PyPI wheels, for machines without CUDA (CI, a laptop): nvcc, the static runtime
# and the headers of cuDNN, cudnn-frontend, cuBLASLt and nvJPEG. What it builds needs no CUDA to load; running it takes
# a driver, cuDNN and cuBLASLt on the machine that has the GPU. Needs python3 with pip; about 70 seconds, once.
#
#   eval "$(scripts/cuda-toolchain.sh)"     # CUDACXX and the header folders that native/backends/cuda looks for
#
# Cached under RESNET_NATIVE_CUDA_TOOLCHAIN, else under $XDG_CACHE_HOME/resnet-native (~/.cache/resnet-native), by the
# hash of this script, which names the versions.
set -euo pipefail

# wheel==version, and what of it is kept: a whole folder, or one that holds headers only, beside a library of hundreds
# of megabytes that nothing links against.
wheels=(
  'nvidia-cuda-nvcc==13.0.88'          'nvidia/cu13/'
  'nvidia-cuda-crt==13.0.88'           'nvidia/cu13/'
  'nvidia-nvvm==13.0.88'               'nvidia/cu13/'
  'nvidia-cuda-runtime==13.0.96'       'nvidia/cu13/'
  'nvidia-cuda-cccl==13.0.85'          'nvidia/cu13/include/'
  'nvidia-cuda-nvrtc==13.0.88'         'nvidia/cu13/include/'   # cudnn-frontend includes nvrtc.h
  'nvidia-nvjpeg==13.0.4.44'           'nvidia/cu13/include/'
  'nvidia-cublas==13.0.2.14'           'nvidia/cu13/include/'
  'nvidia-cudnn-cu13==9.28.1.4'        'nvidia/cudnn/include/'
  'nvidia-cudnn-frontend==1.32.0'      'include/'
)

version=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)
folder=${RESNET_NATIVE_CUDA_TOOLCHAIN:-${XDG_CACHE_HOME:-$HOME/.cache}/resnet-native/cuda-toolchain-$version}

make_toolchain() {
  mkdir -p "$(dirname "$folder")"
  work=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  local requirements=() i
  for ((i = 0; i < ${#wheels[@]}; i += 2)); do requirements+=("${wheels[i]}"); done
  python3 -m pip download -q --disable-pip-version-check --no-deps --no-cache-dir --only-binary=:all: \
    -d "$work/wheels" "${requirements[@]}" >&2
  python3 - "$work" "${wheels[@]}" <<'PY'
import glob, os, sys, zipfile

work, wheels = sys.argv[1], sys.argv[2:]
for requirement, kept in zip(wheels[::2], wheels[1::2]):
    name = requirement.split("==")[0].replace("-", "_")
    (wheel,) = glob.glob(f"{work}/wheels/{name}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        # cudnn-frontend's headers lie at the root of its wheel, those of the others under nvidia/.
        target = f"{work}/made/cudnn_frontend" if kept == "include/" else f"{work}/made"
        members = [m for m in archive.infolist() if m.filename.startswith(kept) and not m.is_dir()]
        if not members:
            sys.exit(f"{wheel} has nothing under {kept}: its layout has changed")
        for member in members:
            path = archive.extract(member, target)
            os.chmod(path, 0o755 if member.external_attr >> 16 & 0o111 or "/bin/" in path else 0o644)
    os.remove(wheel)
PY
  # nvcc's own profile looks for lib64, and the linker for a name without a version.
  ln -s lib "$work/made/nvidia/cu13/lib64"
  ln -s libcudart.so.13 "$work/made/nvidia/cu13/lib/libcudart.so"
  "$work/made/nvidia/cu13/bin/nvcc" --version >&2
  # Whoever was first made the same.
  mv -T "$work/made" "$folder" 2>/dev/null || [ -x "$folder/nvidia/cu13/bin/nvcc" ]
  rm -rf "$work"
}

[ -x "$folder/nvidia/cu13/bin/nvcc" ] || make_toolchain

cat <<ENV
export CUDACXX='$folder/nvidia/cu13/bin/nvcc'
export CUDNN_ROOT='$folder/nvidia/cudnn'
export CUDNN_FRONTEND_INCLUDE='$folder/cudnn_frontend/include'
ENV
