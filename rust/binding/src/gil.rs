//! Doing without the GIL, and not asking for it again where it is not to be had any more.

use pyo3::prelude::*;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use std::time::Duration;

/// Run `work` without the GIL.
///
/// A daemon thread that asks for the GIL while the interpreter is being taken down is ended by it (up
/// to Python 3.13) as by `pthread_exit`, which unwinds the stack and must not meet frames of Rust. So
/// such a thread stays here; the process's exit ends it soon. Since 3.14 the interpreter lets it hang
/// as well.
pub fn without<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    // Who has the GIL at the interpreter's end gets it back.
    let ours = is_ending();
    py.detach(|| {
        let result = work();
        if !ours {
            stay_out_of_the_end();
        }
        result
    })
}

/// Never return where the interpreter is being taken down. To be called without the GIL.
pub fn stay_out_of_the_end() {
    while is_ending() {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Is the interpreter being taken down? Asked with the GIL: by this very thread?
pub fn is_ending() -> bool {
    static ASK: OnceLock<Option<extern "C" fn() -> c_int>> = OnceLock::new();
    let ask = ASK.get_or_init(|| {
        // Public since 3.13, with an underscore before; not a part of the stable ABI that we build for.
        [c"Py_IsFinalizing", c"_Py_IsFinalizing"].iter().find_map(|name| {
            // SAFETY: a constant name, looked up among what the process has loaded.
            let found = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) };
            // SAFETY: in all versions of Python a function without arguments that gives an int.
            (!found.is_null())
                .then(|| unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(found) })
        })
    });
    ask.is_some_and(|ending| ending() != 0)
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}
