// IoU of rotated rectangles; see the CPU's rotated_kernels.cpp for the method, whose arithmetic this repeats.
#pragma once

#include <cmath>

#include "launch.cuh"
#include "nms_kernels.cuh"

namespace podium::cuda {

// Centre, half sizes, cosine and sine of the angle, area, and the radius of the circle around it.
template <class T>
struct alignas(16) Rotated {
  static constexpr int kNumbers = 5;
  T cx, cy, half_w, half_h, cosine, sine, area, radius;

  // From cx, cy, w, h, degrees.
  static __device__ Rotated load(const T* row) {
    Rotated box;
    box.cx = row[0], box.cy = row[1], box.half_w = row[2] / 2, box.half_h = row[3] / 2, box.area = row[2] * row[3];
    // Whole quarter turns are taken apart, so that right angles come out exact.
    const double degrees = remainder(double(row[4]), 360.0);
    const double quarters = nearbyint(degrees / 90), rest = (degrees - 90 * quarters) * (M_PI / 180);
    const double c = cos(rest), s = sin(rest);
    double cosine = c, sine = s;
    if (quarters == 1) cosine = -s, sine = c;
    if (quarters == -1) cosine = s, sine = -c;
    if (quarters == 2 || quarters == -2) cosine = -c, sine = -s;
    box.cosine = T(cosine), box.sine = T(sine);
    // A negative radius keeps empty boxes, and boxes with a NaN, out of every pair.
    const bool real = box.half_w > 0 && box.half_h > 0 && isfinite(row[4]);
    box.radius = real ? sqrt(box.half_w * box.half_w + box.half_h * box.half_h) : T(-INFINITY);
    return box;
  }
};

template <class T>
__device__ inline T between(T value, T low, T high) {  // NaN becomes low
  value = low < value ? value : low;
  return value < high ? value : high;
}

// Integral of clamp(y, -b, b) dx along the edge (x, y) -+ (gx, gy), over the part with |x| <= a. inverse_x and inverse_y
// are 1 / gx and 1 / gy, and may be infinite.
template <class T>
__device__ inline T edge_integral(T x, T y, T gx, T gy, T inverse_x, T inverse_y, T a, T b) {
  const T t1 = (-a - x) * inverse_x, t2 = (a - x) * inverse_x;
  const T begin = between(t1 < t2 ? t1 : t2, T(-1), T(1)), end = between(t1 < t2 ? t2 : t1, begin, T(1));
  const T s1 = (-b - y) * inverse_y, s2 = (b - y) * inverse_y;
  const T in = between(s1 < s2 ? s1 : s2, begin, end), out = between(s1 < s2 ? s2 : s1, in, end);
  const T y_begin = between(y + begin * gy, -b, b), y_end = between(y + end * gy, -b, b);
  const T y_in = between(y + in * gy, -b, b), y_out = between(y + out * gy, -b, b);
  return gx * ((in - begin) * y_begin + (out - in) * (y_in + y_out) / 2 + (end - out) * y_end);
}

template <class T>
__device__ T rotated_iou(const Rotated<T>& first, const Rotated<T>& other) {
  const T dx = other.cx - first.cx, dy = other.cy - first.cy, reach = other.radius + first.radius;
  // Overflow must keep the pair, rounding too: hence the negation and the slack.
  if (!(reach > 0) || dx * dx + dy * dy > reach * reach * T(1.0001)) return T(0);
  const T a = first.half_w, b = first.half_h, half_w = other.half_w, half_h = other.half_h;
  const T x = first.cosine * dx - first.sine * dy, y = first.sine * dx + first.cosine * dy;
  const T c = first.cosine * other.cosine + first.sine * other.sine;
  const T s = other.sine * first.cosine - other.cosine * first.sine;
  const T ex = c * half_w, ey = -s * half_w, fx = s * half_h, fy = c * half_h;
  const T inverse_c = 1 / c, inverse_s = 1 / s, inverse_w = 1 / half_w, inverse_h = 1 / half_h;
  const T iex = inverse_c * inverse_w, iey = -inverse_s * inverse_w;
  const T ifx = inverse_s * inverse_h, ify = inverse_c * inverse_h;
  T inter = edge_integral(x + fx, y + fy, ex, ey, iex, iey, a, b) - edge_integral(x - fx, y - fy, ex, ey, iex, iey, a, b) +
            edge_integral(x - ex, y - ey, fx, fy, ifx, ify, a, b) - edge_integral(x + ex, y + ey, fx, fy, ifx, ify, a, b);
  const T least = first.area < other.area ? first.area : other.area;
  inter = inter < least ? inter : least;
  // Rounding must not make disjoint boxes overlap: look for a separating axis.
  const T ac = fabs(c), as = fabs(s), along_w = fabs(c * x - s * y), along_h = fabs(s * x + c * y);
  const bool meet = (fabs(x) < a + (ac * half_w + as * half_h)) & (fabs(y) < b + (as * half_w + ac * half_h)) &
                    (along_w < half_w + (ac * a + as * b)) & (along_h < half_h + (as * a + ac * b));
  return meet && inter > 0 ? inter / (first.area + other.area - inter) : T(0);
}

// Whether the first box, which is the better one, suppresses the second.
template <class T>
struct RotatedOverlaps {
  using Shape = Rotated<T>;
  T threshold;

  explicit RotatedOverlaps(double limit) : threshold(threshold_of<T>(limit)) {}
  __device__ bool operator()(const Shape& better, const Shape& box) const {
    return rotated_iou(box, better) > threshold;  // in the CPU's order of arguments
  }
};

template <class T>
__global__ void rotated_load_kernel(const T* rows, int64_t n, Rotated<T>* boxes) {
  const int64_t i = thread_index();
  if (i < n) boxes[i] = Rotated<T>::load(rows + 5 * i);
}

template <class T>
__global__ void rotated_pairs_kernel(const Rotated<T>* boxes1, const Rotated<T>* boxes2, int64_t n1, int64_t n2, T* out) {
  const int64_t j = thread_index();
  if (j >= n2) return;
  const Rotated<T> second = boxes2[j];
  for (int64_t i = blockIdx.y; i < n1; i += gridDim.y) out[i * n2 + j] = rotated_iou(boxes1[i], second);
}

// (n1, 5) and (n2, 5) -> (n1, n2). room: for n1 + n2 boxes, aligned to 16 bytes.
template <class T>
void rotated_pairs(const T* rows1, const T* rows2, int64_t n1, int64_t n2, Rotated<T>* room, T* out,
                   cudaStream_t stream) {
  if (n1 == 0 || n2 == 0) return;
  launch(rotated_load_kernel<T>, grid_of(blocks_for(n1)), kThreads, stream, rows1, n1, room);
  launch(rotated_load_kernel<T>, grid_of(blocks_for(n2)), kThreads, stream, rows2, n2, room + n1);
  const int threads = n2 < kThreads ? 64 : kThreads;
  launch(rotated_pairs_kernel<T>, grid_of(blocks_for(n2, threads), n1), threads, stream, room, room + n1, n1, n2, out);
}

}  // namespace podium::cuda
