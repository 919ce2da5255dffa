//! Compiles the programs in `bpf/` where the feature `bpf` is on.

#[cfg(feature = "bpf")]
mod programs {
    use std::env;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use libbpf_cargo::SkeletonBuilder;

    const FOLDER: &str = "bpf";
    const PROGRAMS: [&str; 2] = ["core_jitter", "tcp_delivery"];

    pub(super) fn build() -> Result<(), String> {
        println!("cargo::rerun-if-changed={FOLDER}");
        println!("cargo::rerun-if-env-changed=CLANG");
        let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
        let asked = Command::new(&clang).arg("--version").stdout(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            return Err(format!(
                "the feature `bpf` needs {clang}, which does not run: install clang (Debian: apt-get install \
                 clang libelf-dev zlib1g-dev pkg-config), say where it is with CLANG=, or build without it"
            ));
        }
        let out = env::var("OUT_DIR").map_err(|_| "run by cargo, which sets OUT_DIR".to_owned())?;
        for name in PROGRAMS {
            SkeletonBuilder::new()
                .source(Path::new(FOLDER).join(format!("{name}.bpf.c")))
                .obj(Path::new(&out).join(format!("{name}.bpf.o")))
                .clang(&clang)
                .clang_args(["-Wall", "-Wextra", "-Werror"])
                .build()
                .map_err(|error| format!("{error:#}"))?;
        }
        Ok(())
    }
}

fn main() {
    #[cfg(feature = "bpf")]
    if let Err(why) = programs::build() {
        // Cargo shows these lines and nothing else of a failed build script's output.
        for line in why.lines() {
            println!("cargo::error={line}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}
