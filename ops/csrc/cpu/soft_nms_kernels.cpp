// NMS that lowers scores: soft NMS, one selection after the other, and matrix NMS, all at once.
#include "soft_nms_kernels.h"

#include <cmath>

#include "nms_simd.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

template <class T>
constexpr T lowest = -std::numeric_limits<T>::infinity();

template <class T>
T best_of(typename Lanes<T>::Vector values, bool greatest) {
  T lanes[Lanes<T>::width];
  Lanes<T>::store(lanes, values);
  T best = lanes[0];
  for (T value : lanes)
    if (greatest ? value > best : value < best) best = value;
  return best;
}

// Boxes still to be selected, in their first order; `extra` is the score, -infinity where it no longer counts.
template <class T>
struct Candidates {
  BoxList<T> list;
  Buffer<int64_t> rows;

  explicit Candidates(int64_t count) : list(count), rows(count) {}

  void append(const T* box, T area, T score, int64_t row) {
    rows[list.count] = row;
    list.append(box, area, score);
  }
  void close() {
    for (int64_t k = list.count; k < list.padded(); ++k) list.extra[k] = lowest<T>;
  }
  // Takes out what no longer counts, so that a long run does not look at it again and again.
  void compact() {
    const int64_t before = list.count;
    list.count = 0;
    for (int64_t k = 0; k < before; ++k) {
      if (list.extra[k] == lowest<T>) continue;
      const T box[4] = {list.x1[k], list.y1[k], list.x2[k], list.y2[k]};
      const T area = list.area[k], score = list.extra[k];
      const int64_t row = rows[k], to = list.count++;
      list.x1[to] = box[0], list.y1[to] = box[1], list.x2[to] = box[2], list.y2[to] = box[3];
      list.area[to] = area, list.extra[to] = score, rows[to] = row;
    }
    for (int64_t k = list.count; k < list.padded(); ++k) {  // no longer boxes, but padding
      list.x1[k] = list.y1[k] = -lowest<T>, list.x2[k] = list.y2[k] = lowest<T>;
      list.area[k] = 0;
    }
    close();
  }
};

template <class T>
int64_t soft_nms(const T* boxes, const T* scores, int64_t count, const SoftNmsRule& rule, int64_t* selected,
                 T* decayed) {
  using L = Lanes<T>;
  Candidates<T> left(count);
  const BoxList<T>& list = left.list;
  T top = lowest<T>;
  for (int64_t row = 0; row < count; ++row) {
    if (!(double(scores[row]) > rule.min_score)) continue;  // NaN, too
    const T* box = boxes + 4 * row;
    left.append(box, (box[2] - box[0]) * (box[3] - box[1]), scores[row], row);
    if (scores[row] > top) top = scores[row];
  }
  left.close();
  const T sigma = T(rule.sigma);
  int64_t found = 0, dead = 0;
  while (top > lowest<T>) {
    int64_t best = 0;  // the first with the greatest score
    for (uint32_t hits = 0;; best += L::width)
      if ((hits = L::ge(L::load(list.extra + best), L::fill(top)))) {
        best += __builtin_ctz(hits);
        break;
      }
    selected[found] = left.rows[best];
    decayed[found++] = top;
    list.extra[best] = lowest<T>;
    ++dead;
    const T box[4] = {list.x1[best], list.y1[best], list.x2[best], list.y2[best]};
    const T area = list.area[best];
    const Spread<T> spread(box);
    const auto least = L::fill(std::numeric_limits<T>::denorm_min());
    auto greatest = L::fill(lowest<T>);
    for (int64_t k = 0; k < list.padded(); k += L::width) {
      const auto inter = spread.overlap(list, k);
      if (uint32_t hits = L::ge(inter, least)) {
        T lanes[L::width];
        L::store(lanes, inter);
        for (; hits; hits &= hits - 1) {
          const int lane = __builtin_ctz(hits);
          T& score = list.extra[k + lane];
          if (score == lowest<T>) continue;
          const T iou = lanes[lane] / (area + list.area[k + lane] - lanes[lane]);
          if (!(iou > T(0))) continue;  // areas overflow
          if (rule.decay == Decay::gaussian)
            score *= std::exp(-(iou * iou) / sigma);
          else if (double(iou) > rule.threshold)
            score *= 1 - iou;
          if (!(double(score) > rule.min_score)) score = lowest<T>, ++dead;
        }
      }
      greatest = L::max(L::load(list.extra + k), greatest);
    }
    top = best_of<T>(greatest, true);
    if (2 * dead > list.count) left.compact(), dead = 0;
  }
  return found;
}

template <class T>
void matrix_nms(const T* boxes, const T* scores, const uint32_t* items, int64_t count, Decay decay, double sigma,
                T* decayed) {
  using L = Lanes<T>;
  BoxList<T> better(count);  // `extra` is the greatest IoU with a box better still
  const auto one = L::fill(1), least = L::fill(std::numeric_limits<T>::denorm_min());
  for (int64_t item = 0; item < count; ++item) {
    const T* box = boxes + 4 * int64_t(items[item]);
    const T area = (box[2] - box[0]) * (box[3] - box[1]);
    const Spread<T> spread(box);
    const auto own = L::fill(area);
    auto most = L::fill(0), factor = one, exponent = L::fill(0);
    for (int64_t k = 0; k < better.padded(); k += L::width) {
      const auto inter = spread.overlap(better, k);
      if (!L::ge(inter, least)) continue;
      // Without an overlap this is negative or NaN, or made 0 here; none of them changes most or lowers the score.
      const auto apart = L::sub(L::add(L::load(better.area + k), own), inter);
      const auto iou = L::min(L::max(L::div(inter, apart), L::fill(0)), one);
      const auto other = L::load(better.extra + k);
      most = L::max(iou, most);
      // A box that is itself suppressed wholly (0 / 0) does not suppress.
      if (decay == Decay::linear) factor = L::min(L::div(L::sub(one, iou), L::sub(one, other)), factor);
      else exponent = L::max(L::sub(L::mul(iou, iou), L::mul(other, other)), exponent);
    }
    T product = best_of<T>(factor, false);
    if (decay == Decay::gaussian) product = std::exp(-best_of<T>(exponent, true) / T(sigma));
    const T score = scores[items[item]];
    decayed[items[item]] = score < std::numeric_limits<T>::lowest() ? score : score * product;  // not -infinity * 0
    better.append(box, area, best_of<T>(most, true));
    for (int64_t k = better.count; k < better.padded() && better.extra[k] != T(0); ++k) better.extra[k] = 0;
  }
}

}  // namespace

int64_t soft_nms_f32(const float* boxes, const float* scores, int64_t count, const SoftNmsRule& rule,
                     int64_t* selected, float* decayed) {
  return soft_nms<float>(boxes, scores, count, rule, selected, decayed);
}

int64_t soft_nms_f64(const double* boxes, const double* scores, int64_t count, const SoftNmsRule& rule,
                     int64_t* selected, double* decayed) {
  return soft_nms<double>(boxes, scores, count, rule, selected, decayed);
}

void matrix_nms_f32(const float* boxes, const float* scores, const uint32_t* items, int64_t count, Decay decay,
                    double sigma, float* decayed) {
  matrix_nms<float>(boxes, scores, items, count, decay, sigma, decayed);
}

void matrix_nms_f64(const double* boxes, const double* scores, const uint32_t* items, int64_t count, Decay decay,
                    double sigma, double* decayed) {
  matrix_nms<double>(boxes, scores, items, count, decay, sigma, decayed);
}

}  // namespace PODIUM_ISA
}  // namespace podium
