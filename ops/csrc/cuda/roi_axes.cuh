// Where a RoI takes its pixels, axis by axis: every average pooling here is a product of taps over rows and over columns.
// The arithmetic is that of the CPU's roi_plan.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "iou.cuh"

namespace podium::cuda {

// How RoIs pool.
struct RoiRule {
  int64_t sampling_ratio;  // of RoIAlign; not positive: as many samples as pixels
  double offset;           // taken off the corners
  bool at_least_one;       // sides are raised to 1
  bool inclusive;          // the last pixel belongs to the RoI (whole-pixel pooling)
  bool positional;         // bin b of output channel c comes of input channel c * bins + b
};

template <class T>
__device__ inline T limited(T value, T low, T high) {  // NaN becomes low
  value = value > low ? value : low;
  return value < high ? value : high;
}

// RoIAlign: bin p averages `samples` points spread over [start + p * bin, start + (p + 1) * bin).
template <class T>
struct SampledAxis {
  T start, bin;
  int64_t samples;
  int size, pooled;

  __device__ SampledAxis(T low, T high, const RoiRule& rule, int pooled, int size)
      : start(low), size(size), pooled(pooled) {
    T extent = high - low;
    if (rule.at_least_one) extent = larger(extent, T(1));
    bin = extent / T(pooled);
    const T wanted = rule.sampling_ratio > 0 ? T(rule.sampling_ratio) : ceil(bin);
    samples = wanted > T(0) ? int64_t(smaller(wanted, T(9e15))) : 0;
  }

  // Calls f(low, high, low's weight, high's weight) for the samples of bin p, leaving out, where that pays, samples
  // outside [from, to]: a huge RoI has far too many around the image.
  template <class F>
  __device__ void visit(int p, T from, T to, F f) const {
    const T origin = start + T(p) * bin;
    if (samples == 0 || size == 0 || !isfinite(origin) || !isfinite(bin)) return;
    int64_t first = 0, last = samples;
    if (samples > 8 && bin != T(0)) {
      const double begin = double(start) + double(p) * double(bin), step = double(bin) / double(samples);
      const double one = (double(from) - begin) / step, other = (double(to) - begin) / step;
      first = int64_t(limited(floor(smaller(one, other)) - 3, 0.0, double(samples)));
      last = int64_t(limited(ceil(larger(one, other)) + 3, 0.0, double(samples)));
    }
    const T share = T(1) / T(samples);
    for (int64_t i = first; i < last; ++i) {
      T at = origin + (T(i) + T(.5)) * bin / T(samples);
      if (!(at >= T(-1) && at <= T(size))) continue;  // further out than a pixel counts as 0
      at = larger(at, T(0));
      const int low = int(at);
      if (low >= size - 1) {
        f(size - 1, size - 1, share, T(0));
      } else {
        const T high_part = at - T(low);
        f(low, low + 1, (T(1) - high_part) * share, high_part * share);
      }
    }
  }

  // Weight of pixel `at` in bin p.
  __device__ T weight(int p, int at) const {
    T sum = 0;
    visit(p, near(at), far(at), [&](int low, int high, T low_weight, T high_weight) {
      if (low == at) sum += low_weight;
      if (high == at) sum += high_weight;
    });
    return sum;
  }

  // Bins [first, last] outside which no bin takes pixel `at`.
  __device__ void bins(int at, int& first, int& last) const {
    first = 0, last = pooled - 1;
    if (bin == T(0)) return;
    const T one = (near(at) - start) / bin, other = (far(at) - start) / bin;
    first = int(limited(floor(smaller(one, other)) - T(1), T(0), T(pooled)));
    last = int(limited(floor(larger(one, other)) + T(1), T(-1), T(pooled - 1)));
  }

  // Pixels [first, last) outside which nothing is taken.
  __device__ void window(int& first, int& last) const {
    const T end = start + T(pooled) * bin;
    const T low = smaller(start, end), high = larger(start, end);
    first = last = 0;
    if (!(low <= T(size) && high >= T(-1))) return;
    first = int(limited(floor(low) - T(1), T(0), T(size)));
    last = int(limited(ceil(high) + T(2), T(0), T(size)));
  }

  // Samples from here on, and up to there, may touch a pixel.
  __device__ T near(int at) const { return T(at) - T(1); }
  __device__ T far(int at) const { return T(at) + T(1); }
};

// Whole pixels of a RoI whose corners were rounded: bin p is [floor(p * bin), ceil((p + 1) * bin)), cut to the image.
template <class T>
struct PixelAxis {
  double start;
  T bin;
  int size, pooled;

  __device__ PixelAxis(T low, T high, const RoiRule& rule, int pooled, int size)
      : start(round(low)), size(size), pooled(pooled) {
    const T extent = T(round(high) - start) + (rule.inclusive ? T(1) : T(0));
    bin = larger(extent, T(1)) / T(pooled);
  }

  // NaN and infinity land in the image, where they do no harm.
  __device__ int cut(double at) const { return int(limited(at, 0.0, double(size))); }

  __device__ void bounds(int p, int& first, int& last) const {
    first = cut(start + floor(T(p) * bin));
    last = cut(start + ceil(T(p + 1) * bin));
    if (last < first) last = first;
  }

  template <class F>
  __device__ void visit(int p, T, T, F f) const {
    int first, last;
    bounds(p, first, last);
    for (int at = first; at < last; ++at) f(at, at, T(1) / T(last - first), T(0));
  }

  __device__ T weight(int p, int at) const {
    int first, last;
    bounds(p, first, last);
    return at >= first && at < last ? T(1) / T(last - first) : T(0);
  }

  __device__ void bins(int at, int& first, int& last) const {
    const double middle = floor((double(at) - start) / double(bin));
    first = int(limited(middle - 2, 0.0, double(pooled)));
    last = int(limited(middle + 2, -1.0, double(pooled - 1)));
    if (!isfinite(middle)) first = 0, last = pooled - 1;
  }

  __device__ void window(int& first, int& last) const {
    int unused;
    bounds(0, first, unused);
    bounds(pooled - 1, unused, last);
  }

  __device__ T near(int) const { return T(0); }
  __device__ T far(int) const { return T(0); }
};

}  // namespace podium::cuda
