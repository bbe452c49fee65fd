//! The time as the clocks on the wall show it here (`TZ`), and the size of the terminal: what people see alone needs
//! them.
use std::io;

/// A time in this machine's time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    /// Ahead of UTC, in seconds.
    pub offset: i64,
}

/// The local time of `second` seconds since the Unix epoch; `None` for a time that no calendar here knows.
#[allow(unsafe_code)]
#[must_use]
pub fn time(second: i64) -> Option<Local> {
    #[allow(clippy::useless_conversion, reason = "this is 32 bits wide on some targets")]
    let second = second.try_into().ok()?;
    // SAFETY: all-zero bytes are a valid `tm`: numbers and a null pointer.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to values of ours that outlive the call.
    if unsafe { libc::localtime_r(&raw const second, &raw mut tm) }.is_null() {
        return None;
    }
    let small = |n: libc::c_int| u32::try_from(n).ok();
    #[allow(clippy::useless_conversion, reason = "this is 32 bits wide on some targets")]
    let offset = i64::from(tm.tm_gmtoff);
    Some(Local {
        year: tm.tm_year.checked_add(1900)?,
        month: small(tm.tm_mon)? + 1,
        day: small(tm.tm_mday)?,
        hour: small(tm.tm_hour)?,
        minute: small(tm.tm_min)?,
        offset,
    })
}

/// Columns of the terminal that standard output is; `None` where it is none.
#[allow(unsafe_code)]
#[must_use]
pub fn columns() -> Option<usize> {
    use std::os::fd::AsRawFd as _;
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills in a `winsize`, which is ours and outlives the call.
    let answer = unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::time;

    /// Days since 1970-01-01 of a date.
    fn days(year: i64, month: i64, day: i64) -> i64 {
        let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (m * 153 + 2) / 5 + day
            - 719_469
    }

    #[test]
    fn whatever_the_zone_the_local_time_less_its_offset_is_utc() {
        for second in [0, 1_700_000_000, 1_771_200_000, 1_782_000_060] {
            let local = time(second).unwrap();
            let date = days(local.year.into(), local.month.into(), local.day.into());
            let minutes = i64::from(local.hour * 60 + local.minute);
            let back = date * 86_400 + minutes * 60 - local.offset;
            assert_eq!(back, second - second % 60, "{local:?}");
        }
        assert!(time(i64::MAX).is_none());
    }
}
