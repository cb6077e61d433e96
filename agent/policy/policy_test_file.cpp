#include "policy/policy_test_file.h"

#include "policy/grant_loader.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;
using Word = std::string_view;

constexpr int64_t kNowNs = 1'767'225'600'000'000'000;  // a midnight: no window ends during a case
constexpr int64_t kTimesMax = 1'000'000;
constexpr size_t kTextBytesMax = 4096;

constexpr std::array<Word, 5> kFileKeys = {"cases", "policy", "description", "$schema", kCommentKey};
constexpr std::array<Word, 15> kCaseKeys = {"name",    "tool",        "args",   "method", "params",
                                            "message", "from_server", "client", "peer",   "annotations",
                                            "times",   "expect",      "rule",   "grant",  kCommentKey};
constexpr std::array<Word, 2> kClientKeys = {"name", "version"};
constexpr std::array<Word, 4> kPeerKeys = {"uid", "user", "exe", "cgroup"};
constexpr std::array<Word, 2> kGrantKeys = {"name", "labels"};
const KnownKeys kFile{"test", kFileKeys, {}}, kCase{"case", kCaseKeys, {}}, kClient{"client", kClientKeys, {}},
    kPeer{"peer", kPeerKeys, {}}, kGrant{"grant", kGrantKeys, {}};

constexpr std::array<std::pair<Word, TrialOutcome>, 5> kOutcomes = {{{"allow", TrialOutcome::allow},
                                                                     {"deny", TrialOutcome::deny},
                                                                     {"limit", TrialOutcome::limit},
                                                                     {"approval", TrialOutcome::approval},
                                                                     {"refuse", TrialOutcome::refuse}}};

class CaseLoader {
  public:
    CaseLoader(const JsonValue& value, const std::string& path, std::string_view text, ProblemList& problems)
        : reader_(value, path, kCase, problems), text_(text), value_(value) {}

    PolicyCase load() {
        call_.name = reader_.text("tool", kTextBytesMax).value_or("");
        call_.method = reader_.text("method", kTextBytesMax).value_or("tools/call");
        call_.arguments = raw("args", Kind::object);
        call_.params = raw("params", Kind::object);
        call_.message = raw("message", Kind::object);
        call_.annotations = raw("annotations", Kind::object);
        if (const JsonValue* from = reader_.member("from_server", Kind::boolean)) call_.from_server = from->boolean;
        if (!value_.find("tool") && !value_.find("method") && !value_.find("message")) {
            reader_.problem("", "names no call; add \"tool\", \"method\" or \"message\"");
        }
        load_client();
        load_peer();
        load_grant();
        PolicyCase made;
        made.name = reader_.text("name").value_or(call_.name.empty() ? call_.method : call_.name);
        made.times = reader_.integer("times", 1, kTimesMax).value_or(1);
        reader_.require("expect");
        made.expected = reader_.choice("expect", kOutcomes).value_or(TrialOutcome::allow);
        made.rule = reader_.text("rule").value_or("");
        made.call = std::move(call_);
        return made;
    }

  private:
    std::string raw(std::string_view key, Kind kind) const {
        const JsonValue* value = reader_.member(key, kind);
        return value ? std::string(text_.substr(value->offset, value->end - value->offset)) : std::string();
    }
    void load_client() {
        const JsonValue* value = reader_.member("client", Kind::object);
        if (!value) return;
        const ObjectReader client(*value, reader_.path_of("client"), kClient, reader_.problems());
        call_.client_name = client.text("name").value_or("");
        call_.client_version = client.text("version").value_or("");
    }
    void load_peer() {
        const JsonValue* value = reader_.member("peer", Kind::object);
        if (!value) return;
        const ObjectReader peer(*value, reader_.path_of("peer"), kPeer, reader_.problems());
        ProcessFacts& process = call_.peer.process;
        process.pid = 1;  // known
        process.uid = static_cast<uid_t>(peer.integer("uid", 0, UINT32_MAX).value_or(0));
        process.user = peer.text("user").value_or("");
        process.exe = peer.text("exe").value_or("");
        process.cgroup = peer.text("cgroup").value_or("");
    }

    void load_grant() {
        const JsonValue* value = reader_.member("grant", Kind::object);
        if (!value) return;
        const ObjectReader reader(*value, reader_.path_of("grant"), kGrant, reader_.problems());
        Grant& grant = call_.named_grant.emplace();
        reader.require("name");
        grant.name = reader.text("name").value_or("");
        const JsonValue* labels = reader.member("labels", Kind::object);
        if (labels) grant.labels = load_labels(*labels, reader.path_of("labels"), reader_.problems());
    }

    const ObjectReader reader_;
    std::string_view text_;
    const JsonValue& value_;
    TrialCall call_;
};

std::string said(TrialOutcome outcome, const Message& message, const Verdict& verdict) {
    std::string out(name(outcome));
    if (outcome == TrialOutcome::refuse) return out + " (" + std::string(name(message.refusal)) + ")";
    if (verdict.action == Action::deny) out += " by " + std::string(verdict.rule);
    return out;
}

}  // namespace

PolicyTestFile PolicyTestFile::parse(std::string_view text, std::string_view file, std::vector<PolicyProblem>& problems) {
    PolicyTestFile made;
    ProblemList found, places;
    if (const std::optional<JsonValue> root = parse_json(text, found); root && expect(Kind::object, *root, "", found)) {
        const ObjectReader reader(*root, "", kFile, found);
        made.policy = reader.text("policy").value_or("");
        reader.require("cases");
        if (const JsonValue* cases = reader.member("cases", Kind::array)) {
            if (cases->items.empty()) reader.problem("cases", "is empty; a test that tests nothing is none");
            each_object(*cases, "/cases", found, [&](const JsonValue& item, const std::string& path) {
                made.cases.push_back(CaseLoader(item, path, text, found).load());
                std::vector<PolicyProblem> place;
                places.add(item.offset, path, "");
                places.report(text, file, place);
                made.cases.back().place = place.front();
            });
        }
    }
    if (!found.empty()) found.report(text, file, problems);
    return made;
}

std::string run_case(const PolicyCase& test, const Policy& policy) {
    const Trial trial(test.call);
    CounterTable counters;
    Verdict verdict;
    for (int64_t i = 1; i <= test.times; ++i) {
        trial.judge(policy, kNowNs, counters, verdict);
        const TrialOutcome outcome = outcome_of(trial.message(), verdict);
        const bool last = i == test.times;
        const bool as_expected = outcome == (last ? test.expected : TrialOutcome::allow);
        if (!as_expected || (last && !test.rule.empty() && verdict.rule != test.rule)) {
            std::string expected(name(last ? test.expected : TrialOutcome::allow));
            if (last && !test.rule.empty()) expected += " by " + test.rule;
            const std::string when = test.times > 1 ? "call " + std::to_string(i) + ": " : "";
            return when + "expected " + expected + ", got " + said(outcome, trial.message(), verdict);
        }
    }
    return "";
}

}  // namespace callgate
