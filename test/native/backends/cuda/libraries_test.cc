#include "native/backends/cuda/libraries.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "native/backends/cuda/cuda_source.h"
#include "native/backends/cuda_library.h"

// Against libraries that only pretend: test/native/fakes.

namespace resnet_native::cuda {
namespace {

namespace fs = std::filesystem;

constexpr int kRuntime = 13000;

// An environment variable while a test runs.
class Setting {
 public:
  Setting(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Setting() { unsetenv(name_); }

 private:
  const char* name_;
};

// A folder with links to some of the fake libraries, gone with the test.
class Folder {
 public:
  explicit Folder(const std::vector<std::string>& libraries) {
    std::string name = (fs::temp_directory_path() / "resnet-native-XXXXXX").string();
    path_ = mkdtemp(name.data());
    for (const std::string& library : libraries)
      fs::create_symlink(fs::path(FAKE_LIBRARIES) / library, path_ / library);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  LibrarySearch Search() const { return {false, {path_.string()}}; }

 private:
  fs::path path_;
};

const std::vector<std::string> kAll = {"libcuda.so.1", "libcublasLt.so.13", "libcudnn.so.9"};

// The message with which LoadLibraries fails, or "loaded".
std::string Outcome(const LibrarySearch& search, int runtime = kRuntime) {
  try {
    LoadLibraries(runtime, search);
    return "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeviceUnavailable);
    return error.what();
  }
}

#define EXPECT_SAYS(text, words) EXPECT_NE((text).find(words), std::string::npos) << (text)

TEST(CudaLibraries, AreFoundInAFolder) {
  const Folder folder(kAll);
  const Libraries libraries = LoadLibraries(kRuntime, folder.Search());
  EXPECT_EQ(libraries.driver_version, 13000);
  EXPECT_EQ(libraries.cudnn_version, 91200u);
  EXPECT_EQ(libraries.cublaslt_version, 130002u);
}

TEST(CudaLibraries, EachThatIsMissingIsNamed) {
  EXPECT_SAYS(Outcome(Folder({}).Search()), "no NVIDIA driver was found");
  EXPECT_SAYS(Outcome(Folder({"libcuda.so.1"}).Search()), "cuBLASLt was not found (libcublasLt.so.13)");
  EXPECT_SAYS(Outcome(Folder({"libcuda.so.1", "libcublasLt.so.13"}).Search()), "cuDNN 9 was not found");
}

// It is not needed before something is to be decoded.
TEST(CudaLibraries, NvjpegIsLookedForWhenItIsWanted) {
  const Folder folder(kAll);
  EXPECT_EQ(Outcome(folder.Search()), "loaded");
  try {
    LoadNvjpeg(kRuntime, folder.Search());
    FAIL() << "found";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeviceUnavailable);
    EXPECT_SAYS(std::string(error.what()), "nvJPEG, which was not found (libnvjpeg.so.13)");
  }
}

TEST(CudaLibraries, OneThatIsDamagedIsNamed) {
  const Folder folder({"libcuda.so.1", "libcublasLt.so.13"});
  std::ofstream(folder.path() / "libcudnn.so.9") << "no library";
  EXPECT_SAYS(Outcome(folder.Search()), "libcudnn.so.9 cannot be loaded");
  const Folder other({"libcuda.so.1", "libcublasLt.so.13"});
  fs::create_symlink(fs::path(FAKE_LIBRARIES) / "libcuda.so.1", other.path() / "libcudnn.so.9");
  EXPECT_SAYS(Outcome(other.Search()), "libcudnn.so.9 has no function cudnnGetVersion");
}

TEST(CudaLibraries, ADriverThatIsTooOldIsToldWithBothVersions) {
  const Folder folder(kAll);
  {
    const Setting old("FAKE_DRIVER_VERSION", "12080");
    const std::string message = Outcome(folder.Search());
    EXPECT_SAYS(message, "up to 12.8");
    EXPECT_SAYS(message, "runtime of CUDA 13.0");
  }
  EXPECT_EQ(Outcome(folder.Search(), 13010), "loaded");  // another minor version is no matter
  const Setting newer("FAKE_DRIVER_VERSION", "14000");
  EXPECT_EQ(Outcome(folder.Search()), "loaded");
}

TEST(CudaLibraries, CudnnOfAnotherVersionOrForAnotherCudaIsRefused) {
  const Folder folder(kAll);
  for (const char* version : {"8907", "90100", "100000"}) {
    const Setting setting("FAKE_CUDNN_VERSION", version);
    EXPECT_SAYS(Outcome(folder.Search()), "but 9 from 9.3.0 on is needed");
  }
  const Setting setting("FAKE_CUDNN_CUDART_VERSION", "12090");
  EXPECT_SAYS(Outcome(folder.Search()),
              "cuDNN 9.12.0 is made for CUDA 12.9, but this build is for CUDA 13.0");
}

TEST(CudaLibraries, AreLookedForWhereTheEnvironmentSays) {
  const Folder root({});
  const auto make = [&](const fs::path& folder) {
    fs::create_directories(root.path() / folder);
    return (root.path() / folder).string();
  };
  const std::string wheel = make("venv/lib/python3.12/site-packages/nvidia/cudnn/lib");
  const std::string cu13 = make("packages/nvidia/cu13/lib");
  const Setting cudnn("CUDNN_PATH", (root.path() / "cudnn").string());
  const Setting cuda("CUDA_PATH", (root.path() / "cuda").string());
  const Setting venv("VIRTUAL_ENV", (root.path() / "venv").string());
  const Setting python("PYTHONPATH", "/nowhere:" + (root.path() / "packages").string());
  const std::vector<std::string> folders = DefaultSearch().folders;
  const auto place = [&](const std::string& folder) {
    return std::find(folders.begin(), folders.end(), folder) - folders.begin();
  };
  EXPECT_EQ(place((root.path() / "cudnn/lib64").string()), 0);
  EXPECT_EQ(place((root.path() / "cuda/lib").string()), 3);
  EXPECT_EQ(place(wheel), 4);
  EXPECT_EQ(place(cu13), 5);
}

std::vector<DeviceInfo> ListWith(const Folder& folder) {
  CudaSource source(
      kRuntime, folder.Search(),
      [](int, const Libraries&) -> std::shared_ptr<Device> {
        throw Error(ErrorCode::kInternal, "nothing is opened here");
      },
      nullptr);
  return source.List();
}

TEST(CudaSource, ListsEveryGpuAndWhyOneCannotBeUsed) {
  const Folder folder(kAll);
  const Setting gpus("FAKE_GPUS", "9.0 7.5 8.6 11.0 12.1");
  const auto devices = ListWith(folder);
  ASSERT_EQ(devices.size(), 5u);
  EXPECT_EQ(devices[0].id, "cuda:0");
  EXPECT_EQ(devices[0].name, "Fake GPU 0");
  EXPECT_EQ(devices[0].isa, "9.0");
  EXPECT_TRUE(devices[0].available);
  EXPECT_FALSE(devices[1].available);
  EXPECT_SAYS(devices[1].reason, "compute capability 7.5; this build has code for 8.0");
  EXPECT_TRUE(devices[2].available);
  EXPECT_FALSE(devices[3].available);
  EXPECT_TRUE(devices[4].available);
}

TEST(CudaSource, SaysWhyThereIsNoGpu) {
  const Folder folder(kAll);
  const auto reason = [&] {
    const auto devices = ListWith(folder);
    EXPECT_EQ(devices.size(), 1u);
    EXPECT_EQ(devices[0].id, "cuda");
    EXPECT_FALSE(devices[0].available);
    return devices[0].reason;
  };
  {
    const Setting none("FAKE_GPUS", "");
    EXPECT_SAYS(reason(), "shows no GPU");
  }
  {
    const Setting no_device("FAKE_CUINIT", "100");
    EXPECT_SAYS(reason(), "shows no GPU");
  }
  {
    const Setting mismatch("FAKE_CUINIT", "803");
    EXPECT_SAYS(reason(),
                "cuInit failed: system has unsupported display driver / cuda driver combination (803)");
  }
  const Setting unknown("FAKE_CUINIT", "999");
  EXPECT_SAYS(reason(), "cuInit failed: error (999)");
}

TEST(CudaSource, SeesWhatIsMendedMeanwhile) {
  const Folder folder({"libcuda.so.1", "libcublasLt.so.13"});
  CudaSource source(kRuntime, folder.Search(), nullptr, nullptr);
  EXPECT_SAYS(source.List()[0].reason, "cuDNN 9 was not found");
  fs::create_symlink(fs::path(FAKE_LIBRARIES) / "libcudnn.so.9", folder.path() / "libcudnn.so.9");
  EXPECT_TRUE(source.List()[0].available);
}

}  // namespace
}  // namespace resnet_native::cuda
