// Greedy non-maximum suppression: every box against the list of those kept so far, a vector at a time.
#include "nms_kernels.h"

#include <cmath>

#include "nms_simd.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

template <class T>
T smaller(T a, T b) {
  return b < a ? b : a;
}

template <class T>
T larger(T a, T b) {
  return a < b ? b : a;
}

// The largest T <= value: comparing with it is comparing with the double.
template <class T>
T round_down(double value) {
  const T near = T(value);
  return double(near) > value ? std::nextafter(near, -std::numeric_limits<T>::infinity()) : near;
}

// The same numbers as pairwise_iou, for one pair.
template <class T>
inline __attribute__((always_inline)) T overlap_of(const T* a, T area_a, const T* b, T area_b, IouKind kind) {
  const T width = larger(smaller(a[2], b[2]) - larger(a[0], b[0]), T(0));
  const T height = larger(smaller(a[3], b[3]) - larger(a[1], b[1]), T(0));
  const T inter = width * height;
  const T joint = area_a + area_b - inter;
  const T value = joint == T(0) ? T(0) : inter / joint;
  if (kind == IouKind::iou) return value;
  const T hull_width = larger(larger(a[2], b[2]) - smaller(a[0], b[0]), T(0));
  const T hull_height = larger(larger(a[3], b[3]) - smaller(a[1], b[1]), T(0));
  if (kind == IouKind::giou) {
    const T hull = hull_width * hull_height;
    return value - (hull == T(0) ? T(0) : (hull - joint) / hull);
  }
  const T dx = (a[0] + a[2] - b[0] - b[2]) / 2, dy = (a[1] + a[3] - b[1] - b[3]) / 2;
  const T diagonal = hull_width * hull_width + hull_height * hull_height;
  return value - (diagonal == T(0) ? T(0) : (dx * dx + dy * dy) / diagonal);
}

template <class T>
struct Rule {
  IouKind kind;
  T threshold;
  explicit Rule(const NmsRule& rule) : kind(rule.kind), threshold(round_down<T>(rule.threshold)) {}

  bool suppresses(const BoxList<T>& kept, int64_t k, const T* box, T area) const {
    const T other[4] = {kept.x1[k], kept.y1[k], kept.x2[k], kept.y2[k]};
    return overlap_of(other, kept.area[k], box, area, kind) > threshold;
  }
  // An IoU does not exceed 1, as rounded either: inter <= min(a, b), and rounding a + b takes no more off than the
  // larger is above the smaller. A DIoU is no more than that, while a GIoU, as rounded, can exceed it by a little.
  bool suppresses_nothing() const { return kind != IouKind::giou && threshold >= T(1); }
  // Whether only boxes with a true overlap can suppress one another. (giou, as rounded, can exceed iou by a little.)
  bool needs_overlap() const { return threshold >= (kind == IouKind::iou ? T(0) : T(1e-3)); }
};

// Whether one of the kept boxes suppresses `box`. inter / (a + b - inter) > t is inter > s a + s b, s = t / (1 + t): a
// bound a little below (column `extra` holds s b, less a bit) finds those that may, and only these are divided.
template <class T>
bool suppressed(const BoxList<T>& kept, const Rule<T>& rule, const T* box, T area, T scaled) {
  using L = Lanes<T>;
  const Spread<T> spread(box);
  const auto own = L::fill(scaled);
  const auto near = [&](int64_t k) {
    return uint64_t(L::ge(spread.overlap(kept, k), L::add(own, L::load(kept.extra + k))));
  };
  const auto any = [&](uint64_t hits, int64_t from) {
    for (; hits; hits &= hits - 1)
      if (rule.suppresses(kept, from + __builtin_ctzll(hits), box, area)) return true;
    return false;
  };
  constexpr int64_t group = 4 * L::width;  // one branch for four vectors
  const int64_t end = kept.padded();
  int64_t k = 0;
  for (; k + group <= end; k += group) {
    uint64_t hits = 0;
    for (int64_t part = 0; part < group; part += L::width) hits |= near(k + part) << part;
    if (any(hits, k)) return true;
  }
  uint64_t hits = 0;
  for (int64_t part = 0; k + part < end; part += L::width) hits |= near(k + part) << part;
  return any(hits, k);
}

template <class T>
bool suppressed_plainly(const BoxList<T>& kept, const Rule<T>& rule, const T* box, T area) {
  for (int64_t k = 0; k < kept.count; ++k)
    if (rule.suppresses(kept, k, box, area)) return true;
  return false;
}

// An exact index of kept boxes by size and place, for when there are thousands of them. From IoU > t it follows that
// the one-dimensional IoU of each axis is > t, hence t w < w' < w / t, and the left ends x, x' are near: x' - x <
// (w - t w') / (1 + t) and x - x' < (w' - t w) / (1 + t). Boxes are hashed by the binary exponents of width and height
// and by the cell of their corner, in a lattice as fine as these bounds; a query looks into every cell in reach.
// Rounding is monotone, so the rounded bounds hold for rounded numbers too, and the 1e-4 taken off t covers the
// rounding of IoU.
template <class T>
class Index {
 public:
  Index(const BoxList<T>& kept, int64_t capacity, T threshold)
      : bits_(bits_for(capacity)), heads_(int64_t(1) << bits_), nodes_(capacity + 1), t_(threshold * T(0.9999)) {
    for (int64_t k = 0; k < int64_t(1) << bits_; ++k) heads_[k] = 0;
    for (int64_t k = 0; k < levels * levels; ++k) present_[k] = false;
    // The lattice of a level: its width times the power of two nearest to the whole reach of a box half as wide again.
    const T fine = std::exp2(std::round(std::log2(3 * (1 - t_) / (1 + t_))));
    for (int64_t level = 0; level < levels; ++level) {
      low_[level] = level ? std::ldexp(T(1), int(level) + lowest) : T(0);
      per_cell_[level] = std::ldexp(1 / fine, -(int(level) + lowest));
    }
    for (int64_t k = 0; k < kept.count; ++k) {
      const T box[4] = {kept.x1[k], kept.y1[k], kept.x2[k], kept.y2[k]};
      insert(box, kept.area[k], kept.extra[k]);
    }
  }

  // Thresholds for which there is a reach worth the name.
  static bool serves(T threshold) { return threshold >= T(0.05) && threshold < T(1); }

  void insert(const T* box, T area, T scaled) {
    const int64_t across = level_of(box[2] - box[0]), down = level_of(box[3] - box[1]);
    present_[across * levels + down] = true;
    uint32_t& head = heads_[slot(across, down, cell(box[0], across), cell(box[1], down))];
    nodes_[++used_] = {{box[0], box[1], box[2], box[3]}, area, scaled, head};
    head = uint32_t(used_);
  }

  // 1 suppressed, 0 not, -1 where scanning the whole list is cheaper or safer.
  int suppressed(const Rule<T>& rule, const T* box, T area, T scaled) const {
    constexpr T tiny = sizeof(T) == 4 ? T(1e-25) : T(1e-250), huge = sizeof(T) == 4 ? T(1e35) : T(1e300);
    if (!(area > tiny && area < huge)) return -1;  // rounding is not relative there
    Axis across[levels], down[levels];
    const int64_t width_end = reach(box[0], box[2] - box[0], across), height_end = reach(box[1], box[3] - box[1], down);
    int64_t budget = 64 + used_ / 16;
    for (int64_t i = 0; i < width_end; ++i)
      for (int64_t j = 0; j < height_end; ++j) {
        const Axis &x = across[i], &y = down[j];
        if (!present_[x.level * levels + y.level]) continue;
        budget -= (x.last - x.first + 1) * (y.last - y.first + 1);
        if (budget < 0) return -1;
        for (int64_t cx = x.first; cx <= x.last; ++cx)
          for (int64_t cy = y.first; cy <= y.last; ++cy)
            for (uint32_t at = heads_[slot(x.level, y.level, cx, cy)]; at; at = nodes_[at].next) {
              const Node& other = nodes_[at];
              const T width = smaller(box[2], other.box[2]) - larger(box[0], other.box[0]);
              const T height = smaller(box[3], other.box[3]) - larger(box[1], other.box[1]);
              if (larger(width, T(0)) * height >= other.scaled + scaled &&
                  overlap_of(other.box, other.area, box, area, rule.kind) > rule.threshold)
                return 1;
            }
      }
    return 0;
  }

 private:
  static constexpr int64_t levels = 32;  // sizes from 2^-16 to 2^15; what is beyond shares the first and the last
  static constexpr int lowest = -16;

  struct Node {
    T box[4];
    T area, scaled;
    uint32_t next;
  };
  // The cells of one level that are in reach along one axis.
  struct Axis {
    int64_t level, first, last;
  };

  static int bits_for(int64_t capacity) {
    int bits = 12;
    while ((int64_t(1) << bits) < 2 * capacity) ++bits;
    return bits;
  }
  static int64_t level_of(T size) {  // of a positive number
    const int exponent = sizeof(T) == 4 ? int(__builtin_bit_cast(uint32_t, float(size)) >> 23) - 127
                                        : int(__builtin_bit_cast(uint64_t, double(size)) >> 52) - 1023;
    const int level = exponent - lowest;
    return level < 0 ? 0 : level >= levels ? levels - 1 : level;
  }
  int64_t cell(T place, int64_t level) const {
    const T at = std::floor(place * per_cell_[level]);
    return int64_t(larger(smaller(at, T(1 << 30)), T(-(1 << 30))));
  }
  uint64_t slot(int64_t across, int64_t down, int64_t cx, int64_t cy) const {
    const uint64_t key = (uint64_t(cx) * 0x9E3779B97F4A7C15u) ^ (uint64_t(cy) * 0xC2B2AE3D27D4EB4Fu) ^
                         (uint64_t(across * levels + down) * 0x165667B19E3779F9u);
    return (key * 0x9E3779B97F4A7C15u) >> (64 - bits_);
  }
  int64_t reach(T place, T size, Axis* axes) const {
    const int64_t first = level_of(size * t_), last = level_of(size / t_);
    const T slack = size * T(1e-5);
    for (int64_t level = first; level <= last; ++level) {
      const T most = level + 1 < levels ? smaller(low_[level + 1], size / t_) : size / t_;
      const T least = larger(low_[level], size * t_);
      const T left = (most - t_ * size) / (1 + t_) + slack, right = (size - t_ * least) / (1 + t_) + slack;
      axes[level - first] = {level, cell(place - left, level), cell(place + right, level)};
    }
    return last - first + 1;
  }

  int bits_;
  Buffer<uint32_t> heads_;  // of the chain of each slot, 0 for none; slots shared by chance only cost time
  Buffer<Node> nodes_;
  int64_t used_ = 0;
  T t_;
  T low_[levels], per_cell_[levels];
  bool present_[levels * levels];
};

constexpr int64_t index_from = 1500;  // kept boxes from which the index is faster than the list

template <class T>
int64_t greedy(const T* boxes, const uint32_t* items, int64_t count, const NmsRule& given, int64_t max_out,
               uint32_t* kept) {
  const Rule<T> rule(given);
  if (rule.suppresses_nothing()) {
    const int64_t most = smaller(count, max_out);
    for (int64_t k = 0; k < most; ++k) kept[k] = uint32_t(k);
    return most;
  }
  const bool fast = rule.needs_overlap();
  const bool indexable = fast && Index<T>::serves(rule.threshold);
  // For next to no threshold the bound of `suppressed` is the smallest number: any overlap. Otherwise it is lowered by
  // a number below which products are not rounded relatively.
  const bool any_overlap = rule.threshold < T(1e-6);
  const T share = any_overlap ? T(0) : rule.threshold / (1 + rule.threshold) * T(0.99999);
  const T little = any_overlap ? T(0) : std::numeric_limits<T>::min() * 8;
  BoxList<T> list(smaller(count, max_out));
  Index<T>* index = nullptr;
  int64_t found = 0;
  for (int64_t k = 0; k < count && found < max_out; ++k) {
    if (k + 8 < count) __builtin_prefetch(boxes + 4 * int64_t(items[k + 8]));
    const T* box = boxes + 4 * int64_t(items[k]);
    const T area = (box[2] - box[0]) * (box[3] - box[1]);
    if (fast && !(box[2] > box[0] && box[3] > box[1])) {  // overlaps nothing: is kept and suppresses nothing
      kept[found++] = uint32_t(k);
      continue;
    }
    const T scaled = area * share - little;
    int state = index ? index->suppressed(rule, box, area, scaled) : -1;
    if (state < 0) state = fast ? suppressed(list, rule, box, area, scaled) : suppressed_plainly(list, rule, box, area);
    if (state) continue;
    list.append(box, area, any_overlap ? std::numeric_limits<T>::denorm_min() : scaled);
    if (index) index->insert(box, area, scaled);
    else if (indexable && list.count == index_from && count - k > index_from)
      index = new Index<T>(list, smaller(count, max_out), rule.threshold);
    kept[found++] = uint32_t(k);
  }
  delete index;
  return found;
}

template <class T>
bool valid(const T* boxes, const T* scores, int64_t count) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  int64_t bad = 0;
  for (int64_t k = 0; k < count; ++k) {
    const T* box = boxes + 4 * k;
    bad += !((box[0] > -infinity) & (box[0] <= box[2]) & (box[2] < infinity) & (box[1] > -infinity) &
             (box[1] <= box[3]) & (box[3] < infinity) & (scores[k] < infinity));
  }
  return bad == 0;
}

}  // namespace

bool nms_valid_f32(const float* boxes, const float* scores, int64_t count) { return valid(boxes, scores, count); }

bool nms_valid_f64(const double* boxes, const double* scores, int64_t count) { return valid(boxes, scores, count); }

int64_t nms_greedy_f32(const float* boxes, const uint32_t* items, int64_t count, const NmsRule& rule, int64_t max_out,
                       uint32_t* kept) {
  return greedy<float>(boxes, items, count, rule, max_out, kept);
}

int64_t nms_greedy_f64(const double* boxes, const uint32_t* items, int64_t count, const NmsRule& rule, int64_t max_out,
                       uint32_t* kept) {
  return greedy<double>(boxes, items, count, rule, max_out, kept);
}

}  // namespace PODIUM_ISA
}  // namespace podium
