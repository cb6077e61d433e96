// What the running kernel has, by its own types (/sys/kernel/btf/vmlinux): some ten megabytes while it lives.
#pragma once
#include <bpf/btf.h>

#include <optional>
#include <string>
#include <string_view>

namespace callgate {

class KernelTypes {
  public:
    KernelTypes() : types_(btf__load_vmlinux_btf()) {}
    ~KernelTypes() { btf__free(types_); }
    KernelTypes(const KernelTypes&) = delete;
    KernelTypes& operator=(const KernelTypes&) = delete;

    bool has_tracepoint(const std::string& name) const {
        return types_ && btf__find_by_name_kind(types_, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF) > 0;
    }
    // Whether reads through io_uring are heard of.
    bool has_rings() const {
        return has_tracepoint("io_uring_complete") &&
               (has_tracepoint("io_uring_submit_req") || has_tracepoint("io_uring_submit_sqe"));
    }
    // Bytes from the beginning of the structure; those of its structures without a name are its own members.
    std::optional<uint32_t> offset_of(const char* structure, std::string_view member) const {
        const int id = types_ ? btf__find_by_name_kind(types_, structure, BTF_KIND_STRUCT) : -1;
        return id > 0 ? offset_in(static_cast<uint32_t>(id), member) : std::nullopt;
    }

  private:
    std::optional<uint32_t> offset_in(uint32_t id, std::string_view member) const {
        const btf_type* type = btf__type_by_id(types_, id);
        if (!type || !btf_is_composite(type)) return std::nullopt;
        for (uint32_t i = 0; i < btf_vlen(type); ++i) {
            const btf_member& each = btf_members(type)[i];
            const std::string_view name = btf__name_by_offset(types_, each.name_off);
            const uint32_t offset = btf_member_bit_offset(type, i) / 8;
            if (name == member) return offset;
            if (!name.empty()) continue;
            if (const auto inside = offset_in(each.type, member)) return offset + *inside;
        }
        return std::nullopt;
    }

    btf* types_;
};

}  // namespace callgate
