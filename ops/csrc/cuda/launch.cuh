// Launching kernels. Nothing here knows of torch: kernel headers include this and take raw pointers and sizes.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace podium::cuda {

constexpr int kThreads = 256;

inline void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  throw std::runtime_error(std::string("podium: ") + what + ": " + cudaGetErrorName(code) + ", " +
                           cudaGetErrorString(code));
}

// Blocks for `count` items of which each takes `each`; at least one.
inline int64_t blocks_for(int64_t count, int64_t each = kThreads) {
  return std::max<int64_t>(1, (count + each - 1) / each);
}

inline dim3 grid_of(int64_t x, int64_t y = 1, int64_t z = 1) {
  if (x > 0x7fffffff) throw std::runtime_error("podium: the tensors are too large for one CUDA launch");
  // y and z are at most 65535 in CUDA: kernels that use them step by gridDim.
  return dim3(unsigned(x), unsigned(std::min<int64_t>(y, 65535)), unsigned(std::min<int64_t>(z, 65535)));
}

// Every launch goes through here and is checked. An empty grid is an error in CUDA: callers return early instead.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 threads, cudaStream_t stream, Arguments... arguments) {
#ifdef __CUDACC__
  kernel<<<grid, threads, 0, stream>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), "launch");
#else
  emulation::launch(kernel, grid, threads, arguments...);  // tests/ops/cuda_emulation
#endif
}

__device__ inline int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

}  // namespace podium::cuda
