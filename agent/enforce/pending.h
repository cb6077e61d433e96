// PendingTable: the client's requests that the server has not answered yet, by normalised id.
//
// A duplicate id in flight is kept beside the first (servers execute both, PROTOCOL); the oldest is answered first. Which
// of the two an answer is for cannot be known: both are marked, what they were charged is not given back, and both are in
// flight until both are answered.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "audit/log.h"
#include "enforce/gate_state.h"
#include "policy/counters.h"

namespace callgate {

struct PendingRequest {
    RecordId record;
    std::string method;  // empty for tools/call, the most frequent
    std::string tool;
    int64_t forwarded_ns = 0;  // monotonic
    std::vector<CounterUse> charged;
    uint64_t exchange = 0;   // HTTP: of the response that its answer is expected in; 0: none in particular
    bool shares_id = false;  // with another one that was in flight at the same time
    std::string_view method_name() const { return method.empty() ? std::string_view("tools/call") : method; }
};

class PendingTable {
  public:
    PendingTable() = default;
    ~PendingTable() { end_of_session(); }
    PendingTable(const PendingTable&) = delete;
    PendingTable& operator=(const PendingTable&) = delete;

    // Where its requests were charged; they are taken out of flight there when their session ends.
    void charged_to(CounterTable& counters) { counters_ = &counters; }
    // Nothing is in flight any more, though the server may still answer.
    void end_of_session();
    // What is still there is never answered: the session is over for the server too.
    void never_answered();
    // The client has cancelled the request with this id: the only one, for of several nobody knows which. An answer may still
    // come.
    void cancel(std::string_view id_key);
    // Something has come that nobody could read, and may have been the answer to any of them: they are not unanswered now.
    void maybe_answered();
    bool full() const;
    void add(std::string_view id_key, PendingRequest request);
    // Moves the oldest request with this id into `out`; false where there is none.
    bool take(std::string_view id_key, PendingRequest& out);
    // The same among the requests of one exchange.
    bool take(std::string_view id_key, uint64_t exchange, PendingRequest& out);
    size_t size() const { return size_; }
    // A request for a list of tools is in flight: with this id, or where that is empty with any.
    bool has_list(std::string_view id_key) const;
    // The id of the only one that is in flight; empty where there are none or several.
    std::string only_list() const;
    // What the server answers under this id, or where that is empty under some id, may be a list: one was asked for, or it
    // answers what was asked before we were there.
    bool may_be_list(std::string_view id_key) const;

    std::vector<PendingState> save() const;
    // The same, and nothing is left in it: another agent goes on with them.
    std::vector<PendingState> leave();
    // Notes of every change from now on, for take_notes(): what is added as a note_of(), what is taken as a note_of_taken().
    void make_notes() { makes_notes_ = true; }
    bool makes_notes() const { return makes_notes_; }
    // False where they do not say everything: save() does.
    bool take_notes(std::string& notes);
    // Of another table; what was charged is found again in the counters.
    void restore(std::vector<PendingState> requests, int64_t now_ns);

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    // Those of one id by their age: a client may use one for all that it asks.
    using ByAge = std::multimap<int64_t, PendingRequest>;
    using Requests = std::unordered_map<std::string, ByAge, Hash, std::equal_to<>>;
    template <typename Fits>
    bool take_oldest(std::string_view id_key, const Fits& fits, PendingRequest& out);
    void insert(std::string_view id_key, PendingRequest request);
    void leave_in_flight(ByAge& others, PendingRequest& answered);
    Requests requests_;
    size_t size_ = 0, lists_ = 0;
    bool may_return_ = false;  // a request may be there that returns what it was charged where it is not answered
    CounterTable* counters_ = nullptr;
    PendingState state_of(std::string_view id_key, const PendingRequest& request) const;
    bool makes_notes_ = false, notes_suffice_ = true;
    std::string notes_;
    std::set<std::string, std::less<>> names_;  // of counters, as restored uses refer to them
};

}  // namespace callgate
