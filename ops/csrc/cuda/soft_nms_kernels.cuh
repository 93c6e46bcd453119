// NMS that lowers scores: soft NMS, one selection after the other in one thread block, and matrix NMS, all at once.
#pragma once

#include "iou.cuh"
#include "launch.cuh"
#include "ranking_kernels.cuh"

namespace podium::cuda {

constexpr int kSoftThreads = 512;

// linear: times 1 - IoU above the threshold; gaussian: times exp(-IoU^2 / sigma).
struct SoftNmsRule {
  bool gaussian;
  double threshold, sigma, min_score;
};

// left: room for the lowered scores of all boxes. selected and decayed: room for n; count: how many there are.
template <class T>
__global__ void __launch_bounds__(kSoftThreads)
    soft_nms_kernel(const T* boxes, const T* scores, int64_t n, SoftNmsRule rule, T* left, int64_t* selected, T* decayed,
                    int64_t* count) {
  __shared__ Best<T> room[kSoftThreads / 32];
  Best<T> best{T(-INFINITY), -1};
  for (int64_t i = threadIdx.x; i < n; i += kSoftThreads) {
    const T score = scores[i];
    const bool counts = double(score) > rule.min_score;  // not NaN
    left[i] = counts ? score : T(-INFINITY);
    if (counts) best.offer(score, i);
  }
  int64_t found = 0;
  while ((best = best_of_block<T, kSoftThreads>(best, room)).at >= 0) {
    if (threadIdx.x == 0) selected[found] = best.at, decayed[found] = best.value;
    ++found;
    const Box<T> box = Box<T>::load(boxes + 4 * best.at);
    const int64_t taken = best.at;
    best = {T(-INFINITY), -1};
    for (int64_t i = threadIdx.x; i < n; i += kSoftThreads) {  // each thread has its own boxes
      T score = left[i];
      if (score == T(-INFINITY)) continue;
      if (i == taken) {
        left[i] = T(-INFINITY);
        continue;
      }
      const T iou = box_iou(box, Box<T>::load(boxes + 4 * i), 0);
      if (iou > T(0)) {
        if (rule.gaussian)
          score *= exp(-(iou * iou) / T(rule.sigma));
        else if (double(iou) > rule.threshold)
          score *= T(1) - iou;
        if (!(double(score) > rule.min_score)) score = T(-INFINITY);
        left[i] = score;
      }
      if (score != T(-INFINITY)) best.offer(score, i);
    }
  }
  if (threadIdx.x == 0) *count = found;
}

template <class T>
void soft_nms(const T* boxes, const T* scores, int64_t n, const SoftNmsRule& rule, T* left, int64_t* selected, T* decayed,
              int64_t* count, cudaStream_t stream) {
  launch(soft_nms_kernel<T>, grid_of(1), kSoftThreads, stream, boxes, scores, n, rule, left, selected, decayed, count);
}

// Boxes in their order by label and score, and the first place of each one's label: see nms_arrange_kernel.
template <class T>
struct MatrixNmsBuffers {
  Box<T>* boxes;
  T* most;  // greatest IoU with a better box
  int* first;
};

template <class T>
__global__ void matrix_arrange_kernel(const T* rows, const int64_t* order, const int64_t* ranks, const int64_t* sorted,
                                      int n, MatrixNmsBuffers<T> to) {
  const int64_t place = thread_index();
  if (place >= n) return;
  to.boxes[place] = Box<T>::load(rows + 4 * order[ranks[place]]);
  to.first[place] = label_bound(sorted, n, sorted[place], false);
}

template <class T>
__device__ inline T clamped_iou(const Box<T>& a, const Box<T>& b) {
  const T iou = box_iou(a, b, 0);
  return iou > T(0) ? smaller(iou, T(1)) : T(0);
}

template <class T>
__global__ void matrix_most_kernel(int n, MatrixNmsBuffers<T> data) {
  const int64_t place = thread_index();
  if (place >= n) return;
  const Box<T> box = data.boxes[place];
  T most = 0;
  for (int better = data.first[place]; better < place; ++better)
    most = larger(most, clamped_iou(data.boxes[better], box));
  data.most[place] = most;
}

template <class T>
__global__ void matrix_decay_kernel(const T* scores, const int64_t* order, const int64_t* ranks, int n,
                                    MatrixNmsBuffers<T> data, bool gaussian, T sigma, T* decayed) {
  const int64_t place = thread_index();
  if (place >= n) return;
  const Box<T> box = data.boxes[place];
  T factor = 1, exponent = 0;
  for (int better = data.first[place]; better < place; ++better) {
    const T iou = clamped_iou(data.boxes[better], box), other = data.most[better];
    if (iou == T(0)) continue;  // lowers nothing
    if (gaussian)
      exponent = larger(exponent, iou * iou - other * other);
    else if (other < T(1))  // a box that is itself suppressed wholly does not suppress
      factor = smaller(factor, (T(1) - iou) / (T(1) - other));
  }
  if (gaussian) factor = exp(-exponent / sigma);
  const int64_t source = order[ranks[place]];
  const T score = scores[source];
  decayed[source] = score == T(-INFINITY) ? score : score * factor;  // not -infinity * 0
}

// order, ranks, sorted: as for nms, of one image of n > 0 boxes. decayed: in the order of `scores`.
template <class T>
void matrix_nms(const T* rows, const T* scores, const int64_t* order, const int64_t* ranks, const int64_t* sorted,
                int64_t n, bool gaussian, double sigma, const MatrixNmsBuffers<T>& data, T* decayed,
                cudaStream_t stream) {
  if (n > (int64_t(1) << 30)) throw std::runtime_error("podium: more than 2^30 boxes in one NMS");
  const dim3 grid = grid_of(blocks_for(n, 64));  // long loops, so small blocks
  launch(matrix_arrange_kernel<T>, grid, 64, stream, rows, order, ranks, sorted, n, data);
  launch(matrix_most_kernel<T>, grid, 64, stream, n, data);
  launch(matrix_decay_kernel<T>, grid, 64, stream, scores, order, ranks, n, data, gaussian, sigma, decayed);
}

}  // namespace podium::cuda
