// What several operators need around their sorts, and to find the best of a thread block.
#pragma once

#include <cmath>

#include "launch.cuh"

namespace podium::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

// Scores to sort by: -0 equals 0, and NaN, which a sort puts first, may be put last.
template <class T>
__global__ void nms_keys_kernel(const T* scores, int64_t count, bool nan_last, T* keys) {
  const int64_t i = thread_index();
  if (i < count) keys[i] = nan_last && isnan(scores[i]) ? T(-INFINITY) : scores[i] + T(0);
}

template <class T>
void nms_keys(const T* scores, int64_t count, bool nan_last, T* keys, cudaStream_t stream) {
  if (count > 0)
    launch(nms_keys_kernel<T>, grid_of(blocks_for(count)), kThreads, stream, scores, count, nan_last, keys);
}

// Labels in the order of the scores; -1 where filtering is on and the box takes no part. A min_score of NaN leaves no
// score out.
template <class T>
__global__ void nms_labels_kernel(const int64_t* labels, const T* scores, const int64_t* order, int64_t n,
                                  int64_t total, bool filter, double min_score, int64_t* out) {
  const int64_t row = thread_index();
  if (row >= total) return;
  const int64_t source = row - row % n + order[row];
  int64_t label = labels[source];
  const bool high_enough = min_score != min_score || double(scores[source]) > min_score;
  if (filter && (label < 0 || !high_enough)) label = -1;
  out[row] = label;
}

template <class T>
void nms_labels(const int64_t* labels, const T* scores, const int64_t* order, int64_t n, int64_t total, bool filter,
                double min_score, int64_t* out, cudaStream_t stream) {
  if (total > 0)
    launch(nms_labels_kernel<T>, grid_of(blocks_for(total)), kThreads, stream, labels, scores, order, n, total, filter,
           min_score, out);
}

// First place in sorted[0, n) whose label is not below (or, with `above`, is above) `label`.
__device__ inline int label_bound(const int64_t* sorted, int n, int64_t label, bool above) {
  int low = 0, high = n;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (sorted[middle] < label || (above && sorted[middle] == label))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// A place and its value; of equal values the first place counts, of none (-infinity) the place is negative.
template <class T>
struct Best {
  T value;
  int64_t at;
  __device__ void offer(T other, int64_t other_at) {
    if (other_at >= 0 && (at < 0 || other > value || (other == value && other_at < at))) value = other, at = other_at;
  }
};

// The best of a thread block's, to all of its threads. room: one Best for each warp.
template <class T, int threads>
__device__ Best<T> best_of_block(Best<T> best, Best<T>* room) {
  for (int step = 16; step > 0; step /= 2) {
    const T value = __shfl_down_sync(kAllLanes, best.value, step);
    const long long at = __shfl_down_sync(kAllLanes, (long long)(best.at), step);
    best.offer(value, at);
  }
  if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = best;
  __syncthreads();
  best = room[0];
  for (int warp = 1; warp < threads / 32; ++warp) best.offer(room[warp].value, room[warp].at);
  __syncthreads();  // room is written again
  return best;
}

}  // namespace podium::cuda
