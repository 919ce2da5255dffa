//! Why there is nothing to be told.

/// Why the kernel tells nothing. Each is one line for the operator; everything else works.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// This program was built without it.
    #[error("built without BPF: build with --features bpf (needs clang, libelf-dev, zlib1g-dev)")]
    NotBuilt,
    /// The kernel says no.
    #[error(
        "BPF is not allowed to this process: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN \
         (a container must also let bpf(2) through)"
    )]
    NotAllowed,
    /// The kernel is too old or was built without what it takes.
    #[error("this kernel lacks {what}: {needs}")]
    NotSupported {
        /// What it lacks.
        what: &'static str,
        /// From which kernel on there is that, or which option of its build gives it.
        needs: &'static str,
    },
    /// Anything else.
    #[error("BPF {doing}: {why}")]
    Failed {
        /// At which step.
        doing: &'static str,
        /// What was said.
        why: String,
    },
}
