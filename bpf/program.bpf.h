/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * Which program a thread runs, and as whom: what the agent has said of one does not hold for the next that the same process
 * runs, nor for another process with the same number.
 */
#ifndef CALLGATE_PROGRAM_BPF_H
#define CALLGATE_PROGRAM_BPF_H

static __always_inline struct cg_reader reader_of(struct task_struct* task) {
    struct cg_reader reader = {};
    reader.uid = (__u32)bpf_get_current_uid_gid();
    reader.start_ns = task->group_leader->start_boottime;
    reader.exec_id = (__u32)task->self_exec_id;
    return reader;
}

static __always_inline bool is_same_program(const struct cg_reader* said, const struct cg_reader* now) {
    return said->start_ns == now->start_ns && said->exec_id == now->exec_id && said->uid == now->uid;
}

#endif
