// What the bindings of this folder need beyond binding.h: the device, its current stream, and a stable sort.
#pragma once

#include <torch/csrc/stable/accelerator.h>

#include <dlfcn.h>

#include <array>
#include <initializer_list>
#include <optional>
#include <utility>

#include "../binding.h"
#include "launch.cuh"

#ifdef __CUDACC__
#define PODIUM_KEY CUDA
#else
#define PODIUM_KEY CPU  // the tests' emulation, which runs the kernels on the CPU
#endif

namespace podium::cuda {

// torch's libraries, which are in the process already where this code runs.
inline void* loaded(const char* name) {
  void* library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
  return library ? library : RTLD_DEFAULT;
}
inline void* torch_cpu() { return loaded("libtorch_cpu.so"); }
inline void* torch_cuda() { return loaded("libtorch_cuda.so"); }

#ifdef __CUDACC__

// torch's current stream on a device. Its only accessor in torch 2.10's stable ABI lives in libtorch_cuda.so, which
// this library does not link, so that it also builds beside a CPU-only torch.
inline cudaStream_t current_stream(int32_t device) {
  using Getter = AOTITorchError (*)(int32_t, void**);
  static const Getter getter = [] {
    void* symbol = dlsym(torch_cuda(), "aoti_torch_get_current_cuda_stream");
    if (!symbol) throw std::runtime_error("podium: this torch has no aoti_torch_get_current_cuda_stream");
    return reinterpret_cast<Getter>(symbol);
  }();
  void* stream = nullptr;
  if (getter(device, &stream) != AOTI_TORCH_SUCCESS)
    throw std::runtime_error("podium: no current CUDA stream on device " + std::to_string(device));
  return static_cast<cudaStream_t>(stream);
}

// While it lives, kernels go to `tensor`'s device and torch's current stream there.
class Scope {
 public:
  explicit Scope(const Tensor& tensor) : guard_(tensor.get_device_index()), stream(nullptr) {
    const int32_t device = tensor.get_device_index();
    int active = -1;  // this library's CUDA runtime need not be torch's, so it is told as well
    check(cudaGetDevice(&active), "cudaGetDevice");
    if (active != device) check(cudaSetDevice(device), "cudaSetDevice");
    stream = current_stream(device);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  torch::stable::accelerator::DeviceGuard guard_;

 public:
  cudaStream_t stream;
};

inline bool on_device(const Tensor& tensor) { return tensor.is_cuda(); }

#else

struct Scope {
  explicit Scope(const Tensor&) {}
  cudaStream_t stream = nullptr;
};

inline bool on_device(const Tensor& tensor) { return tensor.is_cpu(); }

#endif

inline void require(bool condition, const char* message) {
  if (!condition) throw std::runtime_error(message);
}

// Kernels trust their sizes and devices, whoever calls the operator: this is checked even without validation.
inline void require_shape(const Tensor& tensor, std::initializer_list<int64_t> shape, const char* name) {
  bool fits = tensor.dim() == int64_t(shape.size());
  int64_t axis = 0;
  for (int64_t size : shape) {
    fits = fits && (size < 0 || tensor.size(axis) == size);  // -1 is any size
    ++axis;
  }
  if (!fits) throw std::runtime_error(std::string("podium: ") + name + " has the wrong shape");
}

inline void require_device(const Tensor& first, std::initializer_list<const Tensor*> others) {
  for (const Tensor* other : others)
    require(on_device(*other) && other->get_device_index() == first.get_device_index(),
            "podium: all tensors must be on one CUDA device");
}

// Values and their int64 indices, equal ones in their order (torch::stable::sort needs the headers of torch 2.15).
inline std::pair<Tensor, Tensor> stable_sort(const Tensor& tensor, bool descending) {
  std::array<StableIValue, 4> stack{
      torch::stable::detail::from(tensor), torch::stable::detail::from(std::optional<bool>(true)),
      torch::stable::detail::from(int64_t(-1)), torch::stable::detail::from(descending)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::sort", "stable", stack.data(), TORCH_ABI_VERSION));
  return {torch::stable::detail::to<Tensor>(stack[0]), torch::stable::detail::to<Tensor>(stack[1])};
}

// float64 where either is computed in it.
inline ScalarType common_type(const Tensor& one, const Tensor& two) {
  return compute_type(one) == ScalarType::Double ? ScalarType::Double : compute_type(two);
}

// Whether torch.use_deterministic_algorithms is on. The stable ABI does not tell, so torch is asked by the names its
// library has had for this since 1.8; where they are gone, the deterministic way is taken, which is never wrong.
inline bool wants_determinism() {
  using GetContext = void* (*)();
  using Ask = bool (*)(const void*);
  static const auto context = reinterpret_cast<GetContext>(dlsym(torch_cpu(), "_ZN2at13globalContextEv"));
  static const auto ask = reinterpret_cast<Ask>(dlsym(torch_cpu(), "_ZNK2at7Context23deterministicAlgorithmsEv"));
  return context == nullptr || ask == nullptr || ask(context());
}

inline Tensor bytes(const Tensor& like, int64_t count) { return new_tensor(like, {count}, ScalarType::Byte); }

// The first rows in memory of their own size.
inline Tensor first_rows(Tensor tensor, int64_t count) {
  if (tensor.size(0) == count) return tensor;
  return torch::stable::clone(torch::stable::narrow(tensor, 0, 0, count));
}

// One int64 from the device. Waits for the stream.
inline int64_t fetch(const int64_t* device_value, cudaStream_t stream) {
  int64_t value = 0;
  check(cudaMemcpyAsync(&value, device_value, sizeof value, cudaMemcpyDeviceToHost, stream), "copy to the host");
  check(cudaStreamSynchronize(stream), "kernel");
  return value;
}

}  // namespace podium::cuda
