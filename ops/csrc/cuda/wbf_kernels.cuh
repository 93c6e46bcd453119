// Weighted box fusion (arXiv 1910.13302): a thread block for each label takes its boxes one after the other, and its
// threads share the search for the cluster that fits.
#pragma once

#include "iou.cuh"
#include "launch.cuh"
#include "ranking_kernels.cuh"

namespace podium::cuda {

constexpr int kFuseThreads = 256;

struct WbfRule {
  double iou_threshold, skip_score;
  int score_type;  // 0 average, 1 maximum, 2 average over boxes times the share of the models' weights
  bool allows_overflow;
  int64_t n_models;

  __host__ __device__ int64_t model_words() const { return score_type == 2 ? (n_models + 63) / 64 : 0; }
};

template <class T>
struct WbfInputs {
  const T *boxes, *scores;
  const int64_t *labels, *models;
  const double* weights;
  int64_t n;
};

// A cluster's box, and what its sums are made of.
template <class T>
struct Cluster {
  Box<T> box;
  double sums[4];  // coordinates times weighted scores
  double total, weight, best;  // of weighted scores, weights; the largest weighted score
  int64_t members, seed;       // seed: the first box
};

template <class T>
struct WbfBuffers {
  int64_t* cluster_count;      // of all labels
  int* segment_count;
  int64_t zeroed;              // bytes up to here start as zero
  int64_t *segments, *items;   // first places of the labels; the boxes, by label and weighted score, -1 for none
  Cluster<T>* clusters;        // of each label, from its first place on
  unsigned long long* present;  // models in each cluster, as bits
  Box<T>* fused;               // by seed
  int64_t size;

  WbfBuffers(int64_t n, const WbfRule& rule, void* memory) {
    const uintptr_t base = reinterpret_cast<uintptr_t>(memory);
    int64_t used = 0;
    const auto cut = [&](auto*& pointer, int64_t count) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used += (count * int64_t(sizeof *pointer) + 255) / 256 * 256;
    };
    cut(cluster_count, 1);
    cut(segment_count, 1);
    zeroed = used;
    cut(segments, n);
    cut(items, n);
    cut(clusters, n);
    cut(present, n * rule.model_words());
    cut(fused, n);
    size = used;
  }
};

// Weighted scores to sort by. Boxes that take no part are told apart by wbf_takes.
template <class T>
__global__ void wbf_keys_kernel(WbfInputs<T> in, int64_t n_models, double* keys) {
  const int64_t i = thread_index();
  if (i >= in.n) return;
  const int64_t model = in.models[i];
  double key = -INFINITY;
  if (model >= 0 && model < n_models) key = double(in.scores[i]) * in.weights[model];
  keys[i] = isnan(key) ? -INFINITY : key + 0.0;
}

template <class T>
__device__ inline bool wbf_takes(const WbfInputs<T>& in, int64_t i, const WbfRule& rule) {
  if (in.models[i] < 0 || in.models[i] >= rule.n_models || !(double(in.scores[i]) >= rule.skip_score)) return false;
  const Box<T> box = Box<T>::load(in.boxes + 4 * i);
  return (box.x2 - box.x1) * (box.y2 - box.y1) > T(0) && !(box.x2 < box.x1);
}

// order: boxes by score; ranks: places in it by label, and sorted: the labels so.
template <class T>
__global__ void wbf_arrange_kernel(WbfInputs<T> in, WbfRule rule, const int64_t* order, const int64_t* ranks,
                                   const int64_t* sorted, WbfBuffers<T> to, T* scores) {
  const int64_t place = thread_index();
  if (place >= in.n) return;
  const int64_t item = order[ranks[place]];
  to.items[place] = wbf_takes(in, item, rule) ? item : -1;
  if (place == 0 || sorted[place - 1] != sorted[place]) to.segments[atomicAdd(to.segment_count, 1)] = place;
  scores[place] = T(-INFINITY);  // where no cluster has its seed
}

template <class T>
__device__ T cluster_score(const Cluster<T>& cluster, const WbfRule& rule, const double* weights, double all,
                           double largest, const unsigned long long* present) {
  const double members = double(cluster.members), models = double(rule.n_models);
  double score = 0;
  if (rule.score_type == 0)
    score = cluster.total / all * (rule.allows_overflow ? 1.0 : smaller(models, members) / members);
  if (rule.score_type == 1) score = cluster.best / largest;
  if (rule.score_type == 2) {
    double weight = 0;
    for (int64_t model = 0; model < rule.n_models; ++model)
      if (present[model / 64] >> (model % 64) & 1) weight += weights[model];
    score = cluster.total / cluster.weight * (weight / all);
  }
  if (!rule.allows_overflow) score = smaller(score, 1.0);
  return isfinite(score) ? T(score) + T(0) : T(0);  // not finite with weights of 0 alone
}

// Fuses the boxes of a label after the other; scores and data.fused by seed.
template <class T>
__global__ void __launch_bounds__(kFuseThreads)
    wbf_fuse_kernel(WbfInputs<T> in, WbfRule rule, T threshold, const int64_t* sorted, WbfBuffers<T> data, T* scores) {
  __shared__ Best<T> room[kFuseThreads / 32];
  const int thread = threadIdx.x;
  const int64_t words = rule.model_words();
  double all = 0, largest = 0;
  for (int64_t model = 0; model < rule.n_models; ++model)
    all += in.weights[model], largest = larger(largest, in.weights[model]);
  for (int segment = blockIdx.x; segment < *data.segment_count; segment += gridDim.x) {
    const int64_t first = data.segments[segment], label = sorted[first];
    Cluster<T>* clusters = data.clusters + first;
    int64_t count = 0;
    for (int64_t place = first; place < in.n && sorted[place] == label; ++place) {
      const int64_t item = data.items[place];
      if (item < 0) continue;  // for all threads alike
      const Box<T> box = Box<T>::load(in.boxes + 4 * item);
      const T size = (box.x2 - box.x1) * (box.y2 - box.y1);
      // The cluster with the largest IoU above the threshold, the first of equals.
      Best<T> best{threshold, -1};
      for (int64_t i = thread; i < count; i += kFuseThreads) {
        const Box<T> other = clusters[i].box;
        const T width = smaller(box.x2, other.x2) - larger(box.x1, other.x1);
        const T height = smaller(box.y2, other.y2) - larger(box.y1, other.y1);
        if (!(width > T(0)) || !(height > T(0))) continue;
        const T inter = width * height, area = (other.x2 - other.x1) * (other.y2 - other.y1);
        const T iou = inter / (size + area - inter);
        if (iou > best.value) best = {iou, i};
      }
      best = best_of_block<T, kFuseThreads>(best, room);
      const int64_t at = best.at < 0 ? count++ : best.at;
      unsigned long long* present = data.present + (first + at) * words;
      if (best.at < 0) {
        for (int64_t word = thread; word < words; word += kFuseThreads) present[word] = 0;
        __syncthreads();
      }
      if (thread == 0) {
        const int64_t model = in.models[item];
        const double weight = in.weights[model], score = double(in.scores[item]) * weight;
        Cluster<T> cluster = clusters[at];
        if (best.at < 0) cluster = {box, {0, 0, 0, 0}, 0, 0, score, 0, item};
        const T sides[4] = {box.x1, box.y1, box.x2, box.y2};
        for (int side = 0; side < 4; ++side) cluster.sums[side] += double(sides[side]) * score;
        cluster.total += score, cluster.weight += weight, cluster.members += 1;
        cluster.best = larger(cluster.best, score);
        const double total = cluster.total;
        if (best.at >= 0 && total > 0)  // boxes of score 0 have no say, nor may they divide by it
          cluster.box = {T(cluster.sums[0] / total), T(cluster.sums[1] / total), T(cluster.sums[2] / total),
                         T(cluster.sums[3] / total)};
        clusters[at] = cluster;
        if (words > 0) present[model / 64] |= 1ull << (model % 64);
      }
      __syncthreads();
    }
    for (int64_t i = thread; i < count; i += kFuseThreads) {
      const Cluster<T> cluster = clusters[i];
      data.fused[cluster.seed] = cluster.box;
      scores[cluster.seed] =
          cluster_score(cluster, rule, in.weights, all, largest, data.present + (first + i) * words);
    }
    if (thread == 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(data.cluster_count), static_cast<unsigned long long>(count));
    __syncthreads();
  }
}

// The first `count` clusters by score: by_score are seeds, scores their sorted scores.
template <class T>
__global__ void wbf_collect_kernel(const int64_t* by_score, const Box<T>* fused, const int64_t* labels, int64_t count,
                                   T* boxes, int64_t* out_labels) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Box<T> box = fused[by_score[i]];
  boxes[4 * i] = box.x1, boxes[4 * i + 1] = box.y1, boxes[4 * i + 2] = box.x2, boxes[4 * i + 3] = box.y2;
  out_labels[i] = labels[by_score[i]];
}

template <class T>
void wbf_keys(const WbfInputs<T>& in, int64_t n_models, double* keys, cudaStream_t stream) {
  launch(wbf_keys_kernel<T>, grid_of(blocks_for(in.n)), kThreads, stream, in, n_models, keys);
}

// For n > 0 boxes: scores (n) of the clusters by seed, -infinity elsewhere; data.cluster_count and data.fused.
template <class T>
void wbf_fuse(const WbfInputs<T>& in, const WbfRule& rule, const int64_t* order, const int64_t* ranks,
              const int64_t* sorted, void* workspace, T* scores, cudaStream_t stream) {
  const WbfBuffers<T> data(in.n, rule, workspace);
  check(cudaMemsetAsync(workspace, 0, size_t(data.zeroed), stream), "memset");
  launch(wbf_arrange_kernel<T>, grid_of(blocks_for(in.n)), kThreads, stream, in, rule, order, ranks, sorted, data, scores);
  launch(wbf_fuse_kernel<T>, grid_of(std::min<int64_t>(in.n, 512)), kFuseThreads, stream, in, rule,
         threshold_of<T>(rule.iou_threshold), sorted, data, scores);
}

template <class T>
void wbf_collect(const int64_t* by_score, const Box<T>* fused, const int64_t* labels, int64_t count, T* boxes,
                 int64_t* out_labels, cudaStream_t stream) {
  if (count > 0)
    launch(wbf_collect_kernel<T>, grid_of(blocks_for(count)), kThreads, stream, by_score, fused, labels, count, boxes,
           out_labels);
}

}  // namespace podium::cuda
