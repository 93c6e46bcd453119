// Uninitialised scratch memory for kernels.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

namespace podium {
#ifdef PODIUM_ISA
namespace PODIUM_ISA {
#endif

// Named after the instruction set, unlike std::vector: a standard template that was compiled for AVX-512 could be the
// copy that the linker keeps, and would then run on a processor without it.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count) : data_(static_cast<T*>(std::malloc(count > 0 ? count * sizeof(T) : 1))) {
    if (!data_) throw std::bad_alloc();
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() const { return data_; }
  T& operator[](int64_t index) const { return data_[index]; }

 private:
  T* data_;
};

#ifdef PODIUM_ISA
}  // namespace PODIUM_ISA
#endif
}  // namespace podium
