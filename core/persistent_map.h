#pragma once
#include <atomic>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "core/hash.h"

namespace offerd {

struct StringKey {
  using Stored = std::string;
  using View = absl::string_view;
  static uint64_t Hash(View key, uint64_t round) { return StableHash(key, round); }
  static Stored Store(View key) { return std::string(key.data(), key.size()); }
};

struct NumberKey {
  using Stored = uint64_t;
  using View = uint64_t;
  static uint64_t Hash(View key, uint64_t round) { return MixHash(key, round); }
  static Stored Store(View key) { return key; }
};

// A map whose copy costs nothing and shares everything: the writer goes on changing its own, copies stay as they were. This
// is how a request reads customers while the learner updates them, and how a snapshot is written without stopping either.
//
// Source   Bagwell, EPFL 2001, "Ideal Hash Trees" (hash array mapped trie), with reference counts, so that nodes which no
//          copy shares are changed in place.
// Threads  One thread copies, changes and destroys; any number may read an instance that is not being changed.
// Cost     Find and Mutate O(log32 n); copy O(1); the first change of a path after a copy clones its nodes.
template <typename V, typename KeyTraits = StringKey>
class PersistentMap {
 public:
  using KeyView = typename KeyTraits::View;
  using Key = typename KeyTraits::Stored;

  PersistentMap() = default;
  PersistentMap(const PersistentMap& other) : root_(other.root_), size_(other.size_) { Ref(root_); }
  PersistentMap(PersistentMap&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PersistentMap& operator=(PersistentMap other) noexcept {
    std::swap(root_, other.root_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PersistentMap() { Unref(root_); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // nullptr when absent. Valid until this instance changes.
  const V* Find(KeyView key) const {
    Path path(key);
    const Node* node = root_;
    for (int level = 0; node != nullptr; ++level) {
      if (node->is_leaf) {
        const Leaf* leaf = static_cast<const Leaf*>(node);
        return leaf->key == key ? &leaf->value : nullptr;
      }
      const Branch* branch = static_cast<const Branch*>(node);
      const uint32_t bit = 1u << path.Step(level);
      node = (branch->bitmap & bit) != 0 ? branch->children()[branch->Position(bit)] : nullptr;
    }
    return nullptr;
  }

  // The value to change, made with V() when absent. Valid until the next call that is not const.
  V& Mutate(KeyView key) {
    Path path(key);
    Node** slot = &root_;
    for (int level = 0;; ++level) {
      if (*slot == nullptr) {
        Leaf* leaf = new Leaf(key);
        *slot = leaf;
        ++size_;
        return leaf->value;
      }
      if ((*slot)->is_leaf) {
        Leaf* leaf = static_cast<Leaf*>(*slot);
        if (leaf->key == key) return OwnLeaf(slot)->value;
        // Another key lives here: put a branch above it and go on in the branch.
        Branch* branch = NewBranch(1);
        branch->bitmap = 1u << Path(KeyView(leaf->key)).Step(level);
        branch->children()[0] = leaf;
        *slot = branch;
      }
      const uint32_t bit = 1u << path.Step(level);
      Branch* branch = OwnBranch(slot);
      if ((branch->bitmap & bit) == 0) branch = Widen(slot, bit);
      slot = &branch->children()[branch->Position(bit)];
    }
  }

  // False when absent.
  bool Erase(KeyView key) {
    if (Find(key) == nullptr) return false;
    EraseBelow(&root_, Path(key), 0);
    --size_;
    return true;
  }

  // In the order of the hash: the same on every machine, no order a person would know. visit(key, const V&).
  template <typename Visitor>
  void ForEach(Visitor&& visit) const {
    Walk(root_, visit);
  }

 private:
  struct Node {
    explicit Node(bool leaf) : is_leaf(leaf) {}
    std::atomic<uint32_t> references{1};
    const bool is_leaf;
  };
  struct Leaf : Node {
    explicit Leaf(KeyView k) : Node(true), key(KeyTraits::Store(k)) {}
    Leaf(const Leaf& other) : Node(true), key(other.key), value(other.value) {}
    Key key;
    V value{};
  };
  // Its children follow it in memory, one for each set bit, in the order of the bits.
  struct alignas(Node*) Branch : Node {
    Branch() : Node(false) {}
    uint32_t bitmap = 0;
    Node** children() { return reinterpret_cast<Node**>(this + 1); }
    Node* const* children() const { return reinterpret_cast<Node* const*>(this + 1); }
    int count() const { return __builtin_popcount(bitmap); }
    int Position(uint32_t bit) const { return __builtin_popcount(bitmap & (bit - 1)); }
  };
  static_assert(sizeof(Branch) % alignof(Node*) == 0);

  // The way of a key through the trie: 5 bits a level. After 12 levels the key is hashed again in another round, so that
  // keys which agree in all 64 bits still part.
  class Path {
   public:
    explicit Path(KeyView key) : key_(key), hash_(KeyTraits::Hash(key, 0)) {}
    uint32_t Step(int level) {
      const int round = level / 12;
      if (round != round_) {
        hash_ = KeyTraits::Hash(key_, static_cast<uint64_t>(round));
        round_ = round;
      }
      return static_cast<uint32_t>(hash_ >> (5 * (level % 12))) & 31u;
    }

   private:
    KeyView key_;
    uint64_t hash_;
    int round_ = 0;
  };

  static void Ref(Node* node) {
    if (node != nullptr) node->references.fetch_add(1, std::memory_order_relaxed);
  }
  static void Unref(Node* node) {
    if (node == nullptr || node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (node->is_leaf) {
      delete static_cast<Leaf*>(node);
      return;
    }
    Branch* branch = static_cast<Branch*>(node);
    for (int i = 0; i < branch->count(); ++i) Unref(branch->children()[i]);
    FreeBranch(branch);
  }
  static bool IsShared(const Node* node) { return node->references.load(std::memory_order_acquire) != 1; }
  static Branch* NewBranch(int count) {
    return new (::operator new(sizeof(Branch) + sizeof(Node*) * static_cast<size_t>(count))) Branch();
  }
  static void FreeBranch(Branch* branch) {
    branch->~Branch();
    ::operator delete(branch);
  }

  // Makes what *slot holds ours alone.
  static Leaf* OwnLeaf(Node** slot) {
    Leaf* leaf = static_cast<Leaf*>(*slot);
    if (!IsShared(leaf)) return leaf;
    Leaf* fresh = new Leaf(*leaf);
    Unref(leaf);
    *slot = fresh;
    return fresh;
  }
  static Branch* OwnBranch(Node** slot) {
    Branch* branch = static_cast<Branch*>(*slot);
    if (!IsShared(branch)) return branch;
    Branch* fresh = NewBranch(branch->count());
    fresh->bitmap = branch->bitmap;
    for (int i = 0; i < branch->count(); ++i) {
      fresh->children()[i] = branch->children()[i];
      Ref(fresh->children()[i]);
    }
    Unref(branch);
    *slot = fresh;
    return fresh;
  }
  // *slot is a branch of ours without `bit`: gives it an empty child there.
  static Branch* Widen(Node** slot, uint32_t bit) {
    Branch* branch = static_cast<Branch*>(*slot);
    const int count = branch->count();
    const int at = branch->Position(bit);
    Branch* wider = NewBranch(count + 1);
    wider->bitmap = branch->bitmap | bit;
    for (int i = 0; i < count; ++i) wider->children()[i < at ? i : i + 1] = branch->children()[i];
    wider->children()[at] = nullptr;
    FreeBranch(branch);
    *slot = wider;
    return wider;
  }
  // The key is there. Branches left without a child go away; a branch with one child stays, which costs a step, not truth.
  static void EraseBelow(Node** slot, Path path, int level) {
    if ((*slot)->is_leaf) {
      Unref(*slot);
      *slot = nullptr;
      return;
    }
    Branch* branch = OwnBranch(slot);
    const uint32_t bit = 1u << path.Step(level);
    const int at = branch->Position(bit);
    EraseBelow(&branch->children()[at], path, level + 1);
    if (branch->children()[at] != nullptr) return;
    const int count = branch->count();
    for (int i = at; i + 1 < count; ++i) branch->children()[i] = branch->children()[i + 1];
    branch->bitmap &= ~bit;
    if (branch->bitmap == 0) {
      FreeBranch(branch);
      *slot = nullptr;
    }
  }
  template <typename Visitor>
  static void Walk(const Node* node, Visitor&& visit) {
    if (node == nullptr) return;
    if (node->is_leaf) {
      const Leaf* leaf = static_cast<const Leaf*>(node);
      visit(KeyView(leaf->key), leaf->value);
      return;
    }
    const Branch* branch = static_cast<const Branch*>(node);
    for (int i = 0; i < branch->count(); ++i) Walk(branch->children()[i], visit);
  }

  Node* root_ = nullptr;
  size_t size_ = 0;
};

}  // namespace offerd
