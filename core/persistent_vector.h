#pragma once
#include <array>
#include <cstddef>
#include <memory>

namespace offerd {

// A vector that grows at its end and whose copy costs nothing: see PersistentMap. A tree of blocks of 32.
//
// Threads  One thread copies, changes and destroys; any number may read an instance that is not being changed.
// Cost     at and Mutate O(log32 n); copy O(1); the first change of a block after a copy clones it and the blocks above.
template <typename T>
class PersistentVector {
 public:
  size_t size() const { return size_; }

  // index < size().
  const T& operator[](size_t index) const {
    const void* node = root_.get();
    for (int shift = shift_; shift > 0 && node != nullptr; shift -= kBits) {
      node = static_cast<const Inner*>(node)->children[(index >> shift) & kMask].get();
    }
    if (node == nullptr) return Untouched();  // the vector grew past a block that nobody has changed yet
    return static_cast<const Block*>(node)->values[index & kMask];
  }
  // nullptr when out of range.
  const T* Find(size_t index) const { return index < size_ ? &(*this)[index] : nullptr; }

  // The value at `index` to change; the vector grows with T() until it is there.
  T& Mutate(size_t index) {
    if (root_ == nullptr) root_ = std::make_shared<Block>();
    while ((index >> shift_) >= kWidth) {
      auto above = std::make_shared<Inner>();
      above->children[0] = std::move(root_);
      root_ = std::move(above);
      shift_ += kBits;
    }
    if (index >= size_) size_ = index + 1;
    std::shared_ptr<void>* slot = &root_;
    for (int shift = shift_; shift > 0; shift -= kBits) {
      Inner& inner = Own<Inner>(*slot);
      slot = &inner.children[(index >> shift) & kMask];
    }
    return Own<Block>(*slot).values[index & kMask];
  }

 private:
  static constexpr int kBits = 5;
  static constexpr size_t kWidth = size_t{1} << kBits;
  static constexpr size_t kMask = kWidth - 1;
  struct Block {
    std::array<T, kWidth> values{};
  };
  struct Inner {
    std::array<std::shared_ptr<void>, kWidth> children{};
  };

  static const T& Untouched() {
    static const T& value = *new T();
    return value;
  }
  template <typename Node>
  static Node& Own(std::shared_ptr<void>& slot) {
    if (slot == nullptr) {
      slot = std::make_shared<Node>();
    } else if (slot.use_count() != 1) {
      slot = std::make_shared<Node>(*static_cast<const Node*>(slot.get()));
    }
    return *static_cast<Node*>(slot.get());
  }

  std::shared_ptr<void> root_;
  int shift_ = 0;
  size_t size_ = 0;
};

}  // namespace offerd
