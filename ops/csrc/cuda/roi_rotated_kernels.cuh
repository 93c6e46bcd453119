// RoIAlign of turned boxes, as in detectron2 (RRPN, arXiv 1703.01086). The arithmetic is that of the CPU's
// roi_rotated.cpp and roi_rotated_kernels.cpp: a thread works out where the samples of a bin are, once for some channels.
#pragma once

#include <cmath>

#include "launch.cuh"

namespace podium::cuda {

constexpr int kTurnedTogether = 8;     // channels of a thread
constexpr double kMostSamples = 4096;  // along a side of a bin, where their number is up to its size

// An image or its gradient (images, channels, height, width) with its steps in memory, and how boxes pool from it.
struct TurnedPooling {
  int64_t images, channels, height, width;
  int64_t image_step, channel_step, row_step, column_step;
  int64_t boxes, pooled_height, pooled_width, sampling_ratio;
  double scale;
  __host__ __device__ int64_t bins() const { return pooled_height * pooled_width; }
  // Threads share the channels: one takes those from its lane on, a step of all lanes apart.
  __host__ __device__ int64_t lanes() const { return (channels + kTurnedTogether - 1) / kTurnedTogether; }
  __host__ __device__ int64_t tasks() const { return boxes * bins() * lanes(); }
};

// A box of (K, 6) as image, cx, cy, w, h, degrees; without samples where it names no image or is not finite.
template <class T>
struct TurnedBox {
  T x, y, width, height, sine, cosine;
  int64_t image, down, across;

  __device__ TurnedBox(const TurnedPooling& how, const T* box) {
    const T scale = T(how.scale), angle = box[5] * T(M_PI / 180);
    x = box[1] * scale - T(.5), y = box[2] * scale - T(.5), width = box[3] * scale, height = box[4] * scale;
    sine = sin(angle), cosine = cos(angle);
    const bool there = box[0] > T(-1) && box[0] < T(how.images);
    const bool finite = isfinite(x) && isfinite(y) && isfinite(width) && isfinite(height) && isfinite(angle);
    const bool good = there && finite && width >= 0 && height >= 0 && how.height > 0 && how.width > 0;
    image = there ? int64_t(box[0]) : 0;
    down = good ? samples(height, how.pooled_height, how) : 0;
    across = good ? samples(width, how.pooled_width, how) : 0;
  }

  static __device__ int64_t samples(T side, int64_t pooled, const TurnedPooling& how) {
    if (how.sampling_ratio > 0) return how.sampling_ratio;
    const double wanted = ceil(double(side / T(pooled)));
    return int64_t(wanted < kMostSamples ? wanted : kMostSamples);
  }

  // Calls f(position in a plane, weight) for all that bin (p, q) takes of it; a weight of 0 takes nothing, not even NaN.
  template <class F>
  __device__ void visit(const TurnedPooling& how, int64_t p, int64_t q, F f) const {
    const T bin_height = height / T(how.pooled_height), bin_width = width / T(how.pooled_width);
    const T share = T(1) / T(down * across);
    for (int64_t i = 0; i < down; ++i) {
      const T v = -height / T(2) + T(p) * bin_height + (T(i) + T(.5)) * bin_height / T(down);
      for (int64_t j = 0; j < across; ++j) {
        const T u = -width / T(2) + T(q) * bin_width + (T(j) + T(.5)) * bin_width / T(across);
        take(how, v * cosine - u * sine + y, v * sine + u * cosine + x, share, f);
      }
    }
  }

 private:
  template <class F>
  static __device__ void take(const TurnedPooling& how, T at_y, T at_x, T share, F f) {
    if (!(at_y >= T(-1) && at_y <= T(how.height) && at_x >= T(-1) && at_x <= T(how.width))) return;
    at_y = at_y > T(0) ? at_y : T(0), at_x = at_x > T(0) ? at_x : T(0);
    int64_t top = int64_t(at_y), left = int64_t(at_x), bottom = top + 1, right = left + 1;
    if (top >= how.height - 1) bottom = top = how.height - 1, at_y = T(top);
    if (left >= how.width - 1) right = left = how.width - 1, at_x = T(left);
    const T dy = at_y - T(top), dx = at_x - T(left);
    const int64_t row[2] = {top * how.row_step, bottom * how.row_step};
    const int64_t column[2] = {left * how.column_step, right * how.column_step};
    const T rows[2] = {(1 - dy), dy}, columns[2] = {1 - dx, dx};
#pragma unroll
    for (int tap = 0; tap < 4; ++tap) {
      const T weight = rows[tap / 2] * columns[tap % 2] * share;
      if (weight != T(0)) f(row[tap / 2] + column[tap % 2], weight);
    }
  }
};

// bins: (K, channels, pooled_height, pooled_width), dense. Neighbouring threads are neighbours in memory: in channels
// where those are innermost, else in bins.
template <class T>
__global__ void turned_pool_kernel(TurnedPooling how, const T* boxes, const T* image, bool channels_inner, T* bins) {
  const int64_t at = thread_index(), lanes = how.lanes(), count = how.bins();
  if (at >= how.tasks()) return;
  const int64_t within = at % (lanes * count), k = at / (lanes * count);
  const int64_t lane = channels_inner ? within % lanes : within / count;
  const int64_t bin = channels_inner ? within / lanes : within % count;
  const TurnedBox<T> box(how, boxes + 6 * k);
  T sum[kTurnedTogether] = {};
  const T* from = image + box.image * how.image_step + lane * how.channel_step;
  box.visit(how, bin / how.pooled_width, bin % how.pooled_width, [&](int64_t place, T weight) {
#pragma unroll
    for (int i = 0; i < kTurnedTogether; ++i)
      if (lane + i * lanes < how.channels) sum[i] += weight * from[place + i * lanes * how.channel_step];
  });
  for (int i = 0; i < kTurnedTogether && lane + i * lanes < how.channels; ++i)
    bins[(k * how.channels + lane + i * lanes) * count + bin] = sum[i];
}

// The transposed operation, adding to `image` in whatever order threads come.
template <class T>
__global__ void turned_spread_kernel(TurnedPooling how, const T* boxes, const T* bins, T* image) {
  const int64_t at = thread_index(), lanes = how.lanes(), count = how.bins();
  if (at >= how.tasks()) return;
  const int64_t bin = at % count, lane = at / count % lanes, k = at / count / lanes;
  const TurnedBox<T> box(how, boxes + 6 * k);
  T* to = image + box.image * how.image_step;
  box.visit(how, bin / how.pooled_width, bin % how.pooled_width, [&](int64_t place, T weight) {
    for (int64_t c = lane; c < how.channels; c += lanes)
      atomicAdd(to + c * how.channel_step + place, weight * bins[(k * how.channels + c) * count + bin]);
  });
}

// The same in one order, for torch.use_deterministic_algorithms: each plane is one thread's, which makes it slow.
template <class T>
__global__ void turned_spread_in_order_kernel(TurnedPooling how, const T* boxes, const T* bins, T* image) {
  const int64_t at = thread_index();
  if (at >= how.images * how.channels) return;
  const int64_t c = at % how.channels, count = how.bins();
  T* plane = image + at / how.channels * how.image_step + c * how.channel_step;
  for (int64_t k = 0; k < how.boxes; ++k) {
    const TurnedBox<T> box(how, boxes + 6 * k);
    if (box.image != at / how.channels) continue;
    for (int64_t bin = 0; bin < count; ++bin)
      box.visit(how, bin / how.pooled_width, bin % how.pooled_width, [&](int64_t place, T weight) {
        plane[place] += weight * bins[(k * how.channels + c) * count + bin];
      });
  }
}

template <class T>
void turned_pool(const TurnedPooling& how, const T* boxes, const T* image, bool channels_inner, T* bins,
                 cudaStream_t stream) {
  launch(turned_pool_kernel<T>, grid_of(blocks_for(how.tasks())), kThreads, stream, how, boxes, image, channels_inner,
         bins);
}

template <class T>
void turned_spread(const TurnedPooling& how, const T* boxes, const T* bins, T* image, bool in_order,
                   cudaStream_t stream) {
  if (in_order)
    launch(turned_spread_in_order_kernel<T>, grid_of(blocks_for(how.images * how.channels, 32)), 32, stream, how, boxes,
           bins, image);
  else
    launch(turned_spread_kernel<T>, grid_of(blocks_for(how.tasks())), kThreads, stream, how, boxes, bins, image);
}

}  // namespace podium::cuda
