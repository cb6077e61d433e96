// Runs a fuzz target without a fuzzer:  fuzz_<name>_replay <mutations> <seed directory or .jsonl corpus> …
//
// First every seed as it is, then that many mutations of them: each is a function of its number alone, so a
// failure can be repeated; it prints its input.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "pieces.h"
#include "property.h"

namespace {

constexpr size_t kSeedBytesMax = 8192;

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string bytes_of(const nlohmann::json& text) {
    std::string bytes;
    const std::string utf8 = text;
    for (size_t i = 0; i < utf8.size(); ++i) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        bytes.push_back(lead < 0x80 ? utf8[i] : static_cast<char>((lead & 3) << 6 | (utf8.at(++i) & 0x3f)));
    }
    return bytes;
}

void add_corpus(const std::filesystem::path& path, std::vector<std::string>& seeds) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const nlohmann::json input = nlohmann::json::parse(line)["input"];
        if (input.is_string()) seeds.push_back(bytes_of(input));
    }
}

std::vector<std::string> read_seeds(int count, char** paths) {
    std::vector<std::string> seeds;
    for (int i = 0; i < count; ++i) {
        if (!std::filesystem::is_directory(paths[i])) {
            add_corpus(paths[i], seeds);
            continue;
        }
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(paths[i])) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& file : files) seeds.push_back(read_file(file));
    }
    return seeds;
}

class Mutator {
  public:
    Mutator(const std::vector<std::string>& seeds, uint64_t number) : seeds_(seeds), random_(number) {}

    std::string make() {
        std::string text = seeds_[below(seeds_.size())];
        for (size_t steps = 1 + below(4); steps > 0; --steps) step(text);
        if (text.size() > kSeedBytesMax) text.resize(kSeedBytesMax);
        return text;
    }

  private:
    size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

    void step(std::string& text) {
        const size_t at = below(text.size() + 1);
        switch (below(6)) {
            case 0: text.insert(at, kPieces[below(kPieces.size())]); break;
            case 1:
                if (at < text.size()) text[at] = static_cast<char>(random_());
                break;
            case 2: text.erase(at, 1 + below(8)); break;
            case 3: text.insert(at, text.substr(below(text.size() + 1), 1 + below(40))); break;
            case 4: {
                const std::string& other = seeds_[below(seeds_.size())];
                text = text.substr(0, at) + other.substr(below(other.size() + 1));
                break;
            }
            default: text.insert(at, std::string(1 + below(80), ' ')); break;
        }
    }

    const std::vector<std::string>& seeds_;
    std::mt19937_64 random_;
};

// What to look at when a property does not hold.
std::string current_input;

void print_input(int) {
    std::fprintf(stderr, "input (%zu bytes):\n%s\n", current_input.size(),
                 nlohmann::json(current_input).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
}

void run(const std::string& input) {
    current_input = input;
    // An exact copy on the heap, so that a sanitizer sees a read past its end.
    const std::vector<uint8_t> bytes(input.begin(), input.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s <mutations> <seeds>...\n", argv[0]);
        return 2;
    }
    const std::vector<std::string> seeds = read_seeds(argc - 2, argv + 2);
    if (seeds.empty()) {
        std::fprintf(stderr, "no seeds\n");
        return 2;
    }
    std::signal(SIGABRT, print_input);
    const uint64_t mutations = std::strtoull(argv[1], nullptr, 10);
    for (const std::string& seed : seeds) run(seed);
    for (uint64_t number = 0; number < mutations; ++number) run(Mutator(seeds, number).make());
    std::printf("%zu seeds, %llu mutations\n", seeds.size(), static_cast<unsigned long long>(mutations));
    return 0;
}
