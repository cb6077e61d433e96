// KeptCounters: a CounterTable whose counters are in STATE_DIRECTORY/counters and outlive the agent.
//
// Opening fills the table with what an earlier agent left; from then on every change is in the file before the call that
// it belongs to goes on. What the file lost or cannot take is in figures_json().
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "policy/counter_file.h"
#include "policy/counter_turns.h"

namespace callgate {

class KeptCounters {
  public:
    // `table` is empty, and does not outlive this. `remark`: of a damaged file, for the audit log; else empty.
    static Result<std::unique_ptr<KeptCounters>> open(const std::string& state_directory, CounterTable& table,
                                                      std::string& remark);

    Trouble& trouble() { return file_->trouble(); }
    nlohmann::json figures_json() const;  // {"file","restored","damaged","unsaved"}

  private:
    KeptCounters(std::unique_ptr<CounterFile> file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
    std::unique_ptr<CounterFile> file_;
    CounterTurns turns_{*file_};
    std::string path_;
    uint64_t restored_ = 0;
};

// Where the counters of a state directory are.
std::string counter_file_path(const std::string& state_directory);
// Resets the counters of these names (counter_listing.h), or all of them. How many there were.
size_t reset_counters(CounterTable& table, const std::vector<std::string>& names, bool all);

}  // namespace callgate
