//! Does a process live?
//!
//! A pid may be a stranger's by now: he began later than the process was known. Or the process runs
//! another program since an exec, which has nothing of ours mapped: where its first stack begins
//! tells. For a look at one /proc is read; to make a process known takes a look at the clock alone,
//! since that is done at each fork.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// What tells one process and its program from all others that have its pid later; zeroes are unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// When it was there already, in clock ticks since boot.
    pub seen: u64,
    /// Where its first stack begins. Others may read it only with the right to look into it.
    pub stack: u64,
}

/// The signal for what happens at a descriptor; not in libc for Linux.
const F_SETSIG: i32 = 10;

/// Where the first stack of this program begins, 0 before it was looked up. A forked child has its parent's.
static STACK: AtomicU64 = AtomicU64::new(0);

impl Identity {
    /// Of this process, or of a child that it has just forked.
    pub fn ours() -> Identity {
        let mut stack = STACK.load(Ordering::Relaxed);
        if stack == 0 {
            stack = Stat::read(std::process::id()).map_or(0, |stat| stat.stack);
            STACK.store(stack, Ordering::Relaxed);
        }
        Identity { seen: ticks(), stack }
    }

    fn fits(self, stat: &Stat) -> bool {
        let same = self.stack == 0 || stat.stack == 0 || self.stack == stat.stack;
        same && (self.seen == 0 || stat.start <= self.seen)
    }
}

/// Clock ticks since boot, as the kernel counts them in /proc.
fn ticks() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec on our stack; sysconf only reads.
    let each_second = unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time);
        libc::sysconf(libc::_SC_CLK_TCK) as u64
    };
    time.tv_sec as u64 * each_second + time.tv_nsec as u64 * each_second / 1_000_000_000
}

/// Have the kernel kill this process as soon as the pipe behind `fd`, of which this is a reading end, hangs
/// up; that has no effect on who else has the end. Gives a descriptor that has to stay open.
pub fn end_with(fd: i32) -> std::io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    // Opened anew: the settings are those of an open file, which siblings would share.
    let again = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(format!("/proc/self/fd/{fd}"))?;
    end_by(again.as_raw_fd())?;
    Ok(again.into())
}

/// As [`end_with`], by a reading end which was opened anew for this process.
pub fn end_by(own: i32) -> std::io::Result<()> {
    // SAFETY: settings of a descriptor of ours, and one pollfd that lives on our stack.
    unsafe {
        let flags = libc::fcntl(own, libc::F_GETFL);
        let done = flags >= 0
            && libc::fcntl(own, libc::F_SETOWN, libc::getpid()) == 0
            && libc::fcntl(own, F_SETSIG, libc::SIGKILL) == 0
            && libc::fcntl(own, libc::F_SETFL, flags | libc::O_ASYNC) == 0;
        if !done {
            return Err(std::io::Error::last_os_error());
        }
        // It may have hung up before the kernel was asked.
        let mut poll = libc::pollfd { fd: own, events: 0, revents: 0 };
        if libc::poll(&mut poll, 1, 0) > 0 {
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    }
    Ok(())
}

/// Does the process `pid` of this identity live? A zombie does not.
pub fn lives(pid: u32, known: Identity) -> bool {
    match ended(pid) {
        Some(true) => false,
        Some(false) => Stat::read(pid).is_none_or(|stat| known.fits(&stat)),
        // No descriptor to be had, or an old kernel.
        None => match Stat::read(pid) {
            Some(stat) => !stat.ended && known.fits(&stat),
            None => exists(pid),
        },
    }
}

/// By a descriptor of the process, which alone knows about one whose first thread ended before others.
fn ended(pid: u32) -> Option<bool> {
    // SAFETY: plain system calls on a pid and on a descriptor that we opened.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    if fd < 0 {
        let gone = std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        return gone.then_some(true);
    }
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd that lives on our stack; the descriptor is ours to close.
    unsafe {
        let ready = libc::poll(&mut poll, 1, 0);
        libc::close(fd);
        Some(ready > 0)
    }
}

fn exists(pid: u32) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = unsafe { libc::kill(pid as libc::pid_t, 0) };
    asked == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// What /proc/PID/stat says.
struct Stat {
    ended: bool,
    /// When it began, in clock ticks since boot.
    start: u64,
    stack: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        let mut text = [0; 1024];
        // In one read: the kernel writes the whole line anew for each, and a line is shorter.
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut text).ok()?;
        let text = &text[..length];
        // The second field is the command in parentheses, which may hold anything.
        let after = text.iter().rposition(|&byte| byte == b')')? + 2;
        let fields: Vec<&str> = std::str::from_utf8(text.get(after..)?).ok()?.split(' ').collect();
        // Numbers as in proc(5), which counts from 1 and has two fields before the parenthesis closes.
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
        let zombie = matches!(*fields.first()?, "Z" | "X" | "x");
        Some(Stat {
            ended: zombie && number(20).is_none_or(|threads| threads <= 1),
            start: number(22)?,
            stack: number(28).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_no_other_is_taken_for_it() {
        let me = std::process::id();
        let known = Identity::ours();
        let began = Stat::read(me).unwrap().start;
        assert!(known.seen >= began && known.stack > 0);
        assert!(lives(me, known) && lives(me, Identity::default()));
        assert!(lives(me, Identity { seen: began, ..known }), "known at once");
        assert!(!lives(me, Identity { seen: began - 1, ..known }), "an earlier process of this pid");
        assert!(!lives(me, Identity { stack: known.stack + 16, ..known }), "an earlier program of this process");
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while lives(pid, Identity::default()) {
            std::thread::yield_now();
        }
        assert!(Stat::read(pid).is_some_and(|stat| stat.ended), "not reaped yet");
        child.wait().unwrap();
        assert!(!lives(pid, Identity::default()));
    }

    #[test]
    fn a_process_that_runs_another_program_is_another() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let known = Identity::ours();
        // For a moment after the exec the stack is not yet known.
        while lives(child.id(), known) {
            std::thread::yield_now();
        }
        assert!(lives(child.id(), Identity { stack: Stat::read(child.id()).unwrap().stack, ..known }));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
