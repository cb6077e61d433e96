#include "audit/session_text.h"

#include "audit/json_members.h"

namespace callgate {
namespace {

constexpr std::string_view kSessionMember = ",\"session\":";

std::string_view cut(std::string_view text) { return text.substr(0, kAuditTextBytesMax); }

void append_server(std::string& out, const ServerIdentity& server, std::string_view listen) {
    out += ",\"server\":{\"pid\":";
    append_number(out, server.process.pid);
    append_member(out, ",\"uid\":", int64_t{server.process.uid});
    append_member(out, ",\"user\":", cut(server.process.user));
    append_member(out, ",\"package\":", cut(server.package.name));
    append_member(out, ",\"package_version\":", cut(server.package.version));
    append_member(out, ",\"command\":", cut(server.command));
    append_member(out, ",\"exe\":", cut(server.process.exe));
    append_member(out, ",\"image\":", cut(server.image ? std::string_view(*server.image) : std::string_view()));
    append_member(out, ",\"listen\":", cut(listen));
    out += '}';
}

void append_peer(std::string& out, const PeerIdentity& peer, std::string_view address) {
    if (peer.process.pid == 0 && !address.empty()) {
        append_member(out, ",\"peer\":{\"address\":", cut(address));
        out += '}';
        return;
    }
    out += ",\"peer\":{\"pid\":";
    append_number(out, peer.process.pid);
    append_member(out, ",\"uid\":", int64_t{peer.process.uid});
    append_member(out, ",\"user\":", cut(peer.process.user));
    append_member(out, ",\"exe\":", cut(peer.process.exe));
    append_member(out, ",\"cgroup\":", cut(peer.process.cgroup));
    append_member(out, ",\"address\":", cut(address));
    out += ",\"parents\":[";
    for (const Ancestor& parent : peer.parents) {
        if (&parent != &peer.parents.front()) out += ',';
        append_json_text(out, parent.comm + "(" + std::to_string(parent.pid) + ")");
    }
    out += "]}";
}

}  // namespace

AuditSession::AuditSession(const SessionFacts& facts) {
    append_member(name_members_, kSessionMember, cut(facts.session_id));
    append_member(name_members_, ",\"transport\":", cut(facts.transport));
    append_server(fact_members_, facts.server, facts.listen);
    append_peer(fact_members_, facts.peer, facts.peer_address);
    append_member(fact_members_, ",\"grant\":", cut(facts.grant));
    append_member(fact_members_, ",\"policy\":", cut(facts.policy));
    append_member(fact_members_, ",\"policy_revision\":", cut(facts.policy_revision));
    append_member(fact_members_, ",\"mode\":", cut(facts.mode));
    name_members_.shrink_to_fit();
    fact_members_.shrink_to_fit();
}

std::string_view AuditSession::id() const {
    std::string_view text = name_members_;
    text.remove_prefix(std::min(kSessionMember.size() + 1, text.size()));
    return text.substr(0, text.find('"'));
}

}  // namespace callgate
