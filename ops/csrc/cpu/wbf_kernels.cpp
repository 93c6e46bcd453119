// Weighted box fusion (arXiv 1910.13302).
#include "wbf_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "buffer.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

constexpr int64_t kBlock = 64;  // clusters compared at a time

// An integer in the order of the scores; NaN comes last.
uint64_t score_key(double score) {
  if (std::isnan(score)) return 0;
  const uint64_t bits = std::bit_cast<uint64_t>(score + 0.0);  // -0 becomes 0
  return bits >> 63 ? ~bits : bits | (uint64_t(1) << 63);
}

struct Ranked {
  int64_t label;
  uint64_t key;
  int64_t tie, index;
  bool operator<(const Ranked& other) const {
    if (label != other.label) return label < other.label;
    return key != other.key ? key > other.key : tie < other.tie;
  }
};

template <class T>
int64_t plan(const T* boxes, const T* scores, const int64_t* labels, const int64_t* models, int64_t n,
             const double* weights, int64_t n_models, const WbfOptions& options, int64_t* order, int64_t* starts) {
  const Buffer<Ranked> ranked(n);
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T* box = boxes + 4 * i;
    if (models[i] < 0 || models[i] >= n_models) continue;
    if (!(scores[i] >= options.skip_score) || !((box[2] - box[0]) * (box[3] - box[1]) > 0) || box[2] < box[0]) continue;
    ranked[count++] = {labels[i], score_key(scores[i] * weights[models[i]]), i, i};
  }
  std::sort(ranked.get(), ranked.get() + count);
  int64_t segments = 0;
  for (int64_t k = 0; k < count; ++k) {
    if (k == 0 || ranked[k].label != ranked[k - 1].label) starts[segments++] = k;
    order[k] = ranked[k].index;
  }
  starts[segments] = count;
  return segments;
}

// Clusters of one label: the fused box of each, as columns for the search, and what its sums are made of.
template <class T>
struct Clusters {
  Buffer<T> x1, y1, x2, y2, area;
  Buffer<double> sums;    // 4 per cluster: coordinates times weighted score
  Buffer<double> total;   // weighted scores
  Buffer<double> weight;  // weights of the boxes
  Buffer<double> best;    // the largest weighted score
  Buffer<int64_t> members;
  int64_t count = 0;
  // The columns have room for a whole block beyond the end, of empty boxes.
  explicit Clusters(int64_t room)
      : x1(room + kBlock), y1(room + kBlock), x2(room + kBlock), y2(room + kBlock), area(room + kBlock),
        sums(4 * room), total(room), weight(room), best(room), members(room) {
    for (const Buffer<T>* column : {&x1, &y1, &x2, &y2, &area})
      std::fill(column->get(), column->get() + room + kBlock, T(0));
  }

  void place(int64_t at, T left, T top, T right, T bottom) {
    x1[at] = left, y1[at] = top, x2[at] = right, y2[at] = bottom;
    area[at] = (right - left) * (bottom - top);
  }

  // The cluster with the largest IoU above the threshold, the first of equals; -1 where there is none.
  int64_t match(const T* box, double threshold) const {
    const T left = box[0], top = box[1], right = box[2], bottom = box[3], size = (right - left) * (bottom - top);
    const T bound = static_cast<T>(threshold * 0.9999);  // a cheap filter without a division; exact below
    const T *cx1 = x1.get(), *cy1 = y1.get(), *cx2 = x2.get(), *cy2 = y2.get(), *careas = area.get();
    double most = threshold;
    int64_t found = -1;
    for (int64_t base = 0; base < count; base += kBlock) {
      uint8_t hit[kBlock];
      for (int64_t k = 0; k < kBlock; ++k) {
        T width = std::min(right, cx2[base + k]) - std::max(left, cx1[base + k]);
        T height = std::min(bottom, cy2[base + k]) - std::max(top, cy1[base + k]);
        width = std::max(width, T(0)), height = std::max(height, T(0));
        const T inter = width * height;
        hit[k] = inter > bound * (size + careas[base + k] - inter);
      }
      for (int64_t eight = 0; eight < kBlock; eight += 8) {  // few hit: skip eight at a time
        uint64_t hits;
        std::memcpy(&hits, hit + eight, sizeof hits);
        if (!hits) continue;
        for (int64_t k = base + eight; k < std::min(base + eight + 8, count); ++k) {
          const T width = std::min(right, cx2[k]) - std::max(left, cx1[k]);
          const T height = std::min(bottom, cy2[k]) - std::max(top, cy1[k]);
          if (!(width > 0) || !(height > 0)) continue;
          const T inter = width * height;
          const double iou = static_cast<double>(inter / (size + careas[k] - inter));
          if (iou > most) most = iou, found = k;
        }
      }
    }
    return found;
  }
};

template <class T>
int64_t fuse(const T* boxes, const T* scores, const int64_t* models, const int64_t* order, int64_t begin, int64_t end,
             const double* weights, int64_t n_models, const WbfOptions& options, T* fused, T* fused_scores,
             int64_t* seeds) {
  Clusters<T> clusters(end - begin);
  const Buffer<int64_t> belongs(end - begin);
  for (int64_t k = begin; k < end; ++k) {
    const T* box = boxes + 4 * order[k];
    const double weight = weights[models[order[k]]], score = scores[order[k]] * weight;
    int64_t at = clusters.match(box, options.iou_threshold);
    if (at < 0) {
      at = clusters.count++;
      for (int side = 0; side < 4; ++side) clusters.sums[4 * at + side] = box[side] * score;
      clusters.total[at] = clusters.best[at] = score, clusters.weight[at] = weight, clusters.members[at] = 1;
      clusters.place(at, box[0], box[1], box[2], box[3]);
      seeds[at] = order[k];
    } else {
      double* sums = clusters.sums.get() + 4 * at;
      for (int side = 0; side < 4; ++side) sums[side] += box[side] * score;
      clusters.total[at] += score, clusters.weight[at] += weight, clusters.members[at] += 1;
      clusters.best[at] = std::max(clusters.best[at], score);
      const double total = clusters.total[at];
      if (total > 0)  // boxes of score 0 have no say, nor may they divide by it
        clusters.place(at, static_cast<T>(sums[0] / total), static_cast<T>(sums[1] / total),
                       static_cast<T>(sums[2] / total), static_cast<T>(sums[3] / total));
    }
    belongs[k - begin] = at;
  }
  // Weights of the models that contribute to each cluster, each model once.
  const Buffer<double> present(clusters.count);
  std::fill(present.get(), present.get() + clusters.count, 0.0);
  if (options.score_type == ScoreType::box_and_model_average) {
    const Buffer<int64_t> by_cluster(end - begin);  // (cluster, model) as one number
    for (int64_t k = begin; k < end; ++k) by_cluster[k - begin] = belongs[k - begin] * n_models + models[order[k]];
    std::sort(by_cluster.get(), by_cluster.get() + (end - begin));
    for (int64_t k = 0; k < end - begin; ++k)
      if (k == 0 || by_cluster[k] != by_cluster[k - 1])
        present[by_cluster[k] / n_models] += weights[by_cluster[k] % n_models];
  }
  double all = 0, largest = 0;
  for (int64_t m = 0; m < n_models; ++m) all += weights[m], largest = std::max(largest, weights[m]);
  for (int64_t at = 0; at < clusters.count; ++at) {
    const double members = static_cast<double>(clusters.members[at]), models_count = static_cast<double>(n_models);
    double score = 0;
    if (options.score_type == ScoreType::average)
      score = clusters.total[at] / all * (options.allows_overflow ? 1 : std::min(models_count, members) / members);
    if (options.score_type == ScoreType::maximum) score = clusters.best[at] / largest;
    if (options.score_type == ScoreType::box_and_model_average)
      score = clusters.total[at] / clusters.weight[at] * (present[at] / all);
    if (!options.allows_overflow) score = std::min(score, 1.0);
    fused_scores[at] = std::isfinite(score) ? static_cast<T>(score) : T(0);  // weights of 0 alone
    T* out = fused + 4 * at;
    out[0] = clusters.x1[at], out[1] = clusters.y1[at], out[2] = clusters.x2[at], out[3] = clusters.y2[at];
  }
  return clusters.count;
}

template <class T>
void rank(const T* scores, const int64_t* seeds, int64_t count, int64_t* order) {
  const Buffer<Ranked> ranked(count);
  for (int64_t k = 0; k < count; ++k) ranked[k] = {0, score_key(scores[k]), seeds[k], k};
  std::sort(ranked.get(), ranked.get() + count);
  for (int64_t k = 0; k < count; ++k) order[k] = ranked[k].index;
}

}  // namespace

int64_t wbf_plan_f32(const float* boxes, const float* scores, const int64_t* labels, const int64_t* models, int64_t n,
                     const double* weights, int64_t n_models, const WbfOptions& options, int64_t* order,
                     int64_t* starts) {
  return plan(boxes, scores, labels, models, n, weights, n_models, options, order, starts);
}

int64_t wbf_plan_f64(const double* boxes, const double* scores, const int64_t* labels, const int64_t* models, int64_t n,
                     const double* weights, int64_t n_models, const WbfOptions& options, int64_t* order,
                     int64_t* starts) {
  return plan(boxes, scores, labels, models, n, weights, n_models, options, order, starts);
}

int64_t wbf_fuse_f32(const float* boxes, const float* scores, const int64_t* models, const int64_t* order,
                     int64_t begin, int64_t end, const double* weights, int64_t n_models, const WbfOptions& options,
                     float* fused, float* fused_scores, int64_t* seeds) {
  return fuse(boxes, scores, models, order, begin, end, weights, n_models, options, fused, fused_scores, seeds);
}

int64_t wbf_fuse_f64(const double* boxes, const double* scores, const int64_t* models, const int64_t* order,
                     int64_t begin, int64_t end, const double* weights, int64_t n_models, const WbfOptions& options,
                     double* fused, double* fused_scores, int64_t* seeds) {
  return fuse(boxes, scores, models, order, begin, end, weights, n_models, options, fused, fused_scores, seeds);
}

void wbf_rank_f32(const float* scores, const int64_t* seeds, int64_t count, int64_t* order) {
  rank(scores, seeds, count, order);
}

void wbf_rank_f64(const double* scores, const int64_t* seeds, int64_t count, int64_t* order) {
  rank(scores, seeds, count, order);
}

}  // namespace PODIUM_ISA
}  // namespace podium
