#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "offerd/v1/offer_service.pb.h"
#include "store/memory_kv.h"
#include "store/rocks_kv.h"
#include "store/store.h"
#include "tests/support/fault_kv.h"
#include "tests/support/status_matchers.h"

// What the tests of store/ share.
namespace offerd {

// A directory of its own, gone at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "offerd_store_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(absl::string_view name = "") const { return name.empty() ? path_ : absl::StrCat(path_, "/", name); }

 private:
  std::string path_;
};

// Two kinds of disk with the same face: typed tests run over both.
class MemoryDisk {
 public:
  std::unique_ptr<Kv> Mount() { return disk_.Mount(); }

 private:
  FaultDisk disk_;
};

class RocksDisk {
 public:
  std::unique_ptr<Kv> Mount() {
    RocksKvOptions options;
    options.min_free_bytes = 0;
    absl::StatusOr<std::unique_ptr<Kv>> kv = OpenRocksKv(directory_.path("store"), options);
    CHECK(kv.ok());
    return *std::move(kv);
  }

 private:
  TemporaryDirectory directory_;
};

// Bits of a stored value change while the store is not looking.
inline void Corrupt(Kv& kv, Family family, absl::string_view key, size_t position) {
  absl::StatusOr<std::optional<std::string>> value = kv.Read(family, key);
  ASSERT_OK(value);
  ASSERT_TRUE(value->has_value());
  ASSERT_LT(position, (*value)->size());
  (**value)[position] = static_cast<char>((**value)[position] ^ 0x10);
  KvBatch batch;
  batch.Put(family, key, **value);
  ASSERT_OK(kv.Write(batch, true));
}

using LogRecord = v1::stored::LogRecord;

inline LogRecord EventRecord(Sequence sequence, absl::string_view event_id, absl::string_view customer_id = "",
                             v1::Fate fate = v1::APPLIED) {
  LogRecord record;
  record.set_sequence(sequence);
  record.set_time_micros(static_cast<int64_t>(sequence) * 1000);
  v1::Event& event = *record.mutable_event()->mutable_event();
  event.set_event_id(std::string(event_id));
  event.set_kind(v1::CLICK);
  event.set_customer_id(std::string(customer_id));
  event.set_order_id("order");
  record.mutable_event()->set_fate(fate);
  record.mutable_event()->set_time_micros(static_cast<int64_t>(sequence) * 900);
  return record;
}

inline LogRecord DecisionRecord(Sequence sequence, absl::string_view decision_id, absl::string_view customer_id = "") {
  LogRecord record;
  record.set_sequence(sequence);
  record.set_time_micros(static_cast<int64_t>(sequence) * 1000);
  v1::stored::Decision& decision = *record.mutable_decision();
  decision.set_decision_id(std::string(decision_id));
  decision.set_customer_id(std::string(customer_id));
  v1::RankOffersRequest request;
  request.set_placement("home");
  request.set_customer_id(std::string(customer_id));
  request.add_context()->set_name("evening");
  decision.set_request(request.SerializeAsString());
  return record;
}

inline absl::Status AppendOne(Store& store, const LogRecord& record, bool sync = true) {
  const LogRecord* pointer = &record;
  return store.Append({&pointer, 1}, sync);
}

// Events "e<sequence>", until the log ends at `last`.
inline void FillLog(Store& store, Sequence last) {
  std::vector<LogRecord> records;
  for (Sequence sequence = store.last_sequence() + 1; sequence <= last; ++sequence) {
    records.push_back(EventRecord(sequence, absl::StrCat("e", sequence), absl::StrCat("c", sequence % 3)));
  }
  std::vector<const LogRecord*> pointers;
  for (const LogRecord& record : records) pointers.push_back(&record);
  ASSERT_OK(store.Append(pointers, true));
}

inline std::vector<Sequence> SequencesOf(const Store& store) {
  std::vector<Sequence> sequences;
  EXPECT_OK(store.ReadLog(store.first_sequence(), UINT64_MAX, [&](const LogRecord& record) {
    sequences.push_back(record.sequence());
    return absl::OkStatus();
  }));
  return sequences;
}

inline std::vector<Sequence> BasesOf(const Store& store) {
  std::vector<Sequence> sequences;
  for (const BaseInfo& base : store.ListBases()) sequences.push_back(base.manifest.sequence());
  return sequences;
}

// A header, then `count` records of changing kinds.
inline std::vector<v1::stored::BaseRecord> BaseRecords(Sequence sequence, int count) {
  std::vector<v1::stored::BaseRecord> records(1);
  records[0].mutable_header()->set_sequence(sequence);
  for (int i = 0; i < count; ++i) {
    v1::stored::BaseRecord& record = records.emplace_back();
    switch (i % 5) {
      case 0:
        record.mutable_item()->mutable_item()->set_item_id(absl::StrCat("item", i));
        break;
      case 1:
        record.mutable_customer()->mutable_customer()->set_customer_id(absl::StrCat("customer", i));
        break;
      case 2:
        record.mutable_policy()->set_gram(std::string(static_cast<size_t>(i % 100), 'g'));
        break;
      case 3:
        record.mutable_name()->set_name(absl::StrCat("name", i));
        break;
      default:
        record.mutable_open_decision()->set_decision_id(absl::StrCat("decision", i));
        break;
    }
  }
  return records;
}

inline absl::Status WriteBase(Store& store, Sequence sequence, int count = 10) {
  absl::StatusOr<std::unique_ptr<Store::BaseWriter>> writer = store.BeginBase(sequence, 77);
  if (!writer.ok()) return writer.status();
  for (const v1::stored::BaseRecord& record : BaseRecords(sequence, count)) {
    const absl::Status status = (*writer)->Add(record);
    if (!status.ok()) return status;
  }
  return (*writer)->Finish().status();
}

inline absl::Status WriteSoundBase(Store& store, Sequence sequence, int count = 10) {
  const absl::Status status = WriteBase(store, sequence, count);
  return status.ok() ? store.VerifyBase(sequence) : status;
}

MATCHER_P(EqualsProto, expected, "") {
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  const bool is_equal = differencer.Compare(expected, arg);
  *result_listener << report;
  return is_equal;
}

}  // namespace offerd
