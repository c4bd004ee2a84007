//! What the operating system knows of this process, under the names that every Prometheus client uses. Linux only;
//! elsewhere there is nothing to tell.

use std::fs;

use super::exposition::{Exposition, Source};

/// Ticks of `/proc` in a second: fixed by the kernel's interface, whatever its own clock does.
const TICKS: f64 = 100.0;
const KIB: u64 = 1024;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process;

impl Source for Process {
    fn expose(&self, out: &mut Exposition) {
        if let Some(times) = Times::read() {
            out.counter("process_cpu_seconds", "Processor time, in the kernel and out of it.", times.cpu);
            out.gauge("process_start_time_seconds", "When the process started, since 1970.", times.started);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = |key| field(&status, key).map(|kib| kib * KIB);
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is really there.", memory("VmRSS:")),
            ("process_virtual_memory_bytes", "Memory that was asked for.", memory("VmSize:")),
            ("process_threads", "Threads.", field(&status, "Threads:")),
            ("process_open_fds", "File descriptors that are open.", open_descriptors()),
            ("process_max_fds", "File descriptors that may be open.", descriptor_limit()),
        ] {
            if let Some(value) = value {
                out.gauge(name, help, value);
            }
        }
    }
}

struct Times {
    cpu: f64,
    started: f64,
}

impl Times {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program stands in brackets and may contain anything, brackets too.
        let after_name = stat.rsplit_once(')')?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // Counted as in proc_pid_stat(5), whose third field is the first after the name.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self { cpu: (ticks(14)? + ticks(15)?) / TICKS, started: boot + ticks(22)? / TICKS })
    }
}

fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_descriptors() -> Option<u64> {
    // One of them is the directory itself, while it is read.
    fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1))
}

fn descriptor_limit() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    #[test]
    fn linux_tells_all_of_it() {
        let mut out = Exposition::new(Format::Prometheus);
        Process.expose(&mut out);
        let text = out.finish();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 7, "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value > 0.0 || name == "process_cpu_seconds_total", "{line}");
        }
    }
}
