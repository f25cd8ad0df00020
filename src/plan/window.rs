//! Times at which deferred changes may happen: `22:00-06:00`, `sat,sun`, `mon-fri 22:00-06:00`.

/// A moment of a week, in the user's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// 0 is Monday.
    pub weekday: u8,
    /// Minutes since midnight.
    pub minute: u16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Whether a window is open at a moment; `None` if the text is no window.
pub fn is_open(window: &str, at: Moment) -> Option<bool> {
    let mut days = [true; 7];
    let mut times = None;
    let words: Vec<&str> = window.split_whitespace().collect();
    match words.as_slice() {
        [one] if one.contains(':') => times = Some(parse_times(one)?),
        [one] => days = parse_days(one)?,
        [first, second] => {
            days = parse_days(first)?;
            times = Some(parse_times(second)?);
        }
        _ => return None,
    }
    let day = usize::from(at.weekday % 7);
    let Some((from, to)) = times else {
        return Some(days[day]);
    };
    if from <= to {
        return Some(days[day] && (from..to).contains(&at.minute));
    }
    // Over midnight: the evening belongs to its own day, the morning to the day before.
    let is_evening = days[day] && at.minute >= from;
    let is_morning = days[(day + 6) % 7] && at.minute < to;
    Some(is_evening || is_morning)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let index = |name: &str| {
        DAYS.iter()
            .position(|day| *day == name.to_ascii_lowercase())
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (index(from)?, index(to)?);
                let mut day = from;
                loop {
                    days[day] = true;
                    if day == to {
                        break;
                    }
                    day = (day + 1) % 7;
                }
            }
            None => days[index(part)?] = true,
        }
    }
    Some(days)
}

fn parse_times(text: &str) -> Option<(u16, u16)> {
    let minute = |time: &str| -> Option<u16> {
        let (hours, minutes) = time.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 24 && minutes < 60 && hours * 60 + minutes <= 1440)
            .then_some(hours * 60 + minutes)
    };
    let (from, to) = text.split_once('-')?;
    Some((minute(from)?, minute(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_and_closes() {
        let at = |weekday, hour: u16| Moment {
            weekday,
            minute: hour * 60,
        };
        for (window, moment, open) in [
            ("22:00-06:00", at(0, 23), Some(true)),
            ("22:00-06:00", at(0, 5), Some(true)),
            ("22:00-06:00", at(0, 12), Some(false)),
            ("sat,sun", at(6, 0), Some(true)),
            ("mon-fri", at(5, 0), Some(false)),
            ("fri-mon", at(6, 0), Some(true)),
            ("fri 22:00-06:00", at(5, 3), Some(true)),
            ("fri 22:00-06:00", at(4, 3), Some(false)),
            ("someday", at(0, 0), None),
            ("25:00-26:00", at(0, 0), None),
            ("", at(0, 0), None),
        ] {
            assert_eq!(is_open(window, moment), open, "{window} {moment:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", weekday in 0u8..255, minute in 0u16..2000) {
            let _ = is_open(&text, Moment { weekday, minute });
        }
    }
}
