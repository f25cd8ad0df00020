//! Codes of this area.

use super::codes;

codes! {}
