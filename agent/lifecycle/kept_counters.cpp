#include "lifecycle/kept_counters.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "policy/counter_listing.h"

namespace callgate {

std::string counter_file_path(const std::string& state_directory) {
    return state_directory + (state_directory.ends_with('/') ? "counters" : "/counters");
}

Result<std::unique_ptr<KeptCounters>> KeptCounters::open(const std::string& state_directory, CounterTable& table,
                                                         std::string& remark) {
    const std::string path = counter_file_path(state_directory);
    std::unique_ptr<CounterFile> file = TRY(CounterFile::open(path, remark));
    std::unique_ptr<KeptCounters> kept(new KeptCounters(std::move(file), path));
    const int64_t now_ns = realtime_ns();
    kept->file_->each([&](uint32_t cell, std::string_view key, const CounterImage& image) {
        kept->restored_ += table.restore(cell, key, image, now_ns);
    });
    if (remark.empty() && kept->file_->damaged() > 0) {
        remark = path + ": " + std::to_string(kept->file_->damaged()) + " damaged counters begin anew";
    }
    table.keep_in(kept->turns_);
    return kept;
}

nlohmann::json KeptCounters::figures_json() const {
    return {{"file", path_}, {"restored", restored_}, {"damaged", file_->damaged()}, {"unsaved", file_->unsaved()}};
}

size_t reset_counters(CounterTable& table, const std::vector<std::string>& names, bool all) {
    return table.reset(
        [&](std::string_view key) { return all || std::find(names.begin(), names.end(), counter_name(key)) != names.end(); });
}

}  // namespace callgate
