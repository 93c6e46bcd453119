// IoU of two boxes on the device, in the arithmetic of the CPU kernels (compiled without fused multiply-add), so that
// both devices give the same answer at a threshold.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "launch.cuh"

namespace podium::cuda {

// 16-byte (float) or 32-byte (double) rows of this library's own buffers, which are always aligned.
template <class T>
struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) Box {
  static constexpr int kNumbers = 4;
  T x1, y1, x2, y2;
  // Tensors of a caller may start anywhere, so these are read number by number.
  static __device__ Box load(const T* row) { return {row[0], row[1], row[2], row[3]}; }
};

// std::min and std::max of the CPU, with its treatment of NaN.
template <class T>
__device__ inline T smaller(T a, T b) {
  return b < a ? b : a;
}
template <class T>
__device__ inline T larger(T a, T b) {
  return a < b ? b : a;
}

template <class T>
__device__ inline T box_iou(const Box<T>& a, const Box<T>& b, int kind) {
  const T width = larger(smaller(a.x2, b.x2) - larger(a.x1, b.x1), T(0));
  const T height = larger(smaller(a.y2, b.y2) - larger(a.y1, b.y1), T(0));
  const T inter = width * height;
  const T joint = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - inter;
  T value = inter == T(0) ? T(0) : inter / joint;
  if (kind == 0) return value;
  const T hull_width = larger(larger(a.x2, b.x2) - smaller(a.x1, b.x1), T(0));
  const T hull_height = larger(larger(a.y2, b.y2) - smaller(a.y1, b.y1), T(0));
  if (kind == 1) {
    const T hull = hull_width * hull_height;
    return value - (hull == T(0) ? T(0) : (hull - joint) / hull);
  }
  const T diagonal = hull_width * hull_width + hull_height * hull_height;
  const T dx = (a.x1 + a.x2 - b.x1 - b.x2) / 2, dy = (a.y1 + a.y2 - b.y1 - b.y2) / 2;
  const T distance = diagonal == T(0) ? T(0) : (dx * dx + dy * dy) / diagonal;
  if (kind == 3) {
    const T angle = atan2(a.x2 - a.x1, a.y2 - a.y1) - atan2(b.x2 - b.x1, b.y2 - b.y1);
    const T aspect = T(4 / (M_PI * M_PI)) * angle * angle;
    const T weight = aspect == T(0) ? T(0) : aspect / (1 - value + aspect);
    value -= weight * aspect;
  }
  return value - distance;
}

// The largest T that is not above `threshold`: a T is above this exactly when, as a double, it is above `threshold`.
template <class T>
T threshold_of(double threshold) {
  T rounded = T(threshold);
  if (double(rounded) > threshold) rounded = std::nextafter(rounded, -std::numeric_limits<T>::infinity());
  return rounded;
}

// Whether the first box suppresses the second.
template <class T>
struct Overlaps {
  using Shape = Box<T>;
  T threshold;
  T low;  // a little under the threshold, to tell most pairs apart without a division
  int kind;

  Overlaps(double limit, int64_t kind)
      : threshold(threshold_of<T>(limit)), low(threshold * T(0.99999)), kind(int(kind)) {}

  __device__ bool operator()(const Shape& a, const Shape& b) const {
    if (kind != 0 || !(threshold >= T(0))) return box_iou(a, b, kind) > threshold;
    const T width = fmax(fmin(a.x2, b.x2) - fmax(a.x1, b.x1), T(0));
    const T height = fmax(fmin(a.y2, b.y2) - fmax(a.y1, b.y1), T(0));
    const T inter = width * height;
    if (inter == T(0)) return false;
    const T joint = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - inter;
    if (inter > T(1e-30) && inter <= low * joint) return false;  // among subnormals `low` is not exact enough
    return inter / joint > threshold;
  }
};

}  // namespace podium::cuda
