// IoU and NMS of rotated rectangles.
//
// The area common to two rectangles is found without building their common polygon. In the frame of the first, which
// then is [-a, a] x [-b, b], a vertical line cuts the second in a segment [low, high], and what is common to both has
// length clamp(high, -b, b) - clamp(low, -b, b). So the area is the sum over the second's edges, in their direction, of
// the integral of clamp(y, -b, b) dx over the part with |x| <= a: four closed forms, no branches, no sorting.
#include "rotated_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "buffer.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

constexpr int64_t kBlock = 256;  // pairs handled together

template <class T>
struct Columns {
  const T *cx, *cy, *half_w, *half_h, *cosine, *sine, *area, *radius;
  Columns(const T* columns, int64_t n)
      : cx(columns), cy(cx + n), half_w(cy + n), half_h(half_w + n), cosine(half_h + n), sine(cosine + n),
        area(sine + n), radius(area + n) {}
};

template <class T>
struct Box {
  T cx, cy, half_w, half_h, cosine, sine, area, radius;
  Box(const Columns<T>& c, int64_t i)
      : cx(c.cx[i]), cy(c.cy[i]), half_w(c.half_w[i]), half_h(c.half_h[i]), cosine(c.cosine[i]), sine(c.sine[i]),
        area(c.area[i]), radius(c.radius[i]) {}
};

template <class T>
void prepare(const T* boxes, int64_t n, T* columns) {
  for (int64_t i = 0; i < n; ++i) {
    const T* box = boxes + 5 * i;
    const T half_w = box[2] / 2, half_h = box[3] / 2;
    // Whole quarter turns are taken apart, so that right angles come out exact.
    const double degrees = std::remainder(static_cast<double>(box[4]), 360.0);
    const double quarters = std::nearbyint(degrees / 90);
    const double rest = (degrees - 90 * quarters) * (M_PI / 180);
    double cosine = std::cos(rest), sine = std::sin(rest);
    if (quarters == 1) std::swap(cosine, sine), cosine = -cosine;
    if (quarters == -1) std::swap(cosine, sine), sine = -sine;
    if (std::abs(quarters) == 2) cosine = -cosine, sine = -sine;
    columns[i] = box[0], columns[n + i] = box[1];
    columns[2 * n + i] = half_w, columns[3 * n + i] = half_h;
    columns[4 * n + i] = static_cast<T>(cosine), columns[5 * n + i] = static_cast<T>(sine);
    columns[6 * n + i] = box[2] * box[3];
    // A negative radius keeps empty boxes, and boxes with a NaN, out of every pair.
    const bool real = half_w > 0 && half_h > 0 && std::isfinite(box[4]);
    columns[7 * n + i] = real ? std::sqrt(half_w * half_w + half_h * half_h) : T(-INFINITY);
  }
}

// As many numbers as an instruction handles. Comparisons give masks, and `mask ? x : y` chooses lane by lane.
#if defined(__AVX512F__)
constexpr int64_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32;
#else
constexpr int64_t kVectorBytes = 16;
#endif
template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
};
template <>
struct Lanes<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
};

template <class V>
inline V clamp(V value, V low, V high) {  // NaN becomes low
  value = low < value ? value : low;
  return value < high ? value : high;
}

template <class V>
inline V magnitude(V value) {
  return value < 0 ? -value : value;
}

// Integral of clamp(y, -b, b) dx along the edge centre -+ (gx, gy), over the part with |x| <= a.
// inverse_x and inverse_y are 1 / gx and 1 / gy, and may be infinite.
template <class V>
inline V edge(V x, V y, V gx, V gy, V inverse_x, V inverse_y, V a, V b) {
  const V one = V{} + 1, half = one / 2;
  const V t1 = (-a - x) * inverse_x, t2 = (a - x) * inverse_x;
  const V begin = clamp<V>(t1 < t2 ? t1 : t2, -one, one), end = clamp<V>(t1 < t2 ? t2 : t1, begin, one);
  const V s1 = (-b - y) * inverse_y, s2 = (b - y) * inverse_y;
  const V in = clamp<V>(s1 < s2 ? s1 : s2, begin, end), out = clamp<V>(s1 < s2 ? s2 : s1, in, end);
  const V y_begin = clamp<V>(y + begin * gy, -b, b), y_end = clamp<V>(y + end * gy, -b, b);
  const V y_in = clamp<V>(y + in * gy, -b, b), y_out = clamp<V>(y + out * gy, -b, b);
  return gx * ((in - begin) * y_begin + (out - in) * ((y_in + y_out) * half) +
               (end - out) * y_end);
}

// IoU of `first` with other boxes.
template <class T, class V>
inline V pair_iou(const Box<T>& first, V cx, V cy, V half_w, V half_h, V cosine, V sine, V area) {
  const V a = V{} + first.half_w, b = V{} + first.half_h;
  const V dx = cx - first.cx, dy = cy - first.cy;
  const V x = first.cosine * dx - first.sine * dy, y = first.sine * dx + first.cosine * dy;
  const V c = first.cosine * cosine + first.sine * sine, s = sine * first.cosine - cosine * first.sine;
  const V ex = c * half_w, ey = -s * half_w, fx = s * half_h, fy = c * half_h;
  const V iex = 1 / ex, iey = 1 / ey, ifx = 1 / fx, ify = 1 / fy;
  V inter = edge<V>(x + fx, y + fy, ex, ey, iex, iey, a, b) - edge<V>(x - fx, y - fy, ex, ey, iex, iey, a, b) +
            edge<V>(x - ex, y - ey, fx, fy, ifx, ify, a, b) - edge<V>(x + ex, y + ey, fx, fy, ifx, ify, a, b);
  const V smaller = area < first.area ? area : V{} + first.area;
  inter = inter < smaller ? inter : smaller;
  // Rounding must not make disjoint boxes overlap: look for a separating axis.
  const V ac = magnitude<V>(c), as = magnitude<V>(s);
  const V along_w = magnitude<V>(c * x - s * y), along_h = magnitude<V>(s * x + c * y);
  const auto meet = (magnitude<V>(x) < a + (ac * half_w + as * half_h)) &
                    (magnitude<V>(y) < b + (as * half_w + ac * half_h)) & (along_w < half_w + (ac * a + as * b)) &
                    (along_h < half_h + (as * a + ac * b)) & (inter > 0);
  const V value = inter / (first.area + area - inter);
  return meet ? value : V{};
}

// The members [begin, end) of `others` whose circles meet that of `first` and, where at_least > 0, whose areas do not
// rule out an IoU above it; at most kBlock of them. Returns how many.
template <class T>
int64_t neighbours(const Box<T>& first, const Columns<T>& others, int64_t begin, int64_t end, T at_least,
                   int32_t* found) {
  bool hit[kBlock];
#pragma GCC ivdep
  for (int64_t j = begin; j < end; ++j) {
    const T dx = others.cx[j] - first.cx, dy = others.cy[j] - first.cy, reach = others.radius[j] + first.radius;
    const T smaller = others.area[j] < first.area ? others.area[j] : first.area;
    const T larger = others.area[j] < first.area ? first.area : others.area[j];
    // Overflow must keep the pair, rounding too: hence the negations and the slack.
    hit[j - begin] = (reach > 0) & !(dx * dx + dy * dy > reach * reach * T(1.0001)) & !(smaller < at_least * larger);
  }
  int64_t count = 0;
  for (int64_t j = begin; j < end; ++j) found[count] = static_cast<int32_t>(j - begin), count += hit[j - begin];
  return count;
}

// IoU of `first` with the members of `others` at base + found[k], for k < count <= kBlock; values is aligned to 64
// bytes and has room for kBlock.
template <class T>
void some_ious(const Box<T>& first, const Columns<T>& others, int64_t base, const int32_t* found, int64_t count,
               T* values) {
  using V = typename Lanes<T>::type;
  constexpr int64_t lanes = kVectorBytes / sizeof(T);
  alignas(64) T packed[7][kBlock];
  const T* sources[7] = {others.cx, others.cy, others.half_w, others.half_h, others.cosine, others.sine, others.area};
  const int64_t whole = (count + lanes - 1) / lanes * lanes;
  for (int column = 0; column < 7; ++column) {
    for (int64_t k = 0; k < count; ++k) packed[column][k] = sources[column][base + found[k]];
    for (int64_t k = count; k < whole; ++k) packed[column][k] = T(0);
  }
  for (int64_t k = 0; k < whole; k += lanes) {
    const auto load = [&](int column) { return *reinterpret_cast<const V*>(&packed[column][k]); };
    *reinterpret_cast<V*>(values + k) =
        pair_iou<T, V>(first, load(0), load(1), load(2), load(3), load(4), load(5), load(6));
  }
}

template <class T>
void iou(const T* columns1, int64_t n1, const T* columns2, int64_t n2, T* out, int64_t begin, int64_t end) {
  const Columns<T> firsts(columns1, n1), others(columns2, n2);
  int32_t found[kBlock];
  alignas(64) T values[kBlock];
  for (int64_t i = begin; i < end; ++i) {
    const Box<T> first(firsts, i);
    T* row = out + i * n2;
    std::fill(row, row + n2, T(0));
    for (int64_t base = 0; base < n2; base += kBlock) {
      const int64_t count = neighbours(first, others, base, std::min(base + kBlock, n2), T(0), found);
      some_ious(first, others, base, found, count, values);
      for (int64_t k = 0; k < count; ++k) row[base + found[k]] = values[k];
    }
  }
}

struct Ranked {
  uint64_t key;
  int64_t index;
};

// An integer in the order of the scores; NaN comes last.
uint64_t score_key(double score) {
  if (std::isnan(score)) return 0;
  const uint64_t bits = std::bit_cast<uint64_t>(score + 0.0);  // -0 becomes 0
  return bits >> 63 ? ~bits : bits | (uint64_t(1) << 63);
}

template <class T>
int64_t nms(const T* columns, const T* scores, int64_t n, double threshold, int64_t* keep) {
  const Buffer<Ranked> ranked(n);
  for (int64_t i = 0; i < n; ++i) ranked[i] = {score_key(scores[i]), i};
  std::sort(ranked.get(), ranked.get() + n, [](const Ranked& one, const Ranked& two) {
    return one.key != two.key ? one.key > two.key : one.index < two.index;
  });
  const Columns<T> boxes(columns, n);
  const Buffer<T> storage(kRotatedColumns * n);
  const Columns<T> kept(storage.get(), n);
  const T at_least = static_cast<T>(threshold * 0.999);
  int32_t found[kBlock];
  alignas(64) T values[kBlock];
  int64_t count = 0;
  for (int64_t rank = 0; rank < n; ++rank) {
    const int64_t candidate = ranked[rank].index;
    const Box<T> box(boxes, candidate);
    bool suppressed = false;
    for (int64_t base = 0; base < count && !suppressed; base += kBlock) {
      const int64_t near = neighbours(box, kept, base, std::min(base + kBlock, count), at_least, found);
      some_ious(box, kept, base, found, near, values);
      for (int64_t k = 0; k < near; ++k) suppressed |= static_cast<double>(values[k]) > threshold;
    }
    if (suppressed) continue;
    for (int64_t column = 0; column < kRotatedColumns; ++column)
      storage[column * n + count] = columns[column * n + candidate];
    keep[count++] = candidate;
  }
  return count;
}

}  // namespace

void rotated_prepare_f32(const float* boxes, int64_t n, float* columns) { prepare(boxes, n, columns); }

void rotated_prepare_f64(const double* boxes, int64_t n, double* columns) { prepare(boxes, n, columns); }

void rotated_iou_f32(const float* columns1, int64_t n1, const float* columns2, int64_t n2, float* out, int64_t begin,
                     int64_t end) {
  iou(columns1, n1, columns2, n2, out, begin, end);
}

void rotated_iou_f64(const double* columns1, int64_t n1, const double* columns2, int64_t n2, double* out,
                     int64_t begin, int64_t end) {
  iou(columns1, n1, columns2, n2, out, begin, end);
}

int64_t rotated_nms_f32(const float* columns, const float* scores, int64_t n, double threshold, int64_t* keep) {
  return nms(columns, scores, n, threshold, keep);
}

int64_t rotated_nms_f64(const double* columns, const double* scores, int64_t n, double threshold, int64_t* keep) {
  return nms(columns, scores, n, threshold, keep);
}

}  // namespace PODIUM_ISA
}  // namespace podium
