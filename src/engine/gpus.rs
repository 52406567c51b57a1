//! The GPUs of this machine, as `nvidia-smi` tells them: which there are, and who uses them. Gives none to anybody.
//!
//! Nothing is guessed. Where there are GPUs and nobody can say who uses them, that is an error which says what to do,
//! since taking a GPU from a colleague is worse than asking.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::engine::error::EngineError;
use crate::engine::settings::Settings;
use crate::model::capability::Gpu;

/// Longest one call may take. A driver that nothing keeps loaded takes seconds for each GPU; one that hangs, for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// Programs that draw the screen. One uses the GPU all day and next to nothing of it: such a GPU is free.
const GRAPHICS: [&str; 8] =
    ["Xorg", "X", "Xwayland", "gnome-shell", "kwin_x11", "kwin_wayland", "plasmashell", "gnome-remote-desktop-daemon"];
/// Beginning of the CDI name of an NVIDIA GPU: `nvidia.com/gpu=0`.
const CDI_KIND: &str = "nvidia.com/gpu";

/// Text in place of a UUID that is not known, in both answers.
const UNTOLD: &str = "[N/A]";

/// The source of what is known about GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GpuSource {
    program: PathBuf,
    /// True when somebody named the program: then it has to be there.
    named: bool,
    devices: PathBuf,
    cdi: Vec<PathBuf>,
    patience: Duration,
}

impl GpuSource {
    /// The GPUs of this machine.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            program: settings.nvidia_smi.clone().unwrap_or_else(|| "nvidia-smi".into()),
            named: settings.nvidia_smi.is_some(),
            devices: "/dev".into(),
            cdi: vec!["/etc/cdi".into(), "/var/run/cdi".into()],
            patience: PATIENCE,
        }
    }

    /// The GPUs, by index, and who uses them at this moment. None where there is no trace of one.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where there are GPUs, or seem to be, and it cannot be told which or who uses them.
    pub(super) async fn look(&self) -> Result<Vec<Gpu>, EngineError> {
        let Some(found) = self.ask("--query-gpu=index,uuid,name,memory.total").await? else {
            return self.untold();
        };
        let mut gpus = lines(&found).map(gpu).collect::<Result<Vec<_>, _>>().map_err(|line| self.garbage(&line))?;
        if gpus.is_empty() {
            return Ok(gpus);
        }
        let used = self.ask("--query-compute-apps=gpu_uuid,pid,process_name,used_memory").await?.unwrap_or_default();
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines(&used) {
            let (uuid, user) = user(line).map_err(|line| self.garbage(&line))?;
            users.entry(uuid).or_default().extend(user);
        }
        for gpu in &mut gpus {
            let uuid = gpu.uuid.as_deref().unwrap_or(UNTOLD);
            gpu.busy = users.get(uuid).and_then(|users| sentence(users));
        }
        Ok(gpus)
    }

    /// The program's answer; absent where there is no such program.
    async fn ask(&self, query: &str) -> Result<Option<String>, EngineError> {
        let mut command = Command::new(&self.program);
        // Its numbers and words are the same in every language, as far as is known; this makes it sure.
        command.args([query, "--format=csv,noheader,nounits"]).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let answered = match command.spawn() {
            Ok(child) => tokio::time::timeout(self.patience, child.wait_with_output()).await,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.named => return Ok(None),
            Err(error) => return Err(self.refusal(&format!("cannot be run: {error}"))),
        };
        match answered {
            Ok(Ok(output)) => self.answer(&output).map(Some),
            Ok(Err(error)) => Err(self.refusal(&format!("cannot be run: {error}"))),
            Err(_) => {
                let seconds = self.patience.as_secs_f64();
                Err(self.refusal(&format!("has not answered within {seconds} s; its driver may hang")))
            }
        }
    }

    fn answer(&self, output: &Output) -> Result<String, EngineError> {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Said with an exit code of its own by some versions, and with 0 by others.
        if text.trim_start().starts_with("No devices were found") {
            return Ok(String::new());
        }
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let said = lines(&text).chain(lines(&errors)).next().unwrap_or("it said nothing");
        let how = output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit code {code}"));
        Err(self.refusal(&format!("failed ({how}): {said}")))
    }

    /// No program: whether there are GPUs all the same.
    fn untold(&self) -> Result<Vec<Gpu>, EngineError> {
        let devices = entries(&self.devices).filter_map(|path| index(&path)).map(|index| index.to_string());
        let mut ids: Vec<String> = devices.collect();
        let mut traces = format!("`{}/nvidia*`", self.devices.display());
        if ids.is_empty() {
            let files = self.cdi.iter().flat_map(|folder| entries(folder));
            ids = files.flat_map(|file| cdi_names(&file)).collect();
            traces = self.cdi.iter().map(|folder| format!("`{}`", folder.display())).collect::<Vec<_>>().join(" or ");
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.sort_by_key(|id| (id.len(), id.clone()));
        ids.dedup();
        let message = format!(
            "{traces} says that this machine has GPUs, but there is no program `{}` to say who uses them: name those to \
             use with `--gpus {}`",
            self.program.display(),
            ids.join(",")
        );
        Err(EngineError::Refused { message })
    }

    fn garbage(&self, line: &str) -> EngineError {
        self.refusal(&format!("said what combu cannot read: `{line}`"))
    }

    fn refusal(&self, what: &str) -> EngineError {
        let program = self.program.display();
        EngineError::Refused {
            message: format!(
                "`{program}`, which knows this machine's GPUs, {what} (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)"
            ),
        }
    }
}

/// Lines with something on them, without that.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let silent = |line: &&str| !line.is_empty() && !line.starts_with("No running processes");
    text.lines().map(str::trim).filter(silent)
}

/// Reads `0, GPU-5a1b, NVIDIA A100-SXM4-80GB, 81920`: memory in MiB. What the GPU does not tell is in brackets: `[N/A]`.
pub(super) fn gpu(line: &str) -> Result<Gpu, String> {
    let fields = || {
        let (index, rest) = line.split_once(", ")?;
        let (uuid, rest) = rest.split_once(", ")?;
        let (name, memory) = rest.rsplit_once(", ")?;
        index.parse::<u32>().ok()?;
        let memory = told(memory).map_or(Some(0), |mebibytes| mebibytes.parse::<u64>().ok()?.checked_mul(1 << 20))?;
        let (uuid, name) = (told(uuid).map(str::to_owned), told(name).unwrap_or_default().to_owned());
        Some(Gpu { id: index.to_owned(), uuid, name, memory, busy: None })
    };
    fields().ok_or_else(|| line.to_owned())
}

/// Reads `GPU-5a1b, 4711, /usr/bin/python3, 512`: a GPU's UUID and who uses it, if that is not the screen.
pub(super) fn user(line: &str) -> Result<(String, Option<String>), String> {
    let fields = || {
        let (uuid, rest) = line.split_once(", ")?;
        let (pid, rest) = rest.split_once(", ")?;
        let (path, _memory) = rest.rsplit_once(", ")?;
        let pid = told(pid).map_or(Some(None), |pid| pid.parse::<u32>().ok().map(Some))?;
        Some((uuid, pid, told(path)))
    };
    let (uuid, pid, path) = fields().ok_or_else(|| line.to_owned())?;
    // A process may show its arguments behind its path, as Xorg does.
    let name =
        path.map(|path| path.split(' ').next().unwrap_or(path)).map(|path| path.rsplit('/').next().unwrap_or(path));
    if name.is_some_and(|name| GRAPHICS.contains(&name)) {
        return Ok((uuid.to_owned(), None));
    }
    let name = name.unwrap_or("a process");
    Ok((uuid.to_owned(), Some(pid.map_or_else(|| name.to_owned(), |pid| format!("{name} (pid {pid})")))))
}

/// A field, unless it is `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` or the like.
fn told(field: &str) -> Option<&str> {
    let field = field.trim();
    (!field.is_empty() && field != "N/A" && !field.starts_with('[')).then_some(field)
}

fn sentence(users: &[String]) -> Option<String> {
    let (first, others) = users.split_first()?;
    Some(if others.is_empty() { first.clone() } else { format!("{first} and {} more", others.len()) })
}

/// Files of a folder, which may be missing.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The index of a device file: `nvidia0`, but not `nvidiactl`.
fn index(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("nvidia")?.parse().ok()
}

/// The full names of single GPUs in a CDI file, by index; those by UUID, and `all`, are the same GPUs again.
pub(super) fn cdi_names(file: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Cdi {
        kind: String,
        devices: Vec<CdiDevice>,
    }
    #[derive(Deserialize)]
    struct CdiDevice {
        name: String,
    }
    // It may be another's: what cannot be read names no GPU.
    let Ok(text) = fs::read_to_string(file) else { return Vec::new() };
    let (kind, names) = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => match serde_json::from_str::<Cdi>(&text) {
            Ok(cdi) => (cdi.kind, cdi.devices.into_iter().map(|device| device.name).collect()),
            Err(_) => return Vec::new(),
        },
        Some("yaml" | "yml") => yaml_names(&text),
        _ => return Vec::new(),
    };
    let is_index = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || c == ':');
    let names = names.into_iter().filter(|_| kind == CDI_KIND).filter(is_index);
    names.map(|name| format!("{CDI_KIND}={name}")).collect()
}

/// Kind and names of devices in a CDI file as `nvidia-ctk cdi generate` writes it. Reads no other YAML.
fn yaml_names(text: &str) -> (String, Vec<String>) {
    let value = |line: &str| line.trim().trim_matches(['"', '\'']).to_owned();
    let (mut kind, mut names, mut inside, mut column) = (String::new(), Vec::new(), false, None);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let key = line.trim_start_matches([' ', '-']);
        if line.len() == key.len() {
            inside = line.starts_with("devices:");
            column = None;
            if let Some(rest) = line.strip_prefix("kind:") {
                kind = value(rest);
            }
        } else if inside && *column.get_or_insert(line.len() - key.len()) == line.len() - key.len() {
            names.extend(key.strip_prefix("name:").map(value));
        }
    }
    (kind, names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::GpuSource;

    /// A machine with a stand-in for `nvidia-smi`, or without one.
    struct Machine {
        folder: tempfile::TempDir,
        places: GpuSource,
    }

    impl Machine {
        fn bare() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let within = |name: &str| folder.path().join(name);
            let places = GpuSource {
                program: "combu-test-no-such-program".into(),
                named: false,
                devices: within("dev"),
                cdi: vec![within("etc-cdi"), within("run-cdi")],
                patience: Duration::from_secs(60),
            };
            Self { folder, places }
        }

        /// The stand-in answers the query of GPUs with one line of shell, and that of their users with the other.
        fn answering(gpus: &str, users: &str) -> Self {
            let mut machine = Self::bare();
            let script = format!(
                "#!/bin/sh\n[ \"$2\" = --format=csv,noheader,nounits ] || exit 99\ncase $1 in\n\
                 --query-gpu=index,uuid,name,memory.total) {gpus};;\n\
                 --query-compute-apps=gpu_uuid,pid,process_name,used_memory) {users};;\n*) exit 98;;\nesac\n"
            );
            machine.write("script", &script);
            machine.places.program = machine.folder.path().join("nvidia-smi");
            // Made by another process: a child of a parallel test may hold open what this one writes, and nothing starts
            // a program that is open for writing.
            let mut install = Command::new("install");
            install.args(["-m", "755"]).arg(machine.folder.path().join("script")).arg(&machine.places.program);
            assert!(install.status().unwrap().success());
            machine
        }

        /// The same with the text that stands in a file.
        fn saying(gpus: &str, users: &str) -> Self {
            let machine = Self::answering("cat \"${0%/*}/gpus\"", "cat \"${0%/*}/users\"");
            machine.write("gpus", gpus);
            machine.write("users", users);
            machine
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// A line for each GPU, or the error.
        async fn tells(&self) -> String {
            let text = match self.places.look().await {
                Ok(gpus) => gpus
                    .into_iter()
                    .map(|gpu| {
                        let (uuid, busy) = (gpu.uuid.unwrap_or("-".into()), gpu.busy.unwrap_or("free".into()));
                        format!("{} | {uuid} | {} | {} MiB | {busy}\n", gpu.id, gpu.name, gpu.memory >> 20)
                    })
                    .collect(),
                Err(error) => error.chain(),
            };
            text.replace(self.folder.path().to_str().unwrap(), "HERE")
        }
    }

    #[tokio::test]
    async fn one_gpu_that_nobody_uses_is_free() {
        let machine = Machine::saying("0, GPU-3d8a1f0e-5b7c, NVIDIA GeForce RTX 4090, 24564\n", "");
        assert_snapshot!(machine.tells().await, @"0 | GPU-3d8a1f0e-5b7c | NVIDIA GeForce RTX 4090 | 24564 MiB | free");
        let words =
            Machine::saying("0, GPU-3d8a1f0e-5b7c, NVIDIA GeForce RTX 4090, 24564\n", "No running processes found\n");
        assert_eq!(words.tells().await, machine.tells().await);
    }

    #[tokio::test]
    async fn a_gpu_is_busy_with_the_programs_that_compute_on_it_and_not_with_the_screen() {
        let gpus = "0, GPU-aaaa, NVIDIA A100-SXM4-80GB, 81920\n1, GPU-bbbb, NVIDIA A100-SXM4-80GB, 81920\n\
                    2, GPU-cccc, NVIDIA A100-SXM4-80GB, 81920\n3, GPU-dddd, Quadro P400, 2000\n";
        let users = "GPU-aaaa, 4711, /usr/bin/python3, 512\n\
                     GPU-bbbb, 4712, python, 100\nGPU-bbbb, 4713, python, 100\nGPU-bbbb, 4714, /opt/my solver, with comma, 9\n\
                     GPU-cccc, [N/A], [Insufficient Permissions], [N/A]\n\
                     GPU-dddd, 900, /usr/lib/xorg/Xorg vt2 -displayfd 3, 40\nGPU-dddd, 901, /usr/bin/gnome-shell, 12\n\
                     GPU-eeee, 902, elsewhere, 1\n";
        assert_snapshot!(Machine::saying(gpus, users).tells().await, @"
        0 | GPU-aaaa | NVIDIA A100-SXM4-80GB | 81920 MiB | python3 (pid 4711)
        1 | GPU-bbbb | NVIDIA A100-SXM4-80GB | 81920 MiB | python (pid 4712) and 2 more
        2 | GPU-cccc | NVIDIA A100-SXM4-80GB | 81920 MiB | a process
        3 | GPU-dddd | Quadro P400 | 2000 MiB | free
        ");
    }

    #[tokio::test]
    async fn eight_gpus_come_in_their_order() {
        let line = |index| format!("{index}, GPU-{index}{index}, NVIDIA H100 80GB HBM3, 81559\n");
        let gpus: String = (0..8).map(line).collect();
        let told = Machine::saying(&gpus, "GPU-55, 77, train, 1\n").tells().await;
        assert_eq!(
            told.lines().map(|line| line.ends_with("free")).collect::<Vec<_>>(),
            [true, true, true, true, true, false, true, true]
        );
    }

    #[tokio::test]
    async fn what_a_gpu_does_not_tell_is_unknown() {
        let gpus = "0, [N/A], NVIDIA GB10, [N/A]\n1, GPU-bbbb, [Unknown Error], [Not Supported]\n2, GPU-c, Tesla, K80, 11441\n";
        assert_snapshot!(Machine::saying(gpus, "[N/A], 12, python, [N/A]\n").tells().await, @"
        0 | - | NVIDIA GB10 | 0 MiB | python (pid 12)
        1 | GPU-bbbb |  | 0 MiB | free
        2 | GPU-c | Tesla, K80 | 11441 MiB | free
        ");
    }

    #[tokio::test]
    async fn a_machine_without_gpus_has_none() {
        assert_eq!(Machine::bare().tells().await, "");
        assert_eq!(Machine::saying("", "").tells().await, "");
        assert_eq!(Machine::saying("No devices were found\n", "").tells().await, "");
        assert_eq!(Machine::answering("echo No devices were found; exit 6", "exit 97").tells().await, "");
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_an_error_that_says_why() {
        let driver = "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the \
                      latest NVIDIA driver is installed and running.\"; exit 9";
        let one = "echo 0, GPU-a, T4, 15360";
        let lost = "echo 'Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error'";
        let machines = [
            Machine::answering(driver, ""),
            Machine::answering("exit 12", ""),
            Machine::answering("echo boom >&2; exit 1", ""),
            Machine::answering("kill -9 $$", ""),
            Machine::answering(lost, ""),
            Machine::answering("head -c 8 /dev/zero; echo", ""),
            Machine::answering(one, "echo GPU-a, many, python, 1"),
            Machine::answering(one, "echo not supported; exit 3"),
        ];
        let mut told = Vec::new();
        for machine in machines {
            told.push(machine.tells().await.replace('\0', "?"));
        }
        assert_snapshot!(told.join("\n"), @"
        `HERE/nvidia-smi`, which knows this machine's GPUs, failed (exit code 9): NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running. (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, failed (exit code 12): it said nothing (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, failed (exit code 1): boom (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, failed (signal: 9 (SIGKILL)): it said nothing (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, said what combu cannot read: `Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error` (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, said what combu cannot read: `????????` (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, said what combu cannot read: `GPU-a, many, python, 1` (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        `HERE/nvidia-smi`, which knows this machine's GPUs, failed (exit code 3): not supported (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)
        ");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let mut machine = Machine::answering("exec sleep 600", "");
        machine.places.patience = Duration::from_millis(50);
        assert_snapshot!(machine.tells().await, @"`HERE/nvidia-smi`, which knows this machine's GPUs, has not answered within 0.05 s; its driver may hang (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)");
    }

    #[tokio::test]
    async fn a_program_that_was_named_has_to_be_there() {
        let mut machine = Machine::bare();
        machine.places.named = true;
        assert_snapshot!(machine.tells().await, @"`combu-test-no-such-program`, which knows this machine's GPUs, cannot be run: No such file or directory (os error 2) (or name the GPUs, `--gpus 0,1`: then nvidia-smi is not asked)");
    }

    #[tokio::test]
    async fn traces_of_gpus_without_the_program_are_told_and_not_guessed_from() {
        let machine = Machine::bare();
        let yaml = "---\ncdiVersion: 0.5.0\ncontainerEdits:\n  deviceNodes:\n  - path: /dev/nvidiactl\ndevices:\n\
                    - containerEdits:\n    hooks:\n    - name: 7\n  name: \"1\"\n- name: \"0\"\n  containerEdits: {}\n\
                    - name: all\n- name: GPU-aaaa\nkind: nvidia.com/gpu\n";
        machine.write("etc-cdi/nvidia.yaml", yaml);
        machine.write("etc-cdi/net.json", r#"{"kind": "vendor.com/net", "devices": [{"name": "3"}]}"#);
        machine.write("etc-cdi/broken.json", "{");
        machine.write("etc-cdi/notes.txt", "kind: nvidia.com/gpu");
        machine.write("run-cdi/more.json", r#"{"kind": "nvidia.com/gpu", "devices": [{"name": "0"}, {"name": "10"}]}"#);
        assert_snapshot!(machine.tells().await, @"`HERE/etc-cdi` or `HERE/run-cdi` says that this machine has GPUs, but there is no program `combu-test-no-such-program` to say who uses them: name those to use with `--gpus nvidia.com/gpu=0,nvidia.com/gpu=1,nvidia.com/gpu=10`");
        for device in ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "null"] {
            machine.write(&format!("dev/{device}"), "");
        }
        assert_snapshot!(machine.tells().await, @"`HERE/dev/nvidia*` says that this machine has GPUs, but there is no program `combu-test-no-such-program` to say who uses them: name those to use with `--gpus 0,1`");
    }
}
