// Vectors of the widest kind the instruction set of this compilation has, and a list of boxes laid out for them.
// Everything is inside the namespace of the instruction set, and no std:: container is used: the linker keeps one copy
// of an inline function, and that copy must not be one that needs AVX-512.
#pragma once

#include <cstdint>
#include <limits>

#include "buffer.h"

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own intrinsics
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace podium {
namespace PODIUM_ISA {

template <class T>
struct Lanes;

#define PODIUM_LANES(T, V, W, prefix, suffix, ge_mask)                  \
  template <>                                                           \
  struct Lanes<T> {                                                     \
    using Vector = V;                                                   \
    static constexpr int64_t width = W;                                 \
    static V load(const T* from) { return prefix##_loadu_##suffix(from); } \
    static void store(T* to, V a) { prefix##_storeu_##suffix(to, a); }  \
    static V fill(T value) { return prefix##_set1_##suffix(value); }    \
    static V add(V a, V b) { return prefix##_add_##suffix(a, b); }      \
    static V sub(V a, V b) { return prefix##_sub_##suffix(a, b); }      \
    static V mul(V a, V b) { return prefix##_mul_##suffix(a, b); }      \
    static V div(V a, V b) { return prefix##_div_##suffix(a, b); }      \
    static V min(V a, V b) { return prefix##_min_##suffix(a, b); }      \
    static V max(V a, V b) { return prefix##_max_##suffix(a, b); }      \
    static uint32_t ge(V a, V b) { return ge_mask; }                    \
  };

// min and max return the second operand where one is NaN; ge gives one bit for each lane, 0 where one is NaN.
#if defined(__AVX512F__)
PODIUM_LANES(float, __m512, 16, _mm512, ps, uint32_t(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ)))
PODIUM_LANES(double, __m512d, 8, _mm512, pd, uint32_t(_mm512_cmp_pd_mask(a, b, _CMP_GE_OQ)))
#elif defined(__AVX2__)
PODIUM_LANES(float, __m256, 8, _mm256, ps, uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ))))
PODIUM_LANES(double, __m256d, 4, _mm256, pd, uint32_t(_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_GE_OQ))))
#elif defined(__x86_64__)
PODIUM_LANES(float, __m128, 4, _mm, ps, uint32_t(_mm_movemask_ps(_mm_cmpge_ps(a, b))))
PODIUM_LANES(double, __m128d, 2, _mm, pd, uint32_t(_mm_movemask_pd(_mm_cmpge_pd(a, b))))
#else
// One lane: correct everywhere.
template <class T>
struct Lanes {
  using Vector = T;
  static constexpr int64_t width = 1;
  static T load(const T* from) { return *from; }
  static void store(T* to, T a) { *to = a; }
  static T fill(T value) { return value; }
  static T add(T a, T b) { return a + b; }
  static T sub(T a, T b) { return a - b; }
  static T mul(T a, T b) { return a * b; }
  static T div(T a, T b) { return a / b; }
  static T min(T a, T b) { return a < b ? a : b; }
  static T max(T a, T b) { return a > b ? a : b; }
  static uint32_t ge(T a, T b) { return a >= b; }
};
#endif
#undef PODIUM_LANES

// Boxes in columns, padded to whole vectors with boxes that overlap nothing. `extra` is the user's column, +infinity
// in the padding.
template <class T>
struct BoxList {
  static constexpr int64_t step = Lanes<T>::width;
  int64_t count = 0, room;
  Buffer<T> all;
  T *x1, *y1, *x2, *y2, *area, *extra;

  explicit BoxList(int64_t capacity)
      : room((capacity + step - 1) / step * step),
        all(6 * room),
        x1(all.get()),
        y1(x1 + room),
        x2(y1 + room),
        y2(x2 + room),
        area(y2 + room),
        extra(area + room) {}

  void append(const T* box, T box_area, T value) {
    if (count % step == 0) {
      constexpr T far = std::numeric_limits<T>::infinity();
      for (int64_t k = count; k < count + step; ++k)
        x1[k] = y1[k] = extra[k] = far, x2[k] = y2[k] = -far, area[k] = 0;
    }
    x1[count] = box[0], y1[count] = box[1], x2[count] = box[2], y2[count] = box[3];
    area[count] = box_area, extra[count] = value;
    ++count;
  }
  // The count with its padding, a multiple of `step`.
  int64_t padded() const { return (count + step - 1) / step * step; }
};

// One box in every lane.
template <class T>
struct Spread {
  using L = Lanes<T>;
  typename L::Vector x1, y1, x2, y2;
  explicit Spread(const T* box) : x1(L::fill(box[0])), y1(L::fill(box[1])), x2(L::fill(box[2])), y2(L::fill(box[3])) {}

  // Overlap with boxes k, k + 1, ... of the list. Where they do not overlap in y alone it may be negative.
  typename L::Vector overlap(const BoxList<T>& list, int64_t k) const {
    const auto width = L::sub(L::min(x2, L::load(list.x2 + k)), L::max(x1, L::load(list.x1 + k)));
    const auto height = L::sub(L::min(y2, L::load(list.y2 + k)), L::max(y1, L::load(list.y1 + k)));
    return L::mul(L::max(width, L::fill(0)), height);
  }
};

}  // namespace PODIUM_ISA
}  // namespace podium
