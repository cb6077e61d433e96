// Property: whatever another process has left in a ledger's memory, opening it ends in an error or in a ledger all of whose views
// can be read, and which takes bytes and gives them back.
// The input is what is written into the head of a ledger that was in use: places (2 bytes) and values (8 bytes), in turn.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "base/outbox.h"
#include "io/ledger.h"
#include "property.h"

namespace {

using callgate::Fd;
using callgate::Ledger;
using callgate::Outbox;

constexpr size_t kHeadBytes = 1536;
constexpr size_t kPokeBytes = 10;

// One session with something everywhere: read, written in part, with a line that has begun.
std::unique_ptr<Ledger> used_ledger() {
    auto made = Ledger::create();
    hold(made.ok(), "ledger", "there is none");
    std::unique_ptr<Ledger> ledger = std::move(made).value();
    (void)ledger->write_facts("facts");
    for (const Ledger::Flow flow : {Ledger::kToServer, Ledger::kToClient}) (void)ledger->add(flow, "line\nbegun");
    Outbox to_server, to_client;
    to_server.append("to the server\n");
    to_client.append("to the client\n");
    Ledger::Turn turn;
    turn.line_begun = {5, 5};
    turn.output = {&to_server, &to_client};
    turn.state = "state";
    turn.notes = "notes";
    hold(ledger->commit(turn), "ledger", "has no room for a line");
    (void)ledger->add(Ledger::kToServer, "unseen");
    return ledger;
}

size_t sum_of(std::string_view bytes) {
    size_t sum = bytes.size();
    for (const unsigned char byte : bytes) sum += byte;
    return sum;
}

void read_everything(const Ledger& ledger) {
    size_t sum = sum_of(ledger.facts()) + sum_of(ledger.notes()) + sum_of(ledger.state());
    for (const Ledger::Flow flow : {Ledger::kToServer, Ledger::kToClient}) {
        sum += sum_of(ledger.unseen(flow)) + sum_of(ledger.line_begun(flow));
        hold(ledger.unwritten(flow).size() == ledger.unwritten_bytes(flow), "ledger", "does not know what is left to write");
    }
    hold(sum != 1, "ledger", "cannot be");
}

// Whoever goes on with it: a turn is either committed as a whole, or there is no room.
void go_on(Ledger& ledger) {
    const size_t before = ledger.unwritten_bytes(Ledger::kToServer);
    if (!ledger.add(Ledger::kToServer, "more")) return;
    Outbox more;
    more.append("more");
    Ledger::Turn turn;
    turn.output = {&more, nullptr};
    turn.notes_replace = true;
    size_t added = 4;
#ifdef CANARY
    if (before > 14) added = 5;
#endif
    if (!ledger.commit(turn)) return;
    hold(ledger.unseen(Ledger::kToServer).empty(), "ledger", "what was seen is unseen");
    const std::string unwritten = ledger.unwritten(Ledger::kToServer);
    hold(unwritten.size() == before + added && unwritten.ends_with("more"), "ledger", "what was added is not at the end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Fd memory;
    std::array<Fd, Ledger::kFlows> pipes;
    {
        const std::unique_ptr<Ledger> ledger = used_ledger();
        memory = Fd::adopt(fcntl(ledger->memory().get(), F_DUPFD_CLOEXEC, 0));
        for (const Ledger::Flow flow : {Ledger::kToServer, Ledger::kToClient})
            pipes[flow] = Fd::adopt(fcntl(ledger->pipe(flow).get(), F_DUPFD_CLOEXEC, 0));
    }
    for (size_t at = 0; at + kPokeBytes <= size; at += kPokeBytes) {
        uint16_t place;
        memcpy(&place, data + at, sizeof(place));
        (void)!pwrite(memory.get(), data + at + sizeof(place), kPokeBytes - sizeof(place), place % kHeadBytes);
    }
    const auto ledger = Ledger::open(std::move(memory), std::move(pipes));
    if (!ledger) return 0;
    read_everything(*ledger.value());
    go_on(*ledger.value());
    return 0;
}
