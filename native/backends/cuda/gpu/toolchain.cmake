# Finds what the CUDA backend is built with, sets RESNET_NATIVE_CUDA to whether it is built, and enables the language.
# Everything is looked for in the environment first, as scripts/cuda-toolchain.sh sets it: CUDACXX (nvcc), CUDNN_ROOT
# (include/cudnn.h), CUDNN_FRONTEND_INCLUDE (cudnn_frontend.h), NVJPEG_ROOT (include/nvjpeg.h) and CUDA_PIP_INCLUDE (headers
# that the toolkit lacks). Nothing of CUDA but the static runtime is linked.
#
# CMake's own FindCUDAToolkit is not used: that of 3.25 asks for parts that CUDA 13 no longer has.
if(RESNET_NATIVE_CUDA STREQUAL "AUTO" AND (CMAKE_CROSSCOMPILING OR RESNET_NATIVE_SANITIZE))
  set(RESNET_NATIVE_CUDA OFF)
endif()
if(NOT RESNET_NATIVE_CUDA)
  return()
endif()

include(CheckLanguage)
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  # Ampere to Blackwell, and PTX of the newest for what comes after.
  set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 100-real 120)
endif()
check_language(CUDA)
set(cuda_missing "")
if(CMAKE_CUDA_COMPILER)
  get_filename_component(cuda_root ${CMAKE_CUDA_COMPILER} DIRECTORY)
  get_filename_component(cuda_root ${cuda_root} DIRECTORY)
  set(cuda_hints $ENV{CUDNN_ROOT}/include $ENV{CUDNN_FRONTEND_INCLUDE} $ENV{NVJPEG_ROOT}/include $ENV{CUDA_PIP_INCLUDE}
                 ${cuda_root}/include ${cuda_root}/targets/x86_64-linux/include $ENV{CUDA_PATH}/include)
  # What has the header, and what is told when it is missing.
  foreach(header cuda_runtime_api.h cublasLt.h cudnn.h cudnn_frontend.h nvrtc.h nvjpeg.h)
    string(MAKE_C_IDENTIFIER "CUDA_DIR_OF_${header}" variable)
    find_path(${variable} ${header} HINTS ${cuda_hints})
    if(${variable})
      list(APPEND CUDA_INCLUDE_DIRECTORIES ${${variable}})
    else()
      list(APPEND cuda_missing ${header})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES CUDA_INCLUDE_DIRECTORIES)
else()
  set(cuda_missing "nvcc")
endif()

if(cuda_missing)
  list(JOIN cuda_missing ", " cuda_missing)
  if(NOT RESNET_NATIVE_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "The CUDA backend cannot be built: ${cuda_missing} not found. Install CUDA 13, cuDNN 9 and "
                        "cudnn-frontend, or: eval \"$(scripts/cuda-toolchain.sh)\"")
  endif()
  message(STATUS "The CUDA backend is not built: ${cuda_missing} not found")
  set(RESNET_NATIVE_CUDA OFF)
  return()
endif()

enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know how this nvcc is asked for C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(RESNET_NATIVE_CUDA ON)
