//! Argument parsing, then one call into `cmd`.

fn main() -> std::process::ExitCode {
    broadside::cmd::main()
}
