#pragma once

#include "iou.cuh"
#include "launch.cuh"

namespace podium::cuda {

template <class T>
__global__ void pairwise_iou_kernel(const T* boxes1, const T* boxes2, int64_t n1, int64_t n2, int kind, T* out) {
  const int64_t j = thread_index();
  if (j >= n2) return;
  const Box<T> second = Box<T>::load(boxes2 + 4 * j);
  for (int64_t i = blockIdx.y; i < n1; i += gridDim.y)
    out[i * n2 + j] = box_iou(Box<T>::load(boxes1 + 4 * i), second, kind);
}

// (n1, 4) and (n2, 4) xyxy -> (n1, n2).
template <class T>
void pairwise_iou(const T* boxes1, const T* boxes2, int64_t n1, int64_t n2, int64_t kind, T* out,
                  cudaStream_t stream) {
  if (n1 == 0 || n2 == 0) return;
  const int threads = n2 < kThreads ? 64 : kThreads;
  // Several rows in each thread, as long as that leaves a few thousand blocks.
  const int64_t columns = blocks_for(n2, threads), rows = std::min(n1, std::max<int64_t>(1, 8192 / columns));
  launch(pairwise_iou_kernel<T>, grid_of(columns, rows), threads, stream, boxes1, boxes2, n1, n2, kind, out);
}

#define PODIUM_TYPE(T) \
  template void pairwise_iou<T>(const T*, const T*, int64_t, int64_t, int64_t, T*, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda
