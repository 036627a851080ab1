"""How fast a caller may ask: a bucket that fills as time goes by.  Pure state, no clock."""


class Bucket:
    """Lets so much through per second, and as much at once as a second or ``burst`` fills.

    Args:
        rate: amount per second.
        burst: amount that a rested caller may take at once; by default what a second fills.
    """

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self.rate, self.burst = rate, burst or max(rate, 1.0)
        self._level = self.burst
        self._at: float | None = None

    def wait_s(self, amount: float, now: float) -> float:
        """Take an amount and return 0, or take nothing and return after how long to come back.

        What is more than the bucket holds is let through when the bucket is full.
        """
        if self._at is not None:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        due = min(amount, self.burst)
        if self._level >= due:
            self._level -= amount
            return 0.0
        return (due - self._level) / self.rate
