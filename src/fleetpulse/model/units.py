"""Units of time, all whole numbers. Times are nanoseconds since 1970-01-01T00:00:00Z, days are days since then."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000 * NS_PER_MS
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_HOUR = 60 * NS_PER_MINUTE
NS_PER_DAY = 24 * NS_PER_HOUR
MINUTES_PER_DAY = 1_440
S_PER_DAY = 86_400
