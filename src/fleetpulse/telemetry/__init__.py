"""What the service tells about itself: counters, /metrics and logs; what devices measure are metrics."""
