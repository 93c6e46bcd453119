// Pairwise IoU of boxes and its variants: giou (arXiv 1902.09630), diou and ciou (arXiv 1911.08287).
#include "boxes_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "buffer.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

// Columns of boxes2 as separate arrays, so that the inner loop runs over consecutive numbers.
template <class T>
struct Columns {
  Buffer<T> room;  // one, for allocating takes as long as a few boxes
  T *x1, *y1, *x2, *y2, *area, *angle;  // angle: of the diagonal, for ciou
  Columns(const T* boxes, int64_t count, bool angles) : room((angles ? 6 : 5) * count), x1(room.get()) {
    y1 = x1 + count, x2 = y1 + count, y2 = x2 + count, area = y2 + count, angle = area + count;
    for (int64_t j = 0; j < count; ++j) {
      x1[j] = boxes[4 * j], y1[j] = boxes[4 * j + 1], x2[j] = boxes[4 * j + 2], y2[j] = boxes[4 * j + 3];
      area[j] = (x2[j] - x1[j]) * (y2[j] - y1[j]);
      if (angles) angle[j] = std::atan2(x2[j] - x1[j], y2[j] - y1[j]);
    }
  }
};

template <class T, IouKind kind>
void rows(const T* boxes1, const T* boxes2, int64_t n2, T* out, int64_t begin, int64_t end) {
  const Columns<T> other(boxes2, n2, kind == IouKind::ciou);
  const T* ox1 = other.x1;
  const T* oy1 = other.y1;
  const T* ox2 = other.x2;
  const T* oy2 = other.y2;
  const T* oarea = other.area;
  const T* oangle = other.angle;
  for (int64_t i = begin; i < end; ++i) {
    const T x1 = boxes1[4 * i], y1 = boxes1[4 * i + 1], x2 = boxes1[4 * i + 2], y2 = boxes1[4 * i + 3];
    const T area = (x2 - x1) * (y2 - y1);
    const T own_angle = kind == IouKind::ciou ? std::atan2(x2 - x1, y2 - y1) : T(0);
    T* row = out + i * n2;
#pragma GCC ivdep
    for (int64_t j = 0; j < n2; ++j) {
      const T width = std::max(std::min(x2, ox2[j]) - std::max(x1, ox1[j]), T(0));
      const T height = std::max(std::min(y2, oy2[j]) - std::max(y1, oy1[j]), T(0));
      const T inter = width * height;
      const T joint = area + oarea[j] - inter;
      T value = inter == T(0) ? T(0) : inter / joint;  // 0/0 of two points is 0
      if constexpr (kind != IouKind::iou) {
        const T hull_width = std::max(std::max(x2, ox2[j]) - std::min(x1, ox1[j]), T(0));
        const T hull_height = std::max(std::max(y2, oy2[j]) - std::min(y1, oy1[j]), T(0));
        if constexpr (kind == IouKind::giou) {
          const T hull = hull_width * hull_height;
          value -= hull == T(0) ? T(0) : (hull - joint) / hull;
        } else {
          const T diagonal = hull_width * hull_width + hull_height * hull_height;
          const T dx = (x1 + x2 - ox1[j] - ox2[j]) / 2, dy = (y1 + y2 - oy1[j] - oy2[j]) / 2;
          const T distance = diagonal == T(0) ? T(0) : (dx * dx + dy * dy) / diagonal;
          if constexpr (kind == IouKind::ciou) {
            const T angle = own_angle - oangle[j];
            const T aspect = T(4 / (M_PI * M_PI)) * angle * angle;
            const T weight = aspect == T(0) ? T(0) : aspect / (1 - value + aspect);
            value -= weight * aspect;
          }
          value -= distance;
        }
      }
      row[j] = value;
    }
  }
}

template <class T>
void dispatch(const T* boxes1, const T* boxes2, int64_t n2, IouKind kind, T* out, int64_t begin, int64_t end) {
  if (kind == IouKind::iou) rows<T, IouKind::iou>(boxes1, boxes2, n2, out, begin, end);
  if (kind == IouKind::giou) rows<T, IouKind::giou>(boxes1, boxes2, n2, out, begin, end);
  if (kind == IouKind::diou) rows<T, IouKind::diou>(boxes1, boxes2, n2, out, begin, end);
  if (kind == IouKind::ciou) rows<T, IouKind::ciou>(boxes1, boxes2, n2, out, begin, end);
}

template <class T>
bool valid(const T* boxes, int64_t count, bool finite, bool sizes) {
  int64_t bad = 0;
  if (sizes)
    for (int64_t k = 0; k < 4 * count; k += 4) bad += (boxes[k + 2] < T(0)) | (boxes[k + 3] < T(0));
  else
    for (int64_t k = 0; k < 4 * count; k += 4)
      bad += (boxes[k + 2] < boxes[k]) | (boxes[k + 3] < boxes[k + 1]);
  if (finite)
    for (int64_t k = 0; k < 4 * count; ++k) bad += !(std::abs(boxes[k]) <= std::numeric_limits<T>::max());
  return bad == 0;
}

template <class T>
void areas(const T* boxes, int64_t count, T* out) {
  for (int64_t k = 0; k < count; ++k)
    out[k] = (boxes[4 * k + 2] - boxes[4 * k]) * (boxes[4 * k + 3] - boxes[4 * k + 1]);
}

}  // namespace

bool boxes_valid_f32(const float* boxes, int64_t count, bool finite, bool sizes) {
  return valid(boxes, count, finite, sizes);
}

bool boxes_valid_f64(const double* boxes, int64_t count, bool finite, bool sizes) {
  return valid(boxes, count, finite, sizes);
}

void box_area_f32(const float* boxes, int64_t count, float* out) { areas(boxes, count, out); }

void box_area_f64(const double* boxes, int64_t count, double* out) { areas(boxes, count, out); }

void pairwise_iou_f32(const float* boxes1, const float* boxes2, int64_t n2, IouKind kind, float* out, int64_t begin,
                      int64_t end) {
  dispatch<float>(boxes1, boxes2, n2, kind, out, begin, end);
}

void pairwise_iou_f64(const double* boxes1, const double* boxes2, int64_t n2, IouKind kind, double* out, int64_t begin,
                      int64_t end) {
  dispatch<double>(boxes1, boxes2, n2, kind, out, begin, end);
}

}  // namespace PODIUM_ISA
}  // namespace podium
